"""The evaluations of a run: what each has of its evaluator's call, their order, and names that are in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recording_seams import LATER, NOW, evaluation, evaluator, experiment, opened, run

from evalwire.engine.call_retries import CallResult
from evalwire.engine.evaluations import evaluations_of, is_evaluated, with_all
from evalwire.engine.first_runs import FirstRuns
from evalwire.model import Evaluation, Failure, ModelUsage
from evalwire.usercode import EvaluatorScore

USAGE = (ModelUsage(model="m", calls=1, prompt_tokens=2, completion_tokens=3, total_tokens=5),)
FAILURE = Failure(kind="user", stage="evaluator", type="KeyError", message="m", where="/p/e/judge.py:3")
COMMON = {
    "evaluator": "judge",
    "annotator_kind": "LLM",
    "start_time": NOW,
    "end_time": LATER,
    "trace_id": "t",
    "attempts": 3,
}


def returned(*scores: EvaluatorScore, gives_bools: bool = False, **fields: Any) -> list[Evaluation]:
    callee = replace(evaluator("judge"), annotator_kind="LLM", gives_bools=gives_bools)
    call = SimpleNamespace(callee=callee, start_time=NOW, end_time=LATER, trace_id="t")
    given = {"value": list(scores) or None, "failure": None, "usage": USAGE, **fields}
    return evaluations_of(CallResult(call=call, attempts=3, **given))  # type: ignore[arg-type]


def test_evaluations_have_everything_that_the_evaluator_returned_and_its_call_had():
    """The usage is the call's, so only the first evaluation has it."""
    first = EvaluatorScore(name="a", score=0.5, label="l", explanation="e", metadata={"k": 1}, kind="number")
    second = EvaluatorScore(name="b", score=None, label="x", kind="label")
    assert returned(first, second) == [
        Evaluation(
            name="a", score=0.5, label="l", explanation="e", metadata={"k": 1}, kind="number", usage=USAGE, **COMMON
        ),
        Evaluation(name="b", label="x", kind="label", usage=(), metadata={}, **COMMON),
    ]
    assert [each.usage for each in returned(first, second, usage=None)] == [None, None]


def test_a_failed_evaluator_has_an_evaluation_with_its_name_and_failure():
    assert returned(failure=FAILURE) == [Evaluation(name="judge", failure=FAILURE, usage=USAGE, **COMMON)]


@pytest.mark.parametrize(("score", "kind"), [(0, "bool"), (1, "bool"), (0.5, "number"), (2, "number"), (None, "label")])
def test_a_score_of_0_or_1_of_an_evaluator_that_declared_bools_is_a_bool(score, kind):
    given = EvaluatorScore(name="a", score=score, label="x", kind="label" if score is None else "number")
    assert [each.kind for each in returned(given, gives_bools=True)] == [kind]
    assert [each.kind for each in returned(given)] == [given.kind]


THREE = opened(experiment=experiment(evaluators=("a", "b", "c")))


@pytest.mark.parametrize(
    ("names", "failure", "is_done"),
    [(("a", "b", "c"), None, True), (("a", "b"), None, False), (("a", "b", "d"), None, False), ((), FAILURE, True)],
)
def test_a_run_is_evaluated_if_each_evaluator_has_evaluated_it_or_its_task_failed(names, failure, is_done):
    assert is_evaluated(THREE, run(failure=failure, evaluations=tuple(map(evaluation, names)))) is is_done


def test_evaluations_are_in_the_order_of_the_evaluators_and_then_those_of_former_evaluators():
    for names in (("former", "c", "b", "other", "a"), ("b", "a"), ("b",)):
        given = with_all(THREE, run(), [evaluation(name) for name in names]).evaluations
        assert [each.name for each in given] == sorted(names)


def test_an_evaluation_whose_name_another_evaluator_uses_is_a_failure_of_the_user_without_a_score():
    """An evaluator itself may return a name twice: the second has replaced the first."""
    own = [evaluation("a", evaluator="a"), evaluation("x", evaluator="a"), evaluation("x", evaluator="a", score=0.25)]
    clash = evaluation("x", evaluator="b", score=1.0, label="l", id="recorded", usage=USAGE)
    *kept, failed = with_all(THREE, run(), [clash, *own]).evaluations
    assert kept == own
    assert failed == replace(clash, name="b.x", score=None, label=None, kind=None, id=None, failure=failed.failure)
    assert (failed.failure.kind, failed.failure.stage, failed.failure.type) == ("user", "evaluator", "ValueError")
    assert "'x' has the same name as a result of 'a'" in failed.failure.message


# --- first runs ----------------------------------------------------------------------------------------


def failed(where: str | None = "/p/e/judge.py:3", type_: str = "KeyError") -> Any:
    """A run that failed in an evaluator."""
    said = evaluation(score=None, failure=replace(FAILURE, where=where, type=type_))
    return run(evaluations=(said,))


@pytest.mark.parametrize(
    ("runs", "decides"),
    [
        ([failed()] * 9, None),
        ([failed()] * 12, 10),
        ([failed()] * 9 + [run()] + [failed()] * 12, None),
        ([run()] + [failed()] * 12, None),
        ([failed(None)] + [failed()] * 12, None),
        ([failed("/p/e/judge.py:4")] + [failed()] * 12, None),
        ([failed(type_="ValueError")] + [failed()] * 12, None),
    ],
)
def test_the_tenth_of_ten_runs_that_fail_alike_stops_the_experiment_once(runs, decides):
    first_runs = FirstRuns()
    found = [first_runs.add(each, root=Path("/p")) for each in runs]
    assert [number for number, failure in enumerate(found, start=1) if failure] == ([decides] if decides else [])
    if decides:
        assert found[decides - 1] == Failure(
            kind="user",
            stage="task",
            type="TooManyFailures",
            message="the first 10 runs all failed with KeyError at e/judge.py:3; no further runs were started",
        )
