"""A finished report with everything in it: repetitions, failures, gates, a baseline, usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalwire.model.baseline import Baseline, BaselineRun, Comparison, Interval, Pair
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.gates import GateResult
from evalwire.model.prices import Price
from evalwire.model.report import Report
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation, TaskRun
from evalwire.model.usage import ModelUsage

BEGAN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def example(n: int, **changes: Any) -> Example:
    fields = {
        "id": f"q{n}",
        "node_id": f"RGF0YXNldEV4YW1wbGU6{n}",
        "input": {"user_query": f"How do I get refund number {n}?"},
        "output": {"expected_output": f"refund {n}"},
        "metadata": {"topic": "refunds"},
    }
    return Example(**{**fields, **changes})


def evaluation(name: str, score: float | None, **changes: Any) -> Evaluation:
    fields = {"evaluator": name, "start_time": BEGAN, "end_time": BEGAN + timedelta(milliseconds=3), "id": f"E-{name}"}
    return Evaluation(name=name, score=score, **{**fields, **changes})


def boolean(name: str, *, passed: bool, **changes: Any) -> Evaluation:
    return evaluation(name, float(passed), **{"label": str(passed), **changes})


def run(n: int, output: Any = "refunds", *, seconds: float | None = None, **changes: Any) -> TaskRun:
    seconds = 0.2 + 0.01 * n if seconds is None else seconds
    usage = ModelUsage(
        model="gpt-4o", calls=1, prompt_tokens=100 + n, completion_tokens=20, total_tokens=120 + n, cost_usd=0.001
    )
    fields = {
        "example": example(n),
        "failure": None,
        "start_time": BEGAN + timedelta(seconds=n),
        "end_time": BEGAN + timedelta(seconds=n + seconds),
        "trace_id": f"{n:032x}",
        "id": f"R{n}",
        "usage": (usage,),
    }
    return TaskRun(output=output, **{**fields, **changes})


def failure(**changes: Any) -> Failure:
    fields = {
        "kind": "user",
        "stage": "task",
        "type": "KeyError",
        "message": "'answer'",
        "where": "/work/experiments/support_router/task.py:12",
        "traceback": '  File "/work/experiments/support_router/task.py", line 12, in task\n    return reply["answer"]\nKeyError: \'answer\'\n',
    }
    return Failure(**{**fields, **changes})


def result(name: str, runs: list[TaskRun], *, evaluators: tuple[str, ...], **changes: Any) -> ExperimentResult:
    path = Path("/work/experiments") / name
    opened = OpenExperiment(
        experiment=Experiment(name=name, dataset_name=name, path=path, task=None),
        dataset=Dataset(id="RDS1", name=name, version_id="RDV3", examples=()),
        recorded_name=f"eval_{name}_2026-11-20T09:30:00Z",
        id=f"EXP-{name}",
        url=f"https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-{name}",
        project_name=f"Experiment-{name}",
        repetitions=changes.get("repetitions", 1),
        metadata={"dataset": name, "run_by": "evalwire"},
    )
    fields = {
        "dataset_name": name,
        "path": str(path),
        "evaluator_names": evaluators,
        "opened": opened,
        "runs": tuple(runs),
        "example_count": len({run.example.node_id for run in runs}),
        "seconds": 12.5,
    }
    return ExperimentResult(name=name, **{**fields, **changes})


def red_report(**changes: Any) -> Report:
    """Of two experiments: one got worse than its baseline, one has failures of a task and of an evaluator."""
    search = [
        run(
            n,
            {"documents": [f"doc {n}", "doc 0"]} if n % 2 else ["doc 1"],
            evaluations=(
                boolean("exact_match", passed=n > 4, explanation=None if n > 4 else "the first document is another"),
                evaluation("top_k", 0.4 + 0.05 * n, metadata={"k": 3}),
            ),
        )
        for n in range(12)
    ]
    router = [
        run(20, evaluations=(boolean("routed", passed=True), evaluation("tone", None, label="polite"))),
        run(20, repetition=2, evaluations=(boolean("routed", passed=False), evaluation("tone", None, label="curt"))),
        run(21, None, failure=failure(), evaluations=()),
        run(21, repetition=2, evaluations=(boolean("routed", passed=True), evaluation("tone", None, label="polite"))),
        run(
            22,
            evaluations=(
                boolean("routed", passed=True),
                evaluation("tone", None, failure=failure(stage="evaluator", type="ValueError", message="no tone")),
            ),
        ),
        run(22, repetition=2, evaluations=(boolean("routed", passed=True), evaluation("tone", None, label="polite"))),
    ]
    pairs = tuple(Pair(example_id=f"q{n}", before=1.0, after=float(n > 4)) for n in range(11))
    compared = Comparison(
        name="exact_match",
        is_bool=True,
        pairs=pairs,
        before=1.0,
        after=6 / 11,
        change=-5 / 11,
        interval=Interval(low=-0.805, high=-0.104, method="paired t"),
        p_value=0.015625,
        test="McNemar mid-p",
        minimum_detectable=0.42,
    )
    graded = Comparison(
        name="top_k",
        pairs=tuple(Pair(example_id=f"q{n}", before=0.45 + 0.05 * n, after=0.4 + 0.05 * n) for n in range(11)),
        before=0.7,
        after=0.65,
        change=-0.05,
        interval=Interval(low=-0.05, high=-0.05, method="paired t"),
        p_value=0.0005,
        test="sign-flip permutation",
        minimum_detectable=0.0,
    )
    gates = (
        GateResult(
            experiment="doc_search",
            evaluation="exact_match",
            rule="max_drop",
            threshold=0.02,
            value=5 / 11,
            status="failed",
            is_red=True,
            interval=compared.interval,
            p_value=0.03125,
            is_rate=True,
            text="exact_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): a drop of at most 2 points is allowed",
            source="evalwire.toml [gates.doc_search] exact_match",
        ),
        GateResult(
            experiment="doc_search",
            evaluation="top_k",
            rule="min",
            threshold=0.6,
            value=0.675,
            status="passed",
            is_red=False,
            interval=Interval(low=0.56, high=0.79, method="t"),
            text="top_k mean 0.675 is at least 0.6",
            source="--gate",
        ),
        GateResult(
            experiment="support_router",
            rule="max_error_rate",
            threshold=0.0,
            value=2 / 6,
            status="failed",
            is_red=True,
            is_rate=True,
            text="2 of 6 runs failed",
            source="default",
        ),
    )
    baseline = Baseline(
        experiment="doc_search",
        asked="auto",
        experiment_id="EXP-main",
        recorded_name="eval_doc_search_2026-11-19T09:30:00Z",
        url="https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main",
        branch="main",
        commit="0123456789abcdef0123456789abcdef01234567",
        paired=11,
        added=("q11",),
        removed=("q98",),
        changed=(),
        comparisons=(compared, graded),
        runs=tuple(
            BaselineRun(
                example_id=f"q{n}",
                output={"documents": [f"doc {n}", "doc 0"]},
                explanations={"exact_match": "the first document is right"},
                trace_id=f"{n + 100:032x}",
            )
            for n in range(11)
            if n % 2 == 0
        ),
    )
    fields = {
        "outcome": "errors",
        "exit_code": 1,
        "results": (
            result("doc_search", search, evaluators=("exact_match", "top_k")),
            result("support_router", router, evaluators=("routed", "tone"), repetitions=2),
        ),
        "started_at": BEGAN,
        "seconds": 31.25,
        "endpoint": "https://phoenix.example.com",
        "evalwire_version": "1.0.0",
        "journal": "test-results/journal-20261120T093000.jsonl",
        "ci": {"ci": "github", "branch": "better-search", "commit": "fedcba9876543210fedcba9876543210fedcba98"},
        "gates": gates,
        "baselines": (baseline,),
        "prices": {"gpt-4o": Price(input=2.5, output=10.0)},
        "directory": "/work",
    }
    return Report(**{**fields, **changes})
