"""Recorded experiments as entries of lists and trends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalwire.model.means import means_from_json
from evalwire.model.metadata import (
    is_noise_run,
    own_metadata,
    recorded_start,
    recorded_usage,
    source_facts,
    stopping_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model.means import ScoreMean
    from evalwire.model.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A recorded experiment in a list or in a trend.

    Attributes:
        experiment_id: Phoenix's ID.
        time: the start of the experiment.
        branch: the branch; None if it is unknown.
        commit: the commit; None if it is unknown.
        is_dirty: whether the working copy had changes that the commit does not have.
        outcome: the outcome; empty if the experiment did not end.
        is_scored: whether the experiment has new scores of outputs of an earlier run.
        is_noise: whether the experiment measured noise.
        part: for lists, the extent of an experiment that ended early, such as `140 of 500 examples`; else empty.
        scores: the means, sorted by name; empty for an experiment of an earlier version of evalwire.
        usage: the usage of language models; None if it is unknown.
    """

    experiment_id: str
    time: datetime
    branch: str | None = None
    commit: str | None = None
    is_dirty: bool = False
    outcome: str = ""
    is_scored: bool = False
    is_noise: bool = False
    part: str = ""
    scores: tuple[ScoreMean, ...] = ()
    usage: Usage | None = None

    @property
    def time_text(self) -> str:
        """The start in UTC, to the minute."""
        return f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M}"

    @property
    def commit_text(self) -> str:
        """The start of the commit, with an asterisk if the working copy had other changes; empty if it is unknown."""
        return (self.commit or "")[:8] + "*" * self.is_dirty

    @property
    def outcome_text(self) -> str:
        """The outcome in words."""
        outcome = self.outcome.replace("_", " ") or "not finished"
        notes = ["noise"] * self.is_noise + ["new scores"] * self.is_scored
        return f"{outcome} ({', '.join(notes)})" if notes else outcome

    def score(self, name: str) -> ScoreMean | None:
        """Return the mean of an evaluation; None if the experiment does not have it."""
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The earlier experiments with which the trend of an experiment is drawn.

    Attributes:
        experiment: the name of the experiment's directory.
        branch: the branch of the earlier experiments; empty if they ran without a branch.
        entries: the earlier experiments, oldest first.
    """

    experiment: str
    branch: str
    entries: tuple[HistoryEntry, ...]


def history_entry(record: Mapping[str, Any]) -> HistoryEntry:
    """Return Phoenix's record of an experiment as an entry of lists and trends."""
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    stopping = stopping_of(metadata)
    return HistoryEntry(
        experiment_id=str(record["id"]),
        time=recorded_start(record),
        branch=_text(metadata.get("branch")),
        commit=_text(metadata.get("commit")),
        is_dirty=metadata.get("dirty") is True,
        outcome=_text(facts.get("outcome")) or "",
        is_scored=source_facts(metadata) is not None,
        is_noise=is_noise_run(metadata),
        part=stopping.extent if stopping is not None and stopping.is_early else "",
        scores=means_from_json(facts.get("means")),
        usage=recorded_usage(facts),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
