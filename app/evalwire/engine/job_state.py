"""The state of a job on its event loop, shared by the runs of all experiments."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from evalwire.engine.call_retries import CallRetries
from evalwire.engine.concurrency import Pace
from evalwire.engine.limits import EarlierRuns
from evalwire.engine.purse import Purse
from evalwire.engine.turns import Turns
from evalwire.errors import EvalwireError, PhoenixRefused, PhoenixUnreachable, RunTaken
from evalwire.model import Failure
from evalwire.usercode import Call, Clock, Threads, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from evalwire.engine.limits import Limits, Stop
    from evalwire.engine.protocols import EarlyVerdicts, GateWatch, Observer, Recorder, Tracer
    from evalwire.engine.purse import Reservation
    from evalwire.model import Budget, Callee, Experiment, FailureStage, OpenExperiment

log = logging.getLogger("evalwire")

T = TypeVar("T")

UNKNOWN_USAGE = "UnknownUsage"  # the type of the failure if the budget cannot count a call

_NO_CALLS = (
    "the first run has no recorded model call, so the budget cannot count its usage. If the run calls a model, "
    "instrument your client with OpenInference"
)


class JobState:
    """The shared state of a job's experiments: interfaces, limits, counters, and the end of the job.

    Attributes:
        pace: the limit on examples in flight, over all experiments.
        purse: the budget of the job.
        turns: the turns of the event loop in which calls start.
        clock: the time limit of calls, and the clock for it.
        backlog: the limit on runs that wait for Phoenix.
        stopped: the event for a request to end the job.
        ends: the event after which no further example starts: a stop, an outage, or too many failures.
        finishing: the number of examples whose task has returned and which are being evaluated or wait for recording.
        outage: the error because of which Phoenix does not accept records; None without an outage.
        ended_early: the failure of unfinished experiments after too many failures, or at the end of the budget; None if
            the job did not end early.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        *,
        recorder: Recorder,
        tracer: Tracer,
        observer: Observer,
        limits: Limits,
        stop: Stop,
        early: EarlyVerdicts | None = None,
        earlier: EarlierRuns | None = None,
    ) -> None:
        self.recorder = recorder
        self.observer = observer
        self.limits = limits
        self.stop = stop
        self.pace = Pace(limits.task_concurrency, on_change=_log_pace)
        self.backlog = asyncio.Semaphore(limits.backlog)
        self.stopped = asyncio.Event()
        self.ends = asyncio.Event()
        earlier = earlier or EarlierRuns()
        self.purse = Purse(with_earlier(limits.budget, earlier))
        self.turns = Turns()
        self.retries = CallRetries(
            self.pace,
            self.ends,
            self.purse,
            retries=limits.retries,
            retry_on=limits.retry_on,
            on_rate_limit=lambda seconds: self.notify(observer.rate_limited, seconds),
        )
        self.threads = Threads()
        self.clock = Clock(limits.timeout_seconds)
        self.finishing = 0
        self.outage: EvalwireError | None = None
        self.ended_early: Failure | None = None
        self._tracer = tracer
        self._early = early
        self._roots = {experiment.name: experiment.import_root for experiment in experiments}
        self._feeds: set[asyncio.Task[None]] = set()
        self._settled: asyncio.Event | None = None  # for runs that wait until another one has ended
        self._failed = earlier.failed
        self._planned = earlier.planned  # runs of the started experiments
        self._ended_by = earlier.ended_by
        if self._ended_by is not None:
            self.ends.set()
        self._has_observer_failed = False

    @property
    def is_ending(self) -> bool:
        """True if no further example starts."""
        return self.ends.is_set() or self.stop.requested  # a blocked loop has not set `ends` yet

    def end(self) -> None:
        """Stop starting examples."""
        self.ends.set()
        self._wake()
        for feed in self._feeds:
            feed.cancel()

    def end_for_outage(self, error: EvalwireError) -> None:
        """Stop starting examples, because results that cannot be recorded should not cost money."""
        self.outage = self.outage or error
        self.end()

    async def feed(self, feed: asyncio.Task[None]) -> None:
        """Wait for the task that starts an experiment's workers; the end of the job cancels it."""
        self._feeds.add(feed)
        await asyncio.wait({feed})

    def watch(self, opened: OpenExperiment) -> GateWatch | None:
        """Return the gates that decide the end of an experiment; None to run all its examples."""
        return self._early.watch(opened) if self._early is not None else None

    def plan(self, run_count: int) -> None:
        """Add the runs of an experiment that starts to the planned runs."""
        self._planned += run_count

    def count_failure(self) -> None:
        """Count a failed run; end the job if the limit on failures is reached."""
        self._failed += 1
        most = self.limits.max_failures
        if most is None or self.is_ending:
            return
        allowed = most if most >= 1 else math.ceil(most * self._planned)
        if self._failed >= allowed:
            share = f"{most:.0%} of {self._planned} runs" if most < 1 else f"{most:g}"
            reason = f"the job was stopped after {self._failed} failures (max_failures: {share})"
            self.end_early(Failure(kind="user", stage="task", type="TooManyFailures", message=reason))

    def end_early(self, failure: Failure) -> None:
        """Stop starting examples; the failure is that of all unfinished experiments."""
        if self.ended_early is None:
            self.ended_early = failure
            log.warning("%s", failure.message)
        self.end()

    # --- budget --------------------------------------------------------------------------------------

    async def admit(self) -> Reservation | None:
        """Wait until the budget allows a run; return None if no further run starts."""
        while not self.is_ending:
            if (reservation := self.purse.admit()) is not None:
                return reservation
            if self.purse.closed:
                self.end_for_budget()
                return None
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()
        return None

    def settle(self, reservation: Reservation) -> None:
        """Count a run that has ended, and let waiting runs ask again."""
        if self.purse.settle(reservation) and self.purse.is_first_free:
            log.warning("%s", _NO_CALLS)
        self._wake()
        if self.purse.closed:
            self.end_for_budget()

    def _wake(self) -> None:
        """Let the runs that wait for the budget ask again."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    def count_recorded(self, opened: OpenExperiment) -> Failure | None:
        """Count the usage of the recorded runs of an experiment that a restarted job continues.

        Returns:
            The failure of the experiment if the price or the tokens of a recorded run are not known, or else None.
        """
        if not self.limits.budget.counts_recorded:
            return None
        for run in opened.earlier.values():
            self.purse.add(run.total_usage)
        if not self.purse.is_unknown:
            return None
        self.end_for_budget()
        return self.ended_early

    def end_for_budget(self) -> None:
        """Stop starting examples, because the purse is closed."""
        type_ = UNKNOWN_USAGE if self.purse.is_unknown else "OutOfBudget"
        self.end_early(Failure(kind="budget", stage="task", type=type_, message=self.purse.closed))

    def watch_deadline(self) -> None:
        """Stop starting examples at the deadline of the budget."""
        if (left := self.purse.seconds_left) is not None:
            asyncio.get_running_loop().call_later(left, self._close_late)

    def _close_late(self) -> None:
        self.purse.close_late()
        self.end_for_budget()

    @property
    def seconds_left(self) -> float | None:
        """The time for runs in flight, with the grace period after the deadline; None without a deadline."""
        left = self.purse.seconds_left
        return None if left is None else max(0.0, left + self.limits.grace_seconds)

    @property
    def is_late(self) -> bool:
        """True if the runs in flight have used up the grace period after the deadline."""
        return self.seconds_left == 0.0

    # -------------------------------------------------------------------------------------------------

    def notify(self, event: Callable[..., None], *about: Any) -> None:
        """Notify the observer of an event; errors such as a closed pipe do not stop the job."""
        try:
            event(*about)
        except Exception as error:
            if not self._has_observer_failed:
                log.warning("cannot show the progress; the job continues: %r", error)
            self._has_observer_failed = True

    def start_call(
        self,
        opened: OpenExperiment,
        callee: Callee,
        values: Callable[[], Mapping[str, Any]],
        *,
        stage: FailureStage,
        convert: Callable[[Any], Any],
        on_end: Callable[[Call], None],
        skips: Callable[[], bool] = lambda: False,
    ) -> Call:
        """Start a call of user code, with a trace and a time limit, in a turn of the event loop or on a thread.

        Args:
            opened: the experiment.
            callee: the function.
            values: a function that returns the values that `callee` can be bound to.
            stage: the stage for failures.
            convert: a function that converts the returned value.
            on_end: a callback for the end of the call.
            skips: a function that is called when the turn has come, and returns True to skip the call.
        """
        root = self._roots[opened.experiment.name]
        call = Call(callee, clock=self.clock, root=root, stage=stage, convert=convert, on_end=on_end)

        def begin() -> None:
            if skips():
                call.skip()
                return
            try:
                given = values()
                call.start(self._tracer.trace(opened, callee, given), given, self.threads)
            except Exception as defect:  # a bug in evalwire
                call.fail(defect)

        if callee.on_loop:
            self.turns.start(call, begin)
        else:
            begin()
        return call

    @property
    def made(self) -> EarlierRuns:
        """The runs of the job so far."""
        is_ended = self._ended_by or self.outage or self.ended_early
        return EarlierRuns(
            planned=self._planned,
            failed=self._failed,
            ended_by=self.unfinished() if is_ended else None,
            spent=self.purse.spent,
            largest=self.purse.largest,
        )

    def unfinished(self) -> Failure:
        """Return the failure of an experiment that did not finish."""
        if self._ended_by:
            return self._ended_by
        if self.outage:
            return engine_failure(self.outage, stage="record")
        if self.ended_early:
            return self.ended_early
        message = "the job was stopped before it finished"
        return Failure(kind="evalwire", stage="interrupted", type="Interrupted", message=message)


def with_earlier(budget: Budget, earlier: EarlierRuns) -> Budget:
    """Return the budget of an engine, with the usage of the engines before it."""
    if earlier.spent is None:
        return budget
    return replace(budget, spent=earlier.spent, largest=earlier.largest)


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Await `work`, or cancel it and return None once the event happens."""
    task = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        waiting.cancel()


def engine_failure(error: BaseException, *, stage: FailureStage) -> Failure:
    """Convert an error from outside user code to a failure; evalwire's own errors need no traceback."""
    if isinstance(error, EvalwireError):
        return Failure(kind=error.failure_kind, stage=stage, type=type(error).__name__, message=str(error))
    return failure_of(error, stage=stage, kind="evalwire")


def _log_pace(before: int, after: int) -> None:
    log.log(
        logging.INFO if after < before else logging.DEBUG,
        "%s: %d examples in flight instead of %d",
        "a rate limit" if after < before else "no rate limit",
        after,
        before,
    )


def is_outage(error: EvalwireError, opened: OpenExperiment) -> bool:
    """Check whether other records would fail, too: Phoenix is gone, or another job has taken over this shard."""
    return isinstance(error, PhoenixUnreachable | PhoenixRefused) or (
        opened.shard is not None and isinstance(error, RunTaken)
    )
