"""Find the examples of a finished report that deserve a look first, for all report formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import mean

if TYPE_CHECKING:
    from evalwire.model import Comparison, Direction, ExperimentResult, Pair, Report, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """One example under one evaluation.

    Attributes:
        run: of the example; of several repetitions, the one with the worst score.
        evaluation: its name.
        before: the example's score in the baseline; None without one.
        after: its score now, the mean over repetitions; None where it has none.
    """

    run: TaskRun
    evaluation: str
    before: float | None
    after: float | None


def regressions(report: Report, result: ExperimentResult) -> list[Highlight]:
    """The examples that are worse than in the baseline: by evaluation, the worst first."""
    return _changed(report, result, lambda comparison: comparison.worse)


def improvements(report: Report, result: ExperimentResult) -> list[Highlight]:
    """The examples that are better than in the baseline: by evaluation, the best first."""
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
    """The examples with the worst scores of one evaluation; none when all scores are the same."""
    runs = _by_example(result)
    means: dict[str, float] = {}
    for example_id, its in runs.items():
        said = [one for run in its for one in run.evaluations if one.name == name]
        if scores := [one.score for one in said if one.score is not None]:
            means[example_id] = mean(scores)
    if not means:
        return []
    best = (min if direction == "minimize" else max)(means.values())
    ordered = sorted(means, key=lambda example_id: means[example_id], reverse=direction == "minimize")
    return [
        Highlight(run=_worst_run(runs[one], name, direction), evaluation=name, before=None, after=means[one])
        for one in ordered[:most]
        if means[one] != best
    ]


def link(result: ExperimentResult, run: TaskRun) -> str | None:
    """The page of a run's trace in Phoenix; None where it has none."""
    if not result.url or not run.trace_id:
        return None
    return f"{result.url.partition('/datasets/')[0]}/redirects/traces/{run.trace_id}"


def _by_example(result: ExperimentResult) -> dict[str, list[TaskRun]]:
    found: dict[str, list[TaskRun]] = {}
    for run in result.runs:
        found.setdefault(run.example.id, []).append(run)
    return found


def _worst_run(runs: Sequence[TaskRun], name: str, direction: Direction) -> TaskRun:
    """Return the run to show of one example's runs: without a score, else with a low score, else not applicable."""
    sign = -1 if direction == "minimize" else 1

    def badness(run: TaskRun) -> tuple[bool, bool, float]:
        said = [one for one in run.evaluations if one.name == name]
        scores = [one.score for one in said if one.score is not None]
        return any(not one.is_applicable for one in said), bool(scores), sign * scores[0] if scores else 0.0

    return min(runs, key=badness)
