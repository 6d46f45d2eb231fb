"""Evaluators of phoenix-evals as the files of an experiment, run by the engine in a dry run."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from evalwire.engine.engine import run_engine
from evalwire.engine.limits import Limits, Stop
from evalwire.experiments.discovery import importable, load_experiments
from evalwire.jobs.progress import Quiet
from evalwire.model import JobSpec
from evalwire.model.example import Dataset, Example
from evalwire.model.run import TaskRun
from evalwire.recording import DryRunRecorder, NoTracing
from evalwire.usercode.binding import bind_evaluator
from evalwire.usercode.call import Call, Clock
from evalwire.usercode.threads import Threads
from evalwire.usercode.values import evaluator_values

EXAMPLE = Example(
    id="e1", node_id="n1", input={"q": "Capital of France?"}, output={"expected_output": "Paris"}, metadata={}
)
TASK = "async def task(example):\n    return 'Paris, of course'\n"

# a provider of phoenix-evals that needs no network: it answers with the label that it finds in the prompt
FAKE_LLM = """
    from phoenix.evals.llm import LLM
    from phoenix.evals.llm.registries import PROVIDER_REGISTRY
    from phoenix.evals.llm.types import BaseLLMAdapter

    class FakeAdapter(BaseLLMAdapter):
        @classmethod
        def client_name(cls):
            return "fake"

        def generate_text(self, prompt, **_):
            return "text"

        async def async_generate_text(self, prompt, **_):
            return "text"

        def generate_object(self, prompt, schema, **_):
            raise AssertionError("the async method is there")

        async def async_generate_object(self, prompt, schema, **_):
            label = "right" if "Paris" in str(prompt) else "wrong"
            return {"label": label, "explanation": f"asked with {len(schema['properties'])} fields"}

    PROVIDER_REGISTRY.register_provider("fake", FakeAdapter, client_factory=lambda **_: object())
    llm = LLM(provider="fake", model="fake-1")
"""


class Datasets:
    """The part of Phoenix that a dry run reads."""

    def fetch(self, name: str, **_: Any) -> Dataset:
        return Dataset(id="d", name=name, version_id="v", examples=(EXAMPLE,))

    def with_splits(self, dataset: Dataset) -> Dataset:
        return dataset


@pytest.fixture
def run(evals, tmp_path):
    """Runs an experiment with these evaluator files on one example; what the evaluators said of it."""

    def run(**files: str) -> TaskRun:
        folder = tmp_path / "experiments" / "capitals"
        folder.mkdir(parents=True)
        for stem, text in {"task": TASK, **files}.items():
            (folder / f"{stem}.py").write_text(textwrap.dedent(text))
        with importable(tmp_path / "experiments"):
            experiments = load_experiments(tmp_path / "experiments").experiments
            with contextlib.closing(DryRunRecorder(Datasets(), JobSpec(), examples=1)) as recorder:
                limits = Limits(timeout_seconds=10)
                (result,) = run_engine(
                    experiments, recorder=recorder, tracer=NoTracing(), observer=Quiet(), limits=limits, stop=Stop()
                ).results
        assert result.problems == ()
        (one,) = result.runs
        return one

    return run


def said(run: TaskRun) -> list[tuple[Any, ...]]:
    assert run.failures == []
    return [(one.name, one.score, one.label, one.annotator_kind) for one in run.evaluations]


def test_decorated_functions_score(run):
    """Plain and async functions under `create_evaluator`, with parameters of evalwire's names."""
    result = run(
        plain="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="another name")
            def plain(output, expected):
                return expected["expected_output"] in output
            """,
        waiting="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="waiting", kind="llm")
            async def waiting(output, input):
                return 0.5, "half", f"of {input['q']} and more"
            """,
    )
    assert said(result) == [("plain", 1.0, "True", "CODE"), ("waiting", 0.5, "half", "LLM")]
    assert result.evaluations[1].explanation == "of Capital of France? and more"


def test_a_bool_under_a_decorator_is_a_bool(run):
    """As far as the decorator lets it be seen: it makes a float of one in a tuple, and keeps one in a dict."""
    result = run(
        bare="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="bare")
            def bare(output):
                return True
            """,
        fields="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="fields")
            def fields(output):
                return {"score": True, "label": "found", "explanation": "it is there"}
            """,
        number="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="number")
            def number(output):
                return 1.0
            """,
    )
    assert said(result) == [
        ("bare", 1.0, "True", "CODE"),
        ("fields", 1.0, "found", "CODE"),
        ("number", 1.0, None, "CODE"),
    ]
    assert [one.kind for one in result.evaluations] == ["bool", "bool", "number"]


def test_a_mapping_finds_what_an_evaluator_calls_by_other_names(run):
    """`bind_evaluator` maps evalwire's values to those of an evaluator from elsewhere."""
    result = run(
        has_city="""
            from phoenix.evals import bind_evaluator, create_evaluator

            @create_evaluator(name="has_city")
            def written_elsewhere(answer: str, city: str) -> float:
                return float(city in answer)

            has_city = bind_evaluator(
                evaluator=written_elsewhere,
                input_mapping={"answer": "output", "city": "expected.expected_output"},
            )
            """
    )
    assert said(result) == [("has_city", 1.0, None, "CODE")]


def test_classes_score(run):
    """A class of the user's with `_evaluate` alone, and one with both methods."""
    result = run(
        both="""
            from phoenix.evals import Evaluator, Score

            class Both(Evaluator):
                def _evaluate(self, eval_input):
                    raise AssertionError("the async method is there")

                async def _async_evaluate(self, eval_input):
                    return [Score(score=0.25, label=eval_input["output"])]

            both = Both(name="both", kind="human")
            both.bind({"output": "output"})
            """,
        grounded="""
            from pydantic import BaseModel
            from phoenix.evals import Evaluator, Score

            class Fields(BaseModel):
                output: str
                expected: dict

            class Grounded(Evaluator):
                def __init__(self):
                    super().__init__(name="grounded", kind="code", input_schema=Fields)

                def _evaluate(self, eval_input):
                    return [Score(score=eval_input["expected"]["expected_output"] in eval_input["output"])]

            grounded = Grounded()
            """,
    )
    assert said(result) == [("both", 0.25, "Paris, of course", "HUMAN"), ("grounded", 1.0, None, "CODE")]


def test_several_scores_of_one_evaluator_keep_their_names(run):
    """Those of the package's own metrics too."""
    result = run(
        overlap="""
            from phoenix.evals import bind_evaluator
            from phoenix.evals.metrics import PrecisionRecallFScore

            overlap = bind_evaluator(
                evaluator=PrecisionRecallFScore(),
                input_mapping={"output": lambda given: ["a", "a"], "expected": lambda given: ["a", "b"]},
            )
            """
    )
    assert {(one.name, one.score, one.evaluator) for one in result.evaluations} >= {("precision", 0.25, "overlap")}
    assert len(result.evaluations) == 3
    assert result.failures == []


def test_classifiers_score(run):
    """A ClassificationEvaluator and a `create_classifier`, with a provider of the user's."""
    result = run(
        _fake_llm=FAKE_LLM,
        correct="""
            from phoenix.evals import ClassificationEvaluator
            from ._fake_llm import llm

            correct = ClassificationEvaluator(
                name="correctness",
                llm=llm,
                prompt_template="Is {output} right? Expected: {expected}",
                choices={"right": 1.0, "wrong": 0.0},
            )
            """,
        labeled="""
            from phoenix.evals import create_classifier
            from ._fake_llm import llm

            labeled = create_classifier(
                name="labeled", llm=llm, prompt_template="{{input.q}}", choices=["right", "wrong"]
            )
            """,
        partly="""
            from phoenix.evals import create_classifier
            from ._fake_llm import llm

            partly = create_classifier(
                name="partly", llm=llm, prompt_template="{{output}}", choices={"right": 1, "partly": 0.5, "wrong": 0}
            )
            """,
    )
    assert said(result) == [
        ("correct", 1.0, "right", "LLM"),
        ("labeled", None, "wrong", "LLM"),
        ("partly", 1.0, "right", "LLM"),
    ]
    assert [one.kind for one in result.evaluations] == ["bool", "label", "number"], "by the choices that are declared"
    assert result.evaluations[0].explanation == "asked with 2 fields"
    assert result.evaluations[0].metadata["model"] == "fake-1"


def test_an_llm_evaluator_may_have_the_plain_method_alone(run):
    """The package asks for one of the two methods of its LLMEvaluator, not for both."""
    result = run(
        _fake_llm=FAKE_LLM,
        polite="""
            from phoenix.evals import LLMEvaluator, Score
            from ._fake_llm import llm

            class Polite(LLMEvaluator):
                def _evaluate(self, eval_input):
                    return [Score(score=1.0, explanation=self.llm.generate_text(prompt=eval_input["output"]))]

            polite = Polite(name="polite", llm=llm, prompt_template="{output}")
            """,
    )
    assert said(result) == [("polite", 1.0, None, "LLM")]
    assert result.evaluations[0].explanation == "text"


def test_what_an_evaluator_raises_or_lacks_is_a_failure(run):
    """A field that is missing, and an exception in the evaluator, are failures with their message, never a score."""
    result = run(
        broken="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="broken")
            def broken(output):
                raise KeyError("in the evaluator")
            """,
        unbound="""
            from phoenix.evals import create_evaluator

            @create_evaluator(name="unbound")
            def unbound(nobody_gives_this):
                return 1.0
            """,
    )
    assert [one.score for one in result.evaluations] == [None, None]
    assert "in the evaluator" in result.failures[0].message
    assert "nobody_gives_this" in result.failures[1].message


def test_they_compose_with_the_built_in_ones(run):
    """`make_all_pass_evaluator` takes them beside its own."""
    result = run(
        _fake_llm=FAKE_LLM,
        both="""
            from phoenix.evals import ClassificationEvaluator, create_evaluator
            from evalwire.evaluators import make_all_pass_evaluator, make_contains_evaluator
            from ._fake_llm import llm

            @create_evaluator(name="short")
            def short(output):
                return len(output) < 100

            correct = ClassificationEvaluator(
                name="correct", llm=llm, prompt_template="{output}", choices={"right": 1.0, "wrong": 0.0}
            )
            both = make_all_pass_evaluator([short, correct, make_contains_evaluator()])
            """,
    )
    assert said(result) == [("both", 1.0, "True", "CODE")]


class Untraced:
    """A trace whose context the test can look into."""

    trace_id = None
    usage = None

    def __init__(self, context: Any) -> None:
        self.context = context

    def finish(self, **_: Any) -> None:
        pass


@pytest.mark.parametrize("is_decorated", [True, False])
def test_plain_evaluators_run_on_evalwires_threads_in_the_context_of_their_call(evals, is_decorated):
    """Their spans join the call's trace, and one that never returns does not keep the process from ending."""
    mark = contextvars.ContextVar("mark", default="lost")
    threads = []

    def judge(output):
        threads.append(threading.current_thread())
        return evals.Score(label=mark.get())

    if is_decorated:
        judge = evals.create_evaluator(name="judge")(judge)
    else:

        class Judge(evals.Evaluator):
            def _evaluate(self, eval_input):
                return [of_output(eval_input["output"])]

        of_output, judge = judge, Judge(name="judge", kind="code")
        judge.bind({"output": "output"})

    context = contextvars.copy_context()
    context.run(mark.set, "seen")
    callee = bind_evaluator("judge", judge, path=Path("judge.py"))

    async def main() -> Any:
        values = evaluator_values(EXAMPLE, "Paris", None)
        call = Call(
            callee,
            clock=Clock(20),
            root=Path(),
            stage="evaluator",
            convert=lambda returned: returned[0].label,
        )
        call.start(Untraced(context), values, Threads())
        await call.over()
        return call.value, call.failure

    assert asyncio.run(main()) == ("seen", None)
    assert threads[0].daemon
    assert threads[0] is not threading.main_thread()
