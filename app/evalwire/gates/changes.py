"""Which evaluators were changed since the baseline, and what the baseline is under today's evaluators (pure)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.model import Rescored, changed_files, inputs_of, mean, own_metadata

if TYPE_CHECKING:
    from evalwire.model import Evaluation, ExperimentResult, TaskRun

_MOST_NAMED = 3  # files, in a reason


def changed_evaluators(
    result: ExperimentResult, before: ExperimentResult, today: Callable[[str], str | None] = lambda _: None
) -> dict[str, str]:
    """Return why the recorded scores of an evaluator cannot be compared, by the name of each that was changed.

    Args:
        result: the run.
        before: its baseline.
        today: the digest of a file of the project as it is now; None where this cannot be told.
    """
    now, then = inputs_of(result), inputs_of(before)
    hashes = _file_hashes(result), _file_hashes(before)
    reasons: dict[str, str] = {}
    for name in result.evaluator_names:
        if name not in now.evaluators and name not in hashes[0]:  # recorded by another tool: nobody knows it
            continue
        if name not in before.evaluator_names:
            reasons[name] = "it is new"
        elif name in now.evaluators and name in then.evaluators:
            if files := changed_files(now.evaluators[name], then.evaluators[name], today):
                reasons[name] = _named(files)
        elif not hashes[0].get(name) or hashes[0].get(name) != hashes[1].get(name):
            reasons[name] = "it was changed, or its baseline does not say"
    return reasons


def changed_task(
    result: ExperimentResult, before: ExperimentResult, today: Callable[[str], str | None] = lambda _: None
) -> tuple[str, ...]:
    """Return the files of the task that were changed since the baseline; one without a name where it is not known."""
    now, then = inputs_of(result), inputs_of(before)
    if not (now.is_known and then.is_known):
        return ("(not known)",)
    return tuple(changed_files(now.task, then.task, today))


def _file_hashes(result: ExperimentResult) -> Mapping[str, str]:
    recorded = own_metadata(result.experiment_metadata).get("evaluators")
    return recorded if isinstance(recorded, dict) else {}


def _named(files: Collection[str]) -> str:
    shown = ", ".join(list(files)[:_MOST_NAMED])
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return f"changed: {shown}{more}"


def comparable_part(result: ExperimentResult, before: ExperimentResult) -> ExperimentResult:
    """Return the part of a baseline that is compared: the same examples, in the repetitions that both have."""
    contents = {run.example.id: run.example.content_hash for run in result.runs}
    repetitions = min(result.repetitions, before.repetitions)
    runs = tuple(
        run
        for run in before.runs
        if run.repetition <= repetitions and contents.get(run.example.id) == run.example.content_hash
    )
    return replace(before, runs=runs, repetitions=repetitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredBaseline:
    """A baseline under today's evaluators.

    Attributes:
        result: the baseline, with today's scores where an evaluator was changed.
        rescored: one for each score of an evaluator that scored the baseline again.
        lost: why scores of a changed evaluator cannot be compared, by the evaluator; its scores are not in `result`.
        unscored: the examples on whose output in the baseline an evaluator failed today, by the name of the score.
    """

    result: ExperimentResult
    rescored: tuple[Rescored, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    unscored: Mapping[str, Collection[str]] = field(default_factory=dict)


def under_todays_evaluators(
    result: ExperimentResult, before: ExperimentResult, changed: Mapping[str, str]
) -> RescoredBaseline:
    """Return a baseline with the scores that today's evaluators gave its outputs, where an evaluator was changed.

    What they gave stands with the run's own evaluations, as `baseline_score`. Where a run has no evaluation because its
    task failed, the score that was recorded with the baseline stands.

    Args:
        result: the run.
        before: its baseline, as `comparable_part` gives it.
        changed: why the recorded scores of an evaluator cannot be compared, by the evaluator.
    """
    if not changed:
        return RescoredBaseline(result=before)
    own = {(run.example.id, run.repetition): run for run in result.runs}
    names = {one.name: one.evaluator for run in result.runs for one in run.evaluations if one.evaluator in changed}
    lost = {name: reason for name, reason in changed.items() if not _is_rescored(name, result, before)}
    runs = []
    unscored: dict[str, set[str]] = {}
    for run in before.runs:
        mine = {one.name: one for one in _evaluations_of(own.get((run.example.id, run.repetition)))}
        kept = [one for one in run.evaluations if one.evaluator not in changed and one.name not in names]
        for name, evaluator in names.items():
            if evaluator in lost or run.failure is not None:
                continue
            score = mine[name].baseline_score if name in mine else None
            if score is None:
                kept += [one for one in run.evaluations if one.name == name]
            elif score.failed:
                unscored.setdefault(name, set()).add(run.example.id)
            else:
                kept.append(
                    replace(mine[name], score=score.score, label=score.label, kind=score.kind, failure=None, usage=())
                )
        runs.append(replace(run, evaluations=tuple(kept)))
    today = replace(before, runs=tuple(runs))
    return RescoredBaseline(
        result=today,
        rescored=tuple(
            Rescored(
                evaluator=evaluator,
                evaluation=name,
                reason=changed[evaluator],
                outputs=len(_scores(today, name)),
                failed=len(unscored.get(name, ())),
                recorded=_mean(_scores(before, name)),
                today=_mean(_scores(today, name)),
            )
            for name, evaluator in sorted(names.items())
            if evaluator not in lost
        ),
        lost=lost,
        unscored=unscored,
    )


def _evaluations_of(run: TaskRun | None) -> Iterable[Evaluation]:
    return run.evaluations if run is not None else ()


def _is_rescored(evaluator: str, result: ExperimentResult, before: ExperimentResult) -> bool:
    """Check whether an evaluator scored every output of this baseline that the run has an evaluation beside."""
    there = {(run.example.id, run.repetition) for run in before.runs if run.failure is None}
    own = [
        one.baseline_score
        for run in result.runs
        if (run.example.id, run.repetition) in there
        for one in run.evaluations
        if one.evaluator == evaluator
    ]
    return bool(own) and all(one is not None and one.experiment_id == (before.experiment_id or "") for one in own)


def _scores(result: ExperimentResult, name: str) -> list[float]:
    said = (one for run in result.runs for one in run.evaluations if one.name == name and one.failure is None)
    return [one.score for one in said if one.score is not None]


def _mean(values: list[float]) -> float | None:
    return mean(values) if values else None
