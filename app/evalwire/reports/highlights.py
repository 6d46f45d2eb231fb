"""Find the examples of a finished report to look at first, for all report formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import mean

if TYPE_CHECKING:
    from evalwire.model import Comparison, Direction, ExperimentResult, Pair, Report, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """An example and its score in an evaluation.

    Attributes:
        run: run of the example; if it has repetitions, the run with the worst score.
        evaluation: name of the evaluation.
        before: score of the example in the baseline; None without a baseline.
        after: score of the example in this job, as the mean over repetitions; None without a score.
    """

    run: TaskRun
    evaluation: str
    before: float | None
    after: float | None


def regressions(report: Report, result: ExperimentResult) -> list[Highlight]:
    """Return the examples that are worse than in the baseline, by evaluation, worst first."""
    return _changed(report, result, lambda comparison: comparison.worse)


def improvements(report: Report, result: ExperimentResult) -> list[Highlight]:
    """Return the examples that are better than in the baseline, by evaluation, best first."""
    return _changed(report, result, lambda comparison: comparison.better)


def _changed(report: Report, result: ExperimentResult, choose: Callable[[Comparison], list[Pair]]) -> list[Highlight]:
    baseline = report.baseline_of(result.name)
    runs = _by_example(result)
    return [
        Highlight(
            run=_worst_run(runs[pair.example_id], comparison.name, comparison.direction),
            evaluation=comparison.name,
            before=pair.before,
            after=pair.after,
        )
        for comparison in (baseline.comparisons if baseline else ())
        for pair in choose(comparison)
        if pair.example_id in runs
    ]


def lowest(result: ExperimentResult, name: str, *, direction: Direction = "maximize", most: int = 5) -> list[Highlight]:
    """Return the examples with the worst scores of an evaluation; an empty list if all scores are equal."""
    runs = _by_example(result)
    means: dict[str, float] = {}
    for example_id, repetitions in runs.items():
        evaluations = [found for run in repetitions for found in run.evaluations if found.name == name]
        if scores := [found.score for found in evaluations if found.score is not None]:
            means[example_id] = mean(scores)
    if not means:
        return []
    best = (min if direction == "minimize" else max)(means.values())
    ordered = sorted(means, key=lambda example_id: means[example_id], reverse=direction == "minimize")
    return [
        Highlight(
            run=_worst_run(runs[example_id], name, direction), evaluation=name, before=None, after=means[example_id]
        )
        for example_id in ordered[:most]
        if means[example_id] != best
    ]


def link(result: ExperimentResult, run: TaskRun) -> str | None:
    """Return the address of a run's trace in Phoenix; None without a trace."""
    if not result.url or not run.trace_id:
        return None
    return f"{result.url.partition('/datasets/')[0]}/redirects/traces/{run.trace_id}"


def _by_example(result: ExperimentResult) -> dict[str, list[TaskRun]]:
    found: dict[str, list[TaskRun]] = {}
    for run in result.runs:
        found.setdefault(run.example.id, []).append(run)
    return found


def _worst_run(runs: Sequence[TaskRun], name: str, direction: Direction) -> TaskRun:
    """Return the run of an example to show: a run without a score, or else with the worst score, or not applicable."""
    sign = -1 if direction == "minimize" else 1

    def badness(run: TaskRun) -> tuple[bool, bool, float]:
        evaluations = [found for found in run.evaluations if found.name == name]
        scores = [found.score for found in evaluations if found.score is not None]
        return any(not found.is_applicable for found in evaluations), bool(scores), sign * scores[0] if scores else 0.0

    return min(runs, key=badness)
