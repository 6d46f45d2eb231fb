"""Add the time of earlier attempts to the duration of a resumed job."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from evalwire.model import source_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from evalwire.model import ExperimentResult, TaskRun


def with_earlier_time(results: Sequence[ExperimentResult], since: datetime) -> list[ExperimentResult]:
    """Return results whose seconds include runs from before the start of a job."""
    return [
        replace(result, seconds=result.seconds + busy_seconds(earlier))
        if (earlier := _before(result, since))
        else result
        for result in results
    ]


def earlier_seconds(results: Sequence[ExperimentResult], since: datetime) -> float:
    """Return the seconds during which any run from before the start of a job was running."""
    return busy_seconds(chain.from_iterable(_before(result, since) for result in results))


def busy_seconds(runs: Iterable[TaskRun]) -> float:
    """Return the seconds during which any of the runs or their evaluations was running, without pauses."""
    runs = list(runs)
    spans = [(run.start_time, run.end_time) for run in runs]
    spans += [(evaluation.start_time, evaluation.end_time) for run in runs for evaluation in run.evaluations]
    return covered_seconds(spans)


def covered_seconds(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Return the seconds that spans of time cover together; each has a start and an end."""
    seconds = 0.0
    reached: datetime | None = None
    for start, end in sorted(spans):
        counted_from = start if reached is None else max(start, reached)
        if end > counted_from:
            seconds += (end - counted_from).total_seconds()
            reached = end
    return seconds


def _before(result: ExperimentResult, since: datetime) -> list[TaskRun]:
    """Return the runs of earlier attempts; of scored outputs, only the evaluators ran in them."""
    if source_facts(result.experiment_metadata) is None:
        return [run for run in result.runs if run.start_time < since]
    evaluated = [(run, starts) for run in result.runs if (starts := [each.start_time for each in run.evaluations])]
    return [
        replace(run, start_time=min(starts), end_time=min(starts)) for run, starts in evaluated if min(starts) < since
    ]
