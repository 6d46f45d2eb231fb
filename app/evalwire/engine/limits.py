"""How much a job may do at once, how it is stopped, and what it returns."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evalwire.model import (
        ExperimentResult,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much at once, for how long, and how often.

    Attributes:
        concurrency: experiments in parallel.
        task_concurrency: examples in flight over the whole job; `auto` finds how many the provider bears. Behind
            them, fewer examples than that may be with their evaluators.
        timeout_seconds: for one call of a task or of an evaluator.
        grace_seconds: for what is in flight when the job is stopped, recording included.
        backlog: finished runs that may wait for Phoenix before no further example is started.
        retries: further calls of a task or an evaluator whose error is worth one; None for none, or, with an `auto`
            concurrency, a few after rate limits.
        retry_on: `module.ExceptionName` of errors that are worth one too.
        max_failures: so many failed runs (or, below 1, such a share of the runs) stop the job; None for never.
    """

    concurrency: int = 1
    task_concurrency: int | Literal["auto"] = 10
    timeout_seconds: float = 300.0
    grace_seconds: float = 8.0
    backlog: int = 100
    retries: int | None = None
    retry_on: Collection[str] = ()
    max_failures: float | None = None


class Stop:
    """A request to end the job early, made on any thread."""

    def __init__(self) -> None:
        self.requested_at: float | None = None
        self._event = threading.Event()
        self._wake: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether somebody has asked."""
        return self._event.is_set()

    def request(self) -> None:
        """Start no further example; those in flight have the grace period."""
        if not self._event.is_set():
            self.requested_at = time.monotonic()
            self._event.set()
            for wake in self._wake:
                wake()

    def on_request(self, wake: Callable[[], None]) -> None:
        """Call `wake` once when the stop is requested, at once if it already is."""
        self._wake.append(wake)
        if self.requested:
            wake()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a job came to.

    Attributes:
        results: one for each experiment, in the order given.
        interrupted: whether it was stopped before its end.
        abandoned_threads: plain functions still running on a thread when their time was up.
        lost_spans: spans that could not be delivered, where the recorder traces.
    """

    results: list[ExperimentResult]
    interrupted: bool = False
    abandoned_threads: int = 0
    lost_spans: int = 0

    @property
    def passed(self) -> bool:
        """Whether every experiment passed."""
        return all(result.passed for result in self.results)
