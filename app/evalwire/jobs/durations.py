"""Add to a resumed job the time that its earlier parts took."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from evalwire.model import ExperimentResult, TaskRun


def with_earlier_time(results: Sequence[ExperimentResult], since: datetime) -> list[ExperimentResult]:
    """Return results whose seconds include the runs from before a job began."""
    return [
        replace(one, seconds=one.seconds + busy_seconds(_before(one.runs, since))) if _before(one.runs, since) else one
        for one in results
    ]


def earlier_seconds(results: Sequence[ExperimentResult], since: datetime) -> float:
    """Return the seconds in which any run from before a job began was under way."""
    return busy_seconds(chain.from_iterable(_before(one.runs, since) for one in results))


def busy_seconds(runs: Iterable[TaskRun]) -> float:
    """Return the seconds in which any of the runs, or an evaluation of one, was under way; pauses do not count."""
    runs = list(runs)
    spans = [(run.start_time, run.end_time) for run in runs]
    spans += [(one.start_time, one.end_time) for run in runs for one in run.evaluations]
    seconds = 0.0
    reached: datetime | None = None
    for start, end in sorted(spans):
        begun = start if reached is None else max(start, reached)
        if end > begun:
            seconds += (end - begun).total_seconds()
            reached = end
    return seconds


def _before(runs: Sequence[TaskRun], since: datetime) -> list[TaskRun]:
    return [run for run in runs if run.start_time < since]
