"""How much a job may do at once, how it is stopped, and what the engine returns."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from typing import TYPE_CHECKING, Literal

from evalwire import clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from evalwire.model import ExperimentResult


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
        retries: further calls of a task or an evaluator whose error can be retried; None for none, or, with an `auto`
            concurrency, a few after rate limits.
        retry_on: `module.ExceptionName` of additional exceptions to retry.
        max_failures: the number of failed runs (or, below 1, the share of the runs) that stops the job; None for never.
        stop_failing: experiments that start no further example when their first ten runs all fail alike.
    """

    concurrency: int = 1
    task_concurrency: int | Literal["auto"] = 10
    timeout_seconds: float = 300.0
    grace_seconds: float = 8.0
    backlog: int = 100
    retries: int | None = None
    retry_on: Collection[str] = ()
    max_failures: float | None = None
    stop_failing: Collection[str] = ()


class Stop:
    """A request to end the job early, made on any thread.

    Attributes:
        requested_at: when it was made, on the monotonic clock; None when it was not.
        signal_number: the signal that made it; None for none.
        is_heeded: whether the engine is running, which ends in order when it is asked to stop.
        process_id: of the job's process; another one was forked by user code.
    """

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self.requested_at: float | None = None
        self.signal_number: int | None = None
        self.is_heeded = False
        self._event = threading.Event()
        self._wake: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Check whether the job is to end."""
        return self._event.is_set()

    def request(self, signal_number: int | None = None) -> None:
        """Start no further example; those in flight have the grace period."""
        self.signal_number = signal_number if signal_number is not None else self.signal_number
        if not self._event.is_set():
            self.requested_at = clocks.monotonic()
            self._event.set()
            for wake in self._wake:
                wake()

    def on_request(self, wake: Callable[[], None]) -> None:
        """Call `wake` once when the stop is requested, at once if it already is."""
        self._wake.append(wake)
        if self.requested:
            wake()

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Say that the block ends in order when the stop is requested."""
        self.is_heeded = True
        try:
            yield
        finally:
            self.is_heeded = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """What the engine returns.

    Attributes:
        results: one for each experiment, in the order given.
        interrupted: whether the job was stopped before its end.
        abandoned_threads: plain functions still running on a thread when their time was up.
    """

    results: list[ExperimentResult]
    interrupted: bool = False
    abandoned_threads: int = 0
