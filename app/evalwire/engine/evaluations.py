"""Conversion of evaluators' results to the evaluations of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalwire.model import EMPTY, Evaluation, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalwire.engine.call_retries import CallResult
    from evalwire.model import OpenExperiment, TaskRun
    from evalwire.usercode import EvaluatorScore


def evaluations_of(outcome: CallResult[list[EvaluatorScore]]) -> list[Evaluation]:
    """Return an evaluator's evaluations, or an evaluation with its failure."""
    call = outcome.call
    name = call.callee.name
    common: dict[str, Any] = {
        "evaluator": name,
        "annotator_kind": call.callee.annotator_kind,
        "start_time": call.start_time,
        "end_time": call.end_time,
        "trace_id": call.trace_id,
        "attempts": outcome.attempts,
    }
    if outcome.value is None:
        return [Evaluation(name=name, failure=outcome.failure, usage=outcome.usage, **common)]
    return [
        Evaluation(
            name=score.name,
            score=score.score,
            label=score.label,
            explanation=score.explanation,
            metadata=score.metadata or EMPTY,
            kind="bool" if call.callee.gives_bools and score.score in (0, 1) else score.kind,
            usage=() if index and outcome.usage is not None else outcome.usage,
            **common,
        )
        for index, score in enumerate(outcome.value)
    ]


def is_evaluated(opened: OpenExperiment, run: TaskRun) -> bool:
    """Check whether all evaluators have evaluated a run; a failed run needs no evaluation."""
    done = {evaluation.evaluator for evaluation in run.evaluations}
    return run.failure is not None or done.issuperset(evaluator.name for evaluator in opened.experiment.evaluators)


def with_all(opened: OpenExperiment, run: TaskRun, evaluations: Iterable[Evaluation]) -> TaskRun:
    """Return a run with the evaluations in the order of the evaluators, independent of which finished first."""
    found = tuple(evaluations)
    if len(found) > 1:
        order = {evaluator.name: index for index, evaluator in enumerate(opened.experiment.evaluators)}
        in_order = sorted(found, key=lambda evaluation: order.get(evaluation.evaluator, len(order)))
        found = _without_repeats(in_order)
    return replace(run, evaluations=found)


def _without_repeats(evaluations: list[Evaluation]) -> tuple[Evaluation, ...]:
    """Turn evaluations with a name that is already in use into failures: Phoenix would keep only the last."""
    seen: dict[str, str] = {}
    kept: list[Evaluation] = []
    for evaluation in evaluations:
        owner = seen.setdefault(evaluation.name, evaluation.evaluator)
        if owner == evaluation.evaluator:
            kept.append(evaluation)
            continue
        clash = Failure(
            kind="user",
            stage="evaluator",
            type="ValueError",
            message=f"the result {evaluation.name!r} has the same name as a result of {owner!r}; change its `name`",
        )
        name = f"{evaluation.evaluator}.{evaluation.name}"
        kept.append(replace(evaluation, name=name, score=None, label=None, kind=None, failure=clash, id=None))
    return tuple(kept)
