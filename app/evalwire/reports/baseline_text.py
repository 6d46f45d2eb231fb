"""Say of baselines what the first line of every report says: which are lacking, and which were scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import written
from evalwire.reports.text import count, plain

if TYPE_CHECKING:
    from evalwire.model import Report, Rescored

_MOST_NAMED = 3


def drops_without_baseline(report: Report) -> str:
    """Say how many drop gates had nothing to compare with, as a clause behind the verdict; empty if none."""
    number = sum(gate.status == "no baseline" for gate in report.gates)
    return (
        f", {'but' if report.exit_code == 0 else 'and'} {count(number, 'drop gate')} had no baseline" if number else ""
    )


def scored_again(report: Report) -> str:
    """Say which baselines today's evaluators scored again, and what came out; empty if none."""
    baselines = [baseline for baseline in report.baselines if baseline.rescored]
    found = [one for baseline in baselines for one in baseline.rescored]
    if not found:
        return ""
    shown = [_movement(one, is_named=len(found) > 1) for one in found[:_MOST_NAMED]]
    more = f", and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{count(len(baselines), 'baseline')} scored again: {', '.join(shown)}{more}"


def _movement(rescored: Rescored, *, is_named: bool) -> str:
    name = f"{plain(rescored.evaluation)} " if is_named else ""
    today = "no score" if rescored.today is None else written(rescored.today, digits=2)
    return f"{name}{today}" if rescored.recorded is None else f"{name}{written(rescored.recorded, digits=2)} to {today}"


def rescored_line(rescored: Rescored) -> str:
    """Say what scoring a baseline again came to, in a sentence without its full stop."""
    movement = _movement(rescored, is_named=False)
    failed = f", and failed on {rescored.failed}" if rescored.failed else ""
    outputs = f"{count(rescored.outputs, 'output')} of the baseline"
    text = f"{plain(rescored.evaluation)} scored {outputs} again ({plain(rescored.reason)}): {movement}{failed}"
    used = sum(one.total_tokens for one in rescored.usage or ())
    return f"{text}; {used:,} tokens" if used else text
