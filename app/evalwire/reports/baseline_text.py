"""Describe baselines for the first line of every report: missing baselines, and baselines that were scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import count, score_text, written
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalwire.model import ExperimentResult, Report, Rescored

_MOST_NAMED = 3


def drops_without_baseline(report: Report) -> str:
    """Return a clause with the number of drop gates without a baseline; empty if there are none."""
    number = sum(gate.status == "no baseline" for gate in report.gates)
    return (
        f", {'but' if report.exit_code == 0 else 'and'} {count(number, 'drop gate')} had no baseline" if number else ""
    )


def scored_again(report: Report) -> str:
    """Return the baselines that today's evaluators scored again, with old and new scores; empty if there are none."""
    results = {result.name: result for result in report.results}
    baselines = [baseline for baseline in report.baselines if baseline.rescored]
    found = [(rescored, results.get(baseline.experiment)) for baseline in baselines for rescored in baseline.rescored]
    if not found:
        return ""
    shown = [_movement(*each, is_named=len(found) > 1) for each in found[:_MOST_NAMED]]
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{count(len(baselines), 'baseline')} scored again: {', '.join(shown)}{more}"


def _movement(rescored: Rescored, result: ExperimentResult | None, *, is_named: bool) -> str:
    name = f"{plain(rescored.evaluation)} " if is_named else ""
    scores = result.scores if result else ()
    is_rate = any(score.name == rescored.evaluation and score.pass_rate is not None for score in scores)

    def text(value: float) -> str:
        return score_text(value, is_rate=True) if is_rate else written(value, digits=2)

    today = "no score" if rescored.today is None else text(rescored.today)
    return f"{name}{today}" if rescored.recorded is None else f"{name}{text(rescored.recorded)} to {today}"


def rescored_line(rescored: Rescored, result: ExperimentResult, *, name: Callable[[str], str] = plain) -> str:
    """Return a sentence on scoring a baseline again, without a period.

    Args:
        rescored: the evaluator that scored the baseline again.
        result: the experiment of the evaluator.
        name: a function that renders names of evaluators and files.
    """
    movement = _movement(rescored, result, is_named=False)
    failed = f", and failed on {rescored.failed}" if rescored.failed else ""
    outputs = f"{count(rescored.outputs, 'baseline output')}"
    text = f"{name(rescored.evaluation)} scored {outputs} again ({name(rescored.reason)}): {movement}{failed}"
    used = sum(usage.total_tokens for usage in rescored.usage or ())
    return f"{text}; {used:,} tokens" if used else text
