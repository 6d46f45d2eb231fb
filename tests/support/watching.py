"""Runs in a random order, and when gates that look at them are decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from applying import said
from reporting import evaluation, failure, result, run

from evalwire.gates import ExperimentStopping, Gate, with_shares
from evalwire.gates.stopping import EarlyGate
from evalwire.model import GateDecision, StoppingRules
from evalwire.model.result import ExperimentResult
from evalwire.model.run import TaskRun


class Odd(Enum):
    """What a run can say that is not a score."""

    NOT_APPLICABLE = "not applicable"
    LABEL_ONLY = "a label without a score"
    EVALUATOR_FAILED = "the evaluator failed"


NOT_APPLICABLE, LABEL_ONLY, EVALUATOR_FAILED = Odd
Said = float | bool | str | Odd | None


def ran_one(n: int, score: Said, *, name: str = "s", **changes: Any) -> TaskRun:
    """A run of the example with this number."""
    match score:
        case Odd.NOT_APPLICABLE:
            fields = {"evaluations": (evaluation(name, None, kind="not_applicable"),)}
        case Odd.LABEL_ONLY:
            fields = {"evaluations": (evaluation(name, None, label="unsure"),)}
        case Odd.EVALUATOR_FAILED:
            fields = {"evaluations": (evaluation(name, None, failure=failure(stage="evaluator")),)}
        case _:
            fields = said(score, name)
    return run(n, **{**fields, **changes})


def runs_of(scores: Iterable[Said], **changes: Any) -> list[TaskRun]:
    return [ran_one(n, score, **changes) for n, score in enumerate(scores)]


def whole(runs: Sequence[TaskRun], **changes: Any) -> ExperimentResult:
    """An experiment with these runs, in the order of the dataset."""
    ordered = sorted(runs, key=lambda one: (int(one.example.id[1:]), one.repetition))
    return result("search", ordered, evaluators=("s",), **changes)


def rounds(scores: Sequence[Sequence[Said]]) -> ExperimentResult:
    """An experiment with several repetitions: a row of scores for each."""
    made = [
        ran_one(n, score, repetition=repetition)
        for repetition, row in enumerate(scores, 1)
        for n, score in enumerate(row)
    ]
    return whole(made, repetitions=len(scores))


def rules(gates: Sequence[Gate] = (), **changes: Any) -> StoppingRules:
    found = StoppingRules(**{"min_examples": 1, **changes})
    return with_shares(found, gates) if gates else found


def stopping(gates: Sequence[Gate], runs: Sequence[TaskRun], **changes: Any) -> ExperimentStopping:
    """The gates of an experiment that will have these runs, in this order."""
    fields = {"repetitions": 1, "rules": rules(gates), "before": None, "changed": (), "prices": {}}
    examples = list({one.example.id: one.example for one in runs}.values())
    return ExperimentStopping(gates, examples, order=range(len(examples)), **{**fields, **changes})


def look(found: EarlyGate, runs: Sequence[TaskRun]) -> tuple[int, GateDecision]:
    """Look until the gate is decided, or at all runs; return the number of runs, and the decision."""
    for number, one in enumerate(runs, 1):
        found.add(one)
        if found.decision.status is not None:
            return number, found.decision
    return len(runs), found.decision
