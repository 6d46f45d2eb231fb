"""The limits of a job, the request to stop it, and the result of the engine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Literal

from evalwire import clocks
from evalwire.model import Amount, Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from evalwire.model import ExperimentResult, Failure


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits on concurrency, time, retries and failures.

    Attributes:
        concurrency: the number of experiments that run in parallel.
        task_concurrency: the number of examples in flight in the whole job; `auto` finds the number that the provider
            accepts. Additional examples, fewer than this number, may be in evaluation.
        timeout_seconds: the time limit of a call of a task or an evaluator.
        grace_seconds: the time for runs in flight after the job is stopped, including recording.
        backlog: the number of finished runs that may wait for Phoenix; beyond it, no further examples start.
        retries: the number of retries of a call whose error is worth a retry. None for no retries or, with `auto`
            concurrency, a few after rate limits.
        retry_on: additional exceptions to retry, as `module.ExceptionName`.
        max_failures: the number of failed runs (or, below 1, the fraction of the runs) that stops the job; None for no
            limit.
        stop_failing: the experiments that stop starting examples if their first ten runs all fail in the same way.
        budget: the limits on the usage and the time of the job.
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
    budget: Budget = dataclasses.field(default_factory=Budget)


class Stop:
    """A request to end the job early, from any thread.

    Attributes:
        requested_at: the time of the request, on the monotonic clock; None without a request.
        signal_number: the number of the signal that caused the request; None without a signal.
        is_heeded: whether the engine is running, which ends in an orderly way after a request.
        process_id: the ID of the job's process; a process with another ID was forked by user code.
    """

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self.requested_at: float | None = None
        self.signal_number: int | None = None
        self.is_heeded = False
        self._wake: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """True if the job should end."""
        return self.requested_at is not None

    def request(self, signal_number: int | None = None) -> None:
        """Stop starting examples; examples in flight have the grace period to finish."""
        self.signal_number = signal_number if signal_number is not None else self.signal_number
        if not self.requested:
            self.requested_at = clocks.monotonic()
            for wake in self._wake:
                wake()

    def on_request(self, wake: Callable[[], None]) -> None:
        """Call `wake` once when the stop is requested, or immediately if it already is."""
        self._wake.append(wake)
        if self.requested:
            wake()

    def forget(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        self._wake = [other for other in self._wake if other != wake]

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Declare that the block ends in an orderly way when the stop is requested."""
        self.is_heeded = True
        try:
            yield
        finally:
            self.is_heeded = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """The runs of a job that were made before: in other processes, each with an engine of its own.

    Attributes:
        planned: the number of runs of the started experiments.
        failed: the number of failed runs.
        ended_by: the failure that ended the job for all experiments; None if further experiments may start.
        spent: the usage of the job so far, also of earlier attempts; None before the first engine ran.
        largest: the largest known usage of a run; None if it is not known.
    """

    planned: int = 0
    failed: int = 0
    ended_by: Failure | None = None
    spent: Amount | None = None
    largest: Amount | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """The result of the engine.

    Attributes:
        results: the result of each experiment, in the given order.
        interrupted: whether the job was stopped early.
        abandoned_threads: the number of plain functions that were still running after their timeout.
        made: the runs of the job so far.
    """

    results: list[ExperimentResult]
    interrupted: bool = False
    abandoned_threads: int = 0
    made: EarlierRuns = dataclasses.field(default_factory=EarlierRuns)
