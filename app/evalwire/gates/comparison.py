"""Compare the results of an experiment with its baseline, example by example (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire.gates.changes import comparable_part, under_todays_evaluators
from evalwire.model import (
    Baseline,
    BaselineRun,
    Comparison,
    Interval,
    Pair,
    are_bools,
    difference,
    mcnemar_midp,
    mean,
    mean_interval,
    minimum_detectable_change,
    partial_facts,
    sign_flip,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from evalwire.model import Direction, Evaluation, ExperimentResult, TaskRun


_ROUNDING = 1e-12  # smaller differences are rounding errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of an evaluation by example.

    Attributes:
        by_example: mean over the repetitions by example ID, without examples that have no score. If the scores are
            bools, a run that failed or was not made counts as the worse value.
        is_bool: whether the evaluator returns bools.
        is_single: whether each example ran once.
        not_applicable: IDs of the examples that the evaluation does not apply to in any repetition.
    """

    by_example: Mapping[str, float]
    is_bool: bool
    is_single: bool
    not_applicable: frozenset[str] = frozenset()


def scores_of(
    result: ExperimentResult, name: str, *, missing_passes: bool = False, ignores_unscored: bool = False
) -> Scores:
    """Return the scores of an evaluation by example: the mean over the repetitions of each example.

    Args:
        result: the experiment.
        name: name of the evaluation.
        missing_passes: whether a missing run of bools counts as True, because lower is better, instead of as False.
        ignores_unscored: whether to leave out runs that have a label but no score, instead of counting them as missing.
    """
    by_example = _by_name(result, [name])[name]
    return _scores_of(result, by_example, missing_passes=missing_passes, ignores_unscored=ignores_unscored)


def has_scores(result: ExperimentResult, name: str) -> bool:
    """Check whether any run has a score of an evaluation."""
    return any(
        found.name == name and found.failure is None and found.score is not None
        for run in result.runs
        for found in run.evaluations
    )


def _by_name(result: ExperimentResult, names: Collection[str]) -> dict[str, dict[str, list[Evaluation]]]:
    """Return the evaluations without failures by name and example ID; each name has all examples."""
    ids = dict.fromkeys(run.example.id for run in result.runs)
    found: dict[str, dict[str, list[Evaluation]]] = {name: {example_id: [] for example_id in ids} for name in names}
    for run in result.runs:
        for evaluation in run.evaluations:
            if evaluation.failure is None and evaluation.name in found:
                found[evaluation.name][run.example.id].append(evaluation)
    return found


def _scores_of(
    result: ExperimentResult,
    by_example: Mapping[str, Sequence[Evaluation]],
    *,
    missing_passes: bool,
    ignores_unscored: bool = False,
) -> Scores:
    """Return the scores of an evaluation, from its evaluations by example ID."""
    is_bool = are_bools([found for evaluations in by_example.values() for found in evaluations])
    means: dict[str, float] = {}
    others: set[str] = set()
    for example_id, evaluations in by_example.items():
        scores = [found.score for found in evaluations if found.score is not None]
        skipped = 0
        if len(scores) < len(evaluations):
            skipped = sum(not each.is_applicable or (ignores_unscored and each.score is None) for each in evaluations)
        count = result.repetitions - skipped if is_bool else len(scores)
        if count:
            means[example_id] = mean([*scores, *[float(missing_passes)] * (count - len(scores))])
        if skipped and sum(not found.is_applicable for found in evaluations) == result.repetitions:
            others.add(example_id)
    return Scores(
        by_example=means, is_bool=is_bool, is_single=result.repetitions == 1, not_applicable=frozenset(others)
    )


def compare_results(
    result: ExperimentResult,
    before: ExperimentResult,
    *,
    asked: str,
    directions: Mapping[str, Direction] | None = None,
    changed: Mapping[str, str] | None = None,
    changed_task: Sequence[str] = (),
) -> Baseline:
    """Compare a run with its baseline: find the unchanged examples, and how each evaluation changed on them.

    Examples with the same ID and the same content form a pair. Only repetitions that both sides have are compared.

    Args:
        result: the run.
        before: the baseline.
        asked: how the baseline was chosen.
        directions: directions by evaluation name; higher scores are better for names that are not in it.
        changed: reasons why recorded scores cannot be compared, by evaluator. If the evaluator scored the baseline's
            outputs again, these scores are compared instead.
        changed_task: files of the task that changed since the baseline.
    """
    here, there = result.contents, before.contents
    same = [example_id for example_id, content in here.items() if there.get(example_id) == content]
    then = under_todays_evaluators(result, comparable_part(result, before), changed or {})
    now = _first(result, then.result.repetitions)
    lost = {found.name for run in before.runs for found in run.evaluations if found.evaluator in then.lost}
    both = sorted(_names(now) & (_names(then.result) | (_names(before) - lost)))
    new, old = _by_name(now, both), _by_name(then.result, both)

    def compare(name: str) -> Comparison:
        direction = (directions or {}).get(name, "maximize")
        unscored = then.unscored.get(name, ())
        return _compare_scores(
            name,
            _scores_of(now, new[name], missing_passes=direction == "minimize"),
            _scores_of(then.result, old[name], missing_passes=direction == "minimize"),
            [example_id for example_id in same if example_id not in unscored],
            direction,
            failed=len(unscored),
            repetitions=then.result.repetitions,
        )

    comparisons = tuple(map(compare, both))
    opened = before.opened
    metadata = before.experiment_metadata
    return Baseline(
        experiment=result.name,
        asked=asked,
        experiment_id=opened.id if opened else None,
        recorded_name=opened.recorded_name if opened else "",
        url=before.url,
        branch=_text(metadata.get("branch")),
        commit=_text(metadata.get("commit")),
        paired=len(same),
        added=() if _left_out_examples(before) else tuple(name for name in here if name not in there),
        removed=() if _left_out_examples(result) else tuple(name for name in there if name not in here),
        changed=tuple(example_id for example_id in here if there.get(example_id, here[example_id]) != here[example_id]),
        comparisons=comparisons,
        examples=len(here),
        rescored=then.rescored,
        changed_evaluators=then.lost,
        changed_task=tuple(changed_task),
        runs=tuple(_differing_runs(now, comparable_part(result, before), comparisons, changed or {})),
    )


def _differing_runs(
    now: ExperimentResult, then: ExperimentResult, comparisons: Sequence[Comparison], changed: Collection[str]
) -> Iterator[BaselineRun]:
    """Yield the runs of a baseline that differ, in the order of the run.

    Args:
        now: the run, in the repetitions that both sides have.
        then: the baseline's runs of unchanged examples, with their recorded scores.
        comparisons: comparisons of the scores.
        changed: changed evaluators, whose recorded explanations do not belong to the compared scores.
    """
    moved = {pair.example_id for compared in comparisons for pair in compared.pairs if pair.before != pair.after}
    before = {(run.example.id, run.repetition): run for run in then.runs}
    for run in now.runs:
        old = before.get((run.example.id, run.repetition))
        if old is None or (run.example.id not in moved and _ended_alike(run, old)):
            continue
        yield BaselineRun(
            example_id=old.example.id,
            repetition=old.repetition,
            output=old.output,
            error=str(old.failure) if old.failure else "",
            explanations={
                found.name: found.explanation
                for found in old.evaluations
                if found.explanation and found.evaluator not in changed
            },
            trace_id=old.trace_id,
        )


def _ended_alike(run: TaskRun, old: TaskRun) -> bool:
    return (run.failure is None) == (old.failure is None) and run.output == old.output


def _first(result: ExperimentResult, repetitions: int) -> ExperimentResult:
    """Return a result with only its first repetitions."""
    if result.repetitions == repetitions:
        return result
    runs = tuple(run for run in result.runs if run.repetition <= repetitions)
    return replace(result, runs=runs, repetitions=repetitions)


def _names(result: ExperimentResult) -> set[str]:
    return {found.name for run in result.runs for found in run.evaluations}


def _left_out_examples(result: ExperimentResult) -> bool:
    """Check whether a run left out examples of its dataset, so that they are neither added nor removed."""
    stopping = result.stopping
    is_early = stopping is not None and stopping.seen < stopping.of
    return is_early or bool(result.not_run) or bool(partial_facts(result.experiment_metadata))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _compare_scores(
    name: str,
    new: Scores,
    old: Scores,
    same: Sequence[str],
    direction: Direction,
    *,
    failed: int,
    repetitions: int,
) -> Comparison:
    pairs = tuple(
        Pair(example_id=example_id, before=old.by_example[example_id], after=new.by_example[example_id])
        for example_id in same
        if example_id in new.by_example and example_id in old.by_example
    )
    is_bool = new.is_bool and old.is_bool
    nowhere = new.not_applicable & old.not_applicable
    half_applicable = len((new.not_applicable ^ old.not_applicable).intersection(same))
    unscored = len(same) - len(pairs) - len(nowhere) + failed
    if not pairs:
        return Comparison(
            name=name, direction=direction, is_bool=is_bool, unscored=unscored, half_applicable=half_applicable
        )
    sign = -1 if direction == "minimize" else 1
    changes = [difference(pair.after, pair.before) for pair in pairs]
    gains = [sign * change for change in changes]
    is_paired_bool = is_bool and new.is_single and old.is_single
    if is_paired_bool:
        p_value = mcnemar_midp(sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains))
    else:
        p_value = sign_flip(gains)
    return Comparison(
        name=name,
        direction=direction,
        is_bool=is_bool,
        pairs=pairs,
        unscored=unscored,
        half_applicable=half_applicable,
        before=mean([pair.before for pair in pairs]),
        after=mean([pair.after for pair in pairs]),
        change=mean(changes),
        interval=_interval_of(pairs, changes),
        p_value=p_value,
        test="McNemar mid-p" if is_paired_bool else "sign-flip permutation",
        minimum_detectable=minimum_detectable_change(gains, is_bool=is_bool, repetitions=repetitions),
        repetitions=repetitions,
    )


def _interval_of(pairs: Sequence[Pair], changes: Sequence[float]) -> Interval | None:
    """Return the interval of a mean change; None for equal changes, for which the interval has no meaning."""
    if max(changes) - min(changes) <= _ROUNDING:
        return None
    low, high = mean_interval(changes)
    interval = Interval(low=low, high=high, method="paired t")
    is_bounded = all(0 <= score <= 1 for pair in pairs for score in (pair.before, pair.after))
    return interval.within(-1, 1) if is_bounded else interval
