"""Declare the history in `results.json`: the earlier experiments with which trends are drawn."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from typing import Annotated

from evalwire.reports.results_json.records import Count, Interval, Number, Record, Time, describe


class ScoreMean(Record, frozen=True):
    """The mean of an evaluation in an earlier experiment."""

    name: Annotated[str, describe("Name of the evaluation.")]
    mean: Annotated[Number, describe("Mean, or for bools the pass rate.")]
    count: Annotated[Count, describe("Number of runs.")]
    interval: Annotated[Interval | None, describe("Interval of the mean; null if it is not known.")] = None
    is_rate: Annotated[bool, describe("Whether the mean is a pass rate.")] = False


class HistoryEntry(Record, frozen=True):
    """An earlier experiment."""

    experiment_id: Annotated[str, describe("ID of the experiment in Phoenix.")]
    time: Annotated[Time, describe("Start of the experiment.")]
    branch: Annotated[str | None, describe("Branch that it ran on.")] = None
    commit: Annotated[str | None, describe("Commit that it ran on.")] = None
    is_dirty: Annotated[bool, describe("Whether the working copy had changes that the commit does not have.")] = False
    outcome: Annotated[str, describe("Outcome of the experiment; empty if it did not end.")] = ""
    scores: Annotated[tuple[ScoreMean, ...], describe("Means, sorted by name.")] = ()


class History(Record, frozen=True):
    """The earlier experiments of an experiment, on the base branch."""

    experiment: Annotated[str, describe("Directory name of the experiment.")]
    branch: Annotated[str, describe("Branch of the earlier experiments.")]
    entries: Annotated[tuple[HistoryEntry, ...], describe("Earlier experiments, oldest first.")]
