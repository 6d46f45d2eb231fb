"""Find evaluators that changed since the baseline, and put today's scores into the baseline (pure)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.model import Rescored, changed_files, first_of, inputs_of, mean, own_metadata

if TYPE_CHECKING:
    from evalwire.model import BaselineScore, ExperimentResult, TaskRun

_MOST_NAMED = 3  # files to list in a reason


def changed_evaluators(
    result: ExperimentResult, before: ExperimentResult, today: Callable[[str], str | None] = lambda _: None
) -> dict[str, str]:
    """Return the changed evaluators: for each name, the reason why its recorded scores cannot be compared.

    Args:
        result: the run.
        before: its baseline.
        today: function that returns the current digest of a project file; None if it cannot be determined.
    """
    now, then = inputs_of(result), inputs_of(before)
    hashes = _file_hashes(result), _file_hashes(before)
    reasons: dict[str, str] = {}
    for name in result.evaluator_names:
        if (
            name not in now.evaluators and name not in hashes[0]
        ):  # another tool recorded it: there is no file to compare
            continue
        if name not in before.evaluator_names:
            reasons[name] = "it is new"
        elif name in now.evaluators and name in then.evaluators:
            if files := changed_files(now.evaluators[name], then.evaluators[name], today):
                reasons[name] = f"changed: {first_of(files, _MOST_NAMED)}"
        elif not hashes[0].get(name) or hashes[0].get(name) != hashes[1].get(name):
            reasons[name] = "it changed, or the baseline has no record of its files"
    return reasons


def changed_task(
    result: ExperimentResult, before: ExperimentResult, today: Callable[[str], str | None] = lambda _: None
) -> tuple[str, ...]:
    """Return the files of the task that changed since the baseline; `("(not known)",)` if this is not known."""
    now, then = inputs_of(result), inputs_of(before)
    if not (now.is_known and then.is_known):
        return ("(not known)",)
    return tuple(changed_files(now.task, then.task, today))


def _file_hashes(result: ExperimentResult) -> Mapping[str, str]:
    recorded = own_metadata(result.experiment_metadata).get("evaluators")
    return recorded if isinstance(recorded, dict) else {}


def comparable_part(result: ExperimentResult, before: ExperimentResult) -> ExperimentResult:
    """Return the part of a baseline to compare: the unchanged examples, in the repetitions that both sides have."""
    here, there = result.contents, before.contents
    repetitions = min(result.repetitions, before.repetitions)
    same = {example_id for example_id, content in there.items() if here.get(example_id) == content}
    runs = tuple(run for run in before.runs if run.repetition <= repetitions and run.example.id in same)
    return replace(before, runs=runs, repetitions=repetitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredBaseline:
    """A baseline with the scores of today's evaluators.

    Attributes:
        result: the baseline, with today's scores of changed evaluators.
        rescored: the scores that changed evaluators gave the baseline again.
        lost: reasons why scores of changed evaluators cannot be compared, by evaluator; `result` omits these scores.
        unscored: IDs of the examples on whose baseline output an evaluator failed today, by score name.
    """

    result: ExperimentResult
    rescored: tuple[Rescored, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    unscored: Mapping[str, Collection[str]] = field(default_factory=dict)


def under_todays_evaluators(
    result: ExperimentResult, before: ExperimentResult, changed: Mapping[str, str]
) -> RescoredBaseline:
    """Return a baseline in which today's scores replace the recorded scores of changed evaluators.

    Each evaluation of the run has today's score of the baseline output in `baseline_score`. A run whose task failed
    has no evaluations, so the recorded score of the baseline remains, unless it is a number: recorded and new numbers
    may have different scales.

    Args:
        result: the run.
        before: its baseline, as returned by `comparable_part`.
        changed: reasons why recorded scores cannot be compared, by evaluator.
    """
    if not changed:
        return RescoredBaseline(result=before)
    own = {(run.example.id, run.repetition): {found.name: found for found in run.evaluations} for run in result.runs}
    names = {
        found.name: found.evaluator for run in result.runs for found in run.evaluations if found.evaluator in changed
    }
    lost = {name: reason for name, reason in changed.items() if not _is_rescored(name, result, before)}
    again: dict[str, list[tuple[TaskRun, BaselineScore]]] = {
        name: [] for name, evaluator in sorted(names.items()) if evaluator not in lost
    }
    runs = []
    for run in before.runs:
        mine = own.get((run.example.id, run.repetition), {})
        kept = [found for found in run.evaluations if found.evaluator not in changed and found.name not in names]
        for name, outputs in again.items() if run.failure is None else ():
            score = mine[name].baseline_score if name in mine else None
            if score is None:
                kept += [found for found in run.evaluations if found.name == name and found.kind != "number"]
                continue
            outputs.append((run, score))
            if not score.failed:
                kept.append(replace(mine[name], score=score.score, label=score.label, kind=score.kind, failure=None))
        runs.append(replace(run, evaluations=tuple(kept)))
    return RescoredBaseline(
        result=replace(before, runs=tuple(runs)),
        rescored=tuple(_rescored(names[name], name, changed[names[name]], outputs) for name, outputs in again.items()),
        lost=lost,
        unscored={name: {run.example.id for run, score in outputs if score.failed} for name, outputs in again.items()},
    )


def _is_rescored(evaluator: str, result: ExperimentResult, before: ExperimentResult) -> bool:
    """Check whether an evaluator scored each baseline output for which the run has an evaluation."""
    there = {(run.example.id, run.repetition) for run in before.runs if run.failure is None}
    scores = [
        found.baseline_score
        for run in result.runs
        if (run.example.id, run.repetition) in there
        for found in run.evaluations
        if found.evaluator == evaluator
    ]
    return bool(scores) and all(score is not None and score.experiment_id == before.experiment_id for score in scores)


def _rescored(evaluator: str, name: str, reason: str, outputs: Sequence[tuple[TaskRun, BaselineScore]]) -> Rescored:
    """Count the outputs of a baseline that an evaluator scored again, and average their scores."""
    scores = [score.score for _, score in outputs if score.score is not None]
    recorded = [
        found.score
        for run, score in outputs
        for found in run.evaluations
        if found.name == name and found.score is not None and score.score is not None
    ]
    return Rescored(
        evaluator=evaluator,
        evaluation=name,
        reason=reason,
        outputs=len(scores),
        failed=sum(score.failed for _, score in outputs),
        recorded=_mean(recorded),
        today=_mean(scores),
    )


def _mean(values: list[float]) -> float | None:
    return mean(values) if values else None
