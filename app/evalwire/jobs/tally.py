"""Count the runs of an experiment while it runs: failures, scores, usage, and the time that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalwire.model import are_bools, score_text, token_count, total_usage, usage_cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Evaluation, OpenExperiment, Price, TaskRun, Usage


@dataclass(slots=True)
class _Mean:
    """The mean of an evaluation's scores so far."""

    total: float = 0.0
    count: int = 0
    is_rate: bool = True

    def add(self, evaluation: Evaluation, score: float) -> None:
        """Add the score of an evaluation."""
        self.total += score
        self.count += 1
        self.is_rate = self.is_rate and are_bools([evaluation])


@dataclass(slots=True, kw_only=True)
class Tally:
    """The state of an experiment that runs.

    Attributes:
        name: the name of the experiment's directory.
        run_count: the number of planned runs.
        is_recorded: whether Phoenix records the runs.
        started_at: the clock's seconds at the start.
        ran: the number of runs whose task and evaluators ended.
        recorded: the number of runs that Phoenix has.
        failed: the number of failed runs.
        usage: the usage of the runs, as far as it is known.
        is_finished: whether the experiment has ended.
    """

    name: str
    run_count: int
    is_recorded: bool
    started_at: float
    ran: int = 0
    recorded: int = 0
    failed: int = 0
    usage: Usage = ()
    is_finished: bool = False
    _earlier: int = 0  # runs of the job that is resumed
    _means: dict[str, _Mean] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: OpenExperiment, run_count: int, *, now: float) -> Tally:
        """Return the tally of an experiment that starts; without a page in Phoenix, its runs are not recorded."""
        return cls(name=opened.experiment.name, run_count=run_count, is_recorded=opened.url is not None, started_at=now)

    def add_ran(self, run: TaskRun) -> None:
        """Count a run whose task and evaluators ended; a run that is recorded already is from an earlier job."""
        self.ran += 1
        self.failed += bool(run.failures)
        self._earlier += run.is_recorded
        parts = (run.usage, *(evaluation.usage for evaluation in run.evaluations))
        self.usage = total_usage((self.usage, *(part for part in parts if part)))
        for evaluation in run.evaluations:
            if evaluation.score is not None and evaluation.failure is None:
                self._means.setdefault(evaluation.name, _Mean()).add(evaluation, evaluation.score)

    def add_recorded(self, run: TaskRun) -> None:
        """Count a run that was recorded, or could not be."""
        self.recorded += run.is_recorded
        self.failed += run.record_failure is not None and len(run.failures) == 1

    @property
    def counts(self) -> str:
        """The number of runs that ended, and the number of recorded runs if it differs."""
        recorded = f", {self.recorded} recorded" if self.is_recorded and self.recorded != self.ran else ""
        return f"{self.ran}/{self.run_count}{recorded}"

    @property
    def means(self) -> list[str]:
        """The mean of each evaluation so far, with its name."""
        return [
            f"{name} {score_text(mean.total / mean.count, is_rate=mean.is_rate)}" for name, mean in self._means.items()
        ]

    def usage_text(self, prices: Mapping[str, Price]) -> str:
        """Return the tokens and the cost so far; empty without tokens."""
        tokens, cost = token_count(self.usage), usage_cost(self.usage, prices)
        if not tokens:
            return ""
        return f"{tokens:,} tokens" + (f", {cost.text}" if cost.usd else "")

    def seconds_left(self, now: float) -> float | None:
        """Return the estimated seconds until all runs ended; None before the first run of this job."""
        done, left = self.ran - self._earlier, self.run_count - self.ran
        return (now - self.started_at) / done * left if done and left else None


def time_text(seconds: float) -> str:
    """Return a duration as minutes and seconds, such as 1:05, or with hours, such as 1:00:05."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def waiting_text(seconds: float) -> str:
    """Return the text for calls that wait for a rate limit."""
    return f"waiting for a rate limit, {math.ceil(seconds)} s"
