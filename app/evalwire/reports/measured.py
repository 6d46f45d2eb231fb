"""Determine the number to show for a score, so that all parts of a report show the same number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import cost_text, count, total_usage, usage_cost

if TYPE_CHECKING:
    from evalwire.model import Comparison, ExperimentResult, Report, ScoreSummary

_LIMITS = ("min", "max", "min_pass_rate", "max_pass_rate")
_VISIBLE = 0.0005  # differences that three decimals show


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers of a score.

    Attributes:
        value: the value that a gate limits, or else the pass rate or the mean; None without scores.
        is_rate: whether the value is a share of the runs.
        comparison: comparison with the baseline; None without a comparison.
        has_changed: whether the evaluator changed, so that the score cannot be compared.
    """

    value: float | None
    is_rate: bool
    comparison: Comparison | None
    has_changed: bool = False

    @property
    def is_partial(self) -> bool:
        """Check whether the comparison leaves out examples, so that its mean differs from the value."""
        after = self.comparison.after if self.comparison else None
        return self.value is not None and after is not None and abs(self.value - after) >= _VISIBLE

    @property
    def style(self) -> str:
        """Return the color of the change: green for an improvement, red for a regression."""
        if self.comparison is None or not self.comparison.change:
            return ""
        is_gain = (self.comparison.change > 0) != (self.comparison.direction == "minimize")
        return "green" if is_gain else "red"


def size_text(result: ExperimentResult) -> str:
    """Return the number of examples and repetitions, or the extent of an experiment that ended early."""
    if result.stopping is not None and result.stopping.is_early:
        return result.stopping.extent
    size = count(result.example_count, "example")
    return f"{size} x {result.repetitions}" if result.repetitions > 1 else size


def not_needed_text(report: Report) -> str:
    """Return the number of runs that early verdicts made unnecessary, and their cost if it is known; empty without any.

    The number of runs in flight at the decision follows, so that the numbers add up.
    """
    beyond = sum(result.stopping.beyond for result in report.decided_early if result.stopping)
    uncounted = f"{count(beyond, 'run')} in flight not counted" if beyond else ""
    if not report.not_needed:
        return uncounted
    runs = sum(result.stopping.made for result in report.decided_early if result.stopping is not None)
    usages = [result.usage for result in report.decided_early]
    cost = usage_cost(total_usage(usage or () for usage in usages), report.prices)
    is_known = runs and None not in usages and not cost.unknown
    saved = cost.usd / runs * report.not_needed if is_known else 0.0
    text = f"{count(report.not_needed, 'run')} not needed" + (f" (about {cost_text(saved)})" if saved else "")
    return ", ".join(filter(None, (text, uncounted)))


def measured(report: Report, result: ExperimentResult, score: ScoreSummary) -> Measured:
    """Return the numbers to show for a score of an experiment."""
    baseline = report.baseline_of(result.name)
    is_rate = score.pass_rate is not None
    limits = [
        gate
        for gate in report.gates_of(result.name)
        if gate.evaluation == score.name and gate.rule in _LIMITS and gate.value is not None and not gate.is_corrected
    ]
    limit = min(limits, key=lambda gate: not gate.is_red, default=None)
    value = limit.value if limit else score.pass_rate if is_rate else score.mean
    return Measured(
        value=value,
        is_rate=is_rate,
        comparison=baseline.comparison(score.name) if baseline else None,
        has_changed=baseline is not None and score.name in baseline.changed_evaluators,
    )


def moved_text(compared: Comparison) -> str:
    """Return how many examples became worse and better."""
    worse, better = len(compared.worse), len(compared.better)
    return f"{worse} worse, {better} better" if worse or better else "no change"
