"""Runs with given scores, gates on them, and what the gates come to."""

from __future__ import annotations

from typing import Any

from reporting import boolean, evaluation, failure, result, run

from evalwire.gates import Gate
from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.model.gates import GateResult
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation

Said = float | bool | str | None

NA = evaluation("s", None, label="not applicable", kind="not_applicable")
BECAUSE = evaluation("s", 1.0, label="because", kind="bool")
NOT_YET = evaluation("s", 0.0, label="not yet", kind="bool")


def said(score: Said, name: str = "s") -> dict[str, Any]:
    """What one run says: a score, a bool, a label; None is a task that failed."""
    match score:
        case None:
            return {"failure": failure(), "evaluations": ()}
        case bool():
            return {"evaluations": (boolean(name, passed=score),)}
        case str():
            return {"evaluations": (evaluation(name, None, label=score),)}
    return {"evaluations": (evaluation(name, score),)}


def ran(*scores: Said, name: str = "search", **changes: Any) -> ExperimentResult:
    runs = [run(n, **said(score)) for n, score in enumerate(scores)]
    return result(name, runs, evaluators=("s",), **changes)


def mixed(*given: Evaluation | Said, repetitions: int = 1, **changes: Any) -> ExperimentResult:
    """Runs with evaluations of any kind; with repetitions, those of one example stand together."""
    runs = [
        run(
            n // repetitions,
            repetition=n % repetitions + 1,
            **({"evaluations": (one,)} if isinstance(one, Evaluation) else said(one)),
        )
        for n, one in enumerate(given)
    ]
    return result("search", runs, evaluators=("s",), repetitions=repetitions, **changes)


def gate(rule: str, threshold: float, **changes: Any) -> Gate:
    fields = {"experiment": "search", "evaluation": "s", "source": "--gate"}
    return Gate(rule=rule, threshold=threshold, **{**fields, **changes})


def verdict(
    found: ExperimentResult, asked: Gate, *, before: ExperimentResult | None = None, **changes: Any
) -> GateResult:
    """The only verdict of the gate."""
    directions = {asked.evaluation or "": asked.direction}
    baselines = {"search": compare_results(found, before, asked="auto", directions=directions)} if before else {}
    fields = {"baselines": baselines, "prices": {}}
    verdicts = apply_gates([found], [asked], **{**fields, **changes})
    (its,) = [one for one in verdicts if one.source != "default"]
    assert (its.experiment, its.rule, its.source) == (asked.experiment, asked.rule, asked.source)
    assert (its.evaluation, its.threshold) == (asked.evaluation, asked.threshold)
    return its
