"""Describe baselines for the first line of every report: missing baselines, and baselines that were scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import count, written
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from evalwire.model import Report, Rescored

_MOST_NAMED = 3


def drops_without_baseline(report: Report) -> str:
    """Return a clause with the number of drop gates without a baseline; empty if there are none."""
    number = sum(gate.status == "no baseline" for gate in report.gates)
    return (
        f", {'but' if report.exit_code == 0 else 'and'} {count(number, 'drop gate')} had no baseline" if number else ""
    )


def scored_again(report: Report) -> str:
    """Return the baselines that today's evaluators scored again, with old and new scores; empty if there are none."""
    baselines = [baseline for baseline in report.baselines if baseline.rescored]
    found = [rescored for baseline in baselines for rescored in baseline.rescored]
    if not found:
        return ""
    shown = [_movement(rescored, is_named=len(found) > 1) for rescored in found[:_MOST_NAMED]]
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{count(len(baselines), 'baseline')} scored again: {', '.join(shown)}{more}"


def _movement(rescored: Rescored, *, is_named: bool) -> str:
    name = f"{plain(rescored.evaluation)} " if is_named else ""
    today = "no score" if rescored.today is None else written(rescored.today, digits=2)
    return f"{name}{today}" if rescored.recorded is None else f"{name}{written(rescored.recorded, digits=2)} to {today}"


def rescored_line(rescored: Rescored) -> str:
    """Return a sentence on scoring a baseline again, without a period."""
    movement = _movement(rescored, is_named=False)
    failed = f", and failed on {rescored.failed}" if rescored.failed else ""
    outputs = f"{count(rescored.outputs, 'baseline output')}"
    text = f"{plain(rescored.evaluation)} scored {outputs} again ({plain(rescored.reason)}): {movement}{failed}"
    used = sum(usage.total_tokens for usage in rescored.usage or ())
    return f"{text}; {used:,} tokens" if used else text
