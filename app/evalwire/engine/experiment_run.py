"""The run of an experiment: its examples run concurrently, each followed by its evaluators; failures are values."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from evalwire import clocks
from evalwire.engine.event_loop import CLEAN_UP_SECONDS
from evalwire.engine.example_calls import ExampleCalls
from evalwire.engine.first_runs import FirstRuns
from evalwire.engine.job_state import engine_failure, is_outage, unless
from evalwire.engine.pending_runs import PendingRun, pending_runs
from evalwire.engine.prefix import Prefix
from evalwire.model import ExperimentResult, Failure, TaskRun

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from evalwire.engine.concurrency import Ticket
    from evalwire.engine.job_state import JobState
    from evalwire.model import Callee, Experiment, OpenExperiment

log = logging.getLogger("evalwire")


class ExperimentRun:
    """The run of an experiment.

    Args:
        job: the shared state of the job's experiments.
        experiment: the experiment to run.
    """

    def __init__(self, job: JobState, experiment: Experiment) -> None:
        self._job = job
        self._experiment = experiment
        self._started_at = 0.0
        self._opened: OpenExperiment | None = None
        self._prefix: Prefix | None = None
        self._runs: dict[int, TaskRun] = {}
        self._failure: Failure | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._result: ExperimentResult | None = None
        self._feed: asyncio.Task[None] | None = None
        self._first_runs = FirstRuns()
        self._calls = ExampleCalls(job)
        self._is_given_up = False
        self._only_calls_left = False

    @property
    def _is_ending(self) -> bool:
        """True if no further example of this experiment starts."""
        return self._is_given_up or self._job.is_ending

    async def run(self) -> None:
        """Run the experiment to its end; `snapshot` returns the result."""
        self._started_at = clocks.monotonic()
        task = self._experiment.task
        if task is not None and not self._experiment.problems and not self._job.is_ending:
            await self._run(task)
        self._result = self._make_result(is_over=True)
        if self._failure or self._experiment.problems:
            self._job.count_failure()
        self._job.notify(self._job.observer.finished, self._result)

    def snapshot(self, *, broken: str) -> ExperimentResult:
        """Return the result so far, on any thread; `broken` is the reason why the event loop ended early."""
        return self._result or self._make_result(is_over=False, broken=broken)

    def _make_result(self, *, is_over: bool, broken: str = "") -> ExperimentResult:
        """Return the result; an unfinished experiment does not pass, even if only its verification is missing."""
        experiment, opened = self._experiment, self._opened
        failure = self._failure
        made = self._runs.copy()
        stopping, runs = self._prefix.stopping(made) if self._prefix else (None, ())
        count = stopping.seen if stopping else len(opened.dataset.examples) if opened else 0
        repetitions = stopping.rounds if stopping else opened.repetitions if opened else 1
        is_complete = is_over and opened is not None and len(runs) == count * repetitions
        if failure is None and stopping is not None:
            failure = next((run.record_failure for run in stopping.runs_beyond if run.record_failure), None)
        if failure is None and not experiment.problems and not is_complete:
            failure = (
                Failure(kind="user", stage="task", type="RuntimeError", message=broken)
                if broken
                else self._job.unfinished()
            )
        return ExperimentResult(
            name=experiment.name,
            dataset_name=experiment.dataset_name,
            path=str(experiment.path),
            evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
            opened=opened,
            runs=tuple(runs),
            example_count=count,
            repetitions=repetitions,
            stopping=stopping,
            failure=failure,
            problems=experiment.problems,
            seconds=clocks.monotonic() - self._started_at if self._started_at else 0.0,
        )

    async def _run(self, task: Callee) -> None:
        job = self._job
        try:
            opened = self._opened = await unless(job.ends, job.recorder.open(self._experiment))
            if opened is None:
                return
            prefix = self._prefix = Prefix(opened, job.watch(opened))
        except Exception as error:
            self._failure = engine_failure(error, stage="open")
            return
        self._failure = job.count_recorded(opened)
        examples = opened.dataset.examples
        if not examples and not opened.is_empty_part:
            self._failure = Failure(
                kind="user",
                stage="open",
                type="EmptyDataset",
                message=f"the dataset {opened.dataset.name!r} has no examples; upload some, or select another version",
            )
            return
        run_count = len(examples) * opened.repetitions
        job.plan(run_count)
        job.notify(job.observer.started, opened, run_count)
        pending = self._pending(opened, prefix.order)
        feed = self._feed = asyncio.create_task(self._start_runs(opened, task, pending))
        await job.feed(feed)
        if not feed.cancelled() and (defect := feed.exception()):  # a bug in evalwire: fail
            self._failure = engine_failure(defect, stage="record")
        await self._drain()
        if not job.stopped.is_set() and not job.outage:
            await self._verify(opened)

    # --- runs ----------------------------------------------------------------------------------------

    async def _start_runs(self, opened: OpenExperiment, task: Callee, pending: Iterator[PendingRun]) -> None:
        """Start a run for each ticket from the pace; cancelled when the job should end."""
        while True:  # a ticket first: a run that waited for one would be a gap in the order
            ticket = self._job.pace.try_acquire() or await self._job.pace.acquire()
            admitted = await self._next_admitted(pending, ticket)
            if admitted is None:
                return
            self._start(self._make(opened, task, pending, ticket, admitted))

    async def _next_admitted(self, pending: Iterator[PendingRun], ticket: Ticket) -> PendingRun | None:
        """Wait until the budget allows the next run; release the ticket and return None if no further run starts."""
        admitted = None
        try:
            admitted = await self._admitted(next(pending, None))
        finally:
            if admitted is None:
                self._job.pace.release(ticket)
        return admitted

    async def _admitted(self, run: PendingRun | None) -> PendingRun | None:
        """Wait until the budget allows a run, unless it needs no call; return None if it does not start."""
        if run is None or self._job.is_ending:
            return None
        if not run.needs_calls:  # it is paid and only recorded, even if no further run is needed
            return run
        if self._is_given_up or (reservation := await self._job.admit()) is None:
            return None
        run.reservation = reservation
        return run

    def _settle(self, pending: PendingRun) -> None:
        """Count the usage of a run that has ended; if it is not known, the experiment fails."""
        self._job.settle(pending.reservation)
        if pending.reservation.is_unknown:
            self._failure = self._failure or self._job.ended_early

    def _pending(self, opened: OpenExperiment, order: Sequence[int]) -> Iterator[PendingRun]:
        """Yield every repetition of every example, unless an earlier job completed it."""
        for pending in pending_runs(opened, order):
            if pending.earlier is not None and pending.earlier.is_recorded and not pending.needs_calls:
                self._runs[pending.index] = pending.earlier
                self._job.notify(self._job.observer.ran, opened, pending.earlier)
                self._job.notify(self._job.observer.recorded, opened, pending.earlier)
                self._look(pending.index, pending.earlier)
            else:
                self._only_calls_left = pending.needs_calls
                yield pending

    async def _make(
        self,
        opened: OpenExperiment,
        task: Callee,
        pending: Iterator[PendingRun],
        ticket: Ticket,
        admitted: PendingRun | None = None,
    ) -> None:
        """Run the task on an example, then evaluate and record its output, and release the ticket.

        The next run starts before the output is evaluated and recorded, which keeps the provider busy. With a limit of
        N tickets, N - 1 examples may be evaluated without a ticket. A further example keeps its ticket until it is
        evaluated. With a limit of 1, examples therefore run strictly in sequence.

        Args:
            opened: the experiment.
            task: the task.
            pending: the runs that have not started.
            ticket: the ticket of the run.
            admitted: the run; None for the next pending run.
        """
        job = self._job
        current = admitted or await self._next_admitted(pending, ticket)
        if current is None:
            return
        run = current.earlier
        try:
            if run is None:
                run = await self._calls.run_task(opened, task, current, ticket, skips=lambda: self._is_ending)
                if run is None:
                    return
                if run.failure:
                    job.count_failure()
        finally:
            if run is None:
                self._settle(current)
                job.pace.release(ticket)
        is_full = job.finishing >= job.pace.limit - 1
        if not is_full and (renewed := job.pace.renew(ticket)) is not None:
            self._start(self._make(opened, task, pending, renewed))
        job.finishing += 1
        await self._finish(opened, current, run, ticket)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a part of the experiment; the experiment waits for all parts at its end."""

        def over(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            if not task.cancelled() and (error := task.exception()):  # a bug in evalwire: fail
                self._failure = engine_failure(error, stage="record")

        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(over)

    async def _drain(self) -> None:
        """Wait for the examples in flight: without a limit, or for the grace period after a stop."""
        job, running = self._job, self._running
        stopped = asyncio.create_task(job.stopped.wait())
        while running and not job.stopped.is_set() and not job.is_late:
            await asyncio.wait({*running, stopped}, timeout=job.seconds_left, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running and job.stop.requested_at is not None:
            latest = job.stop.requested_at + job.limits.grace_seconds
            while running and (left := latest - clocks.monotonic()) > 0:  # runs start their successors
                await asyncio.wait(running, timeout=left)
        late = list(running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLEAN_UP_SECONDS)

    async def _verify(self, opened: OpenExperiment) -> None:
        """Check that Phoenix has all records of the experiment."""
        try:
            missing = await unless(self._job.stopped, self._job.recorder.verify(opened, self._runs.values()))
        except Exception as error:
            self._failure = self._failure or engine_failure(error, stage="record")
            return
        if missing:
            self._failure = self._failure or Failure(
                kind="phoenix",
                stage="record",
                type="RecordsMissing",
                message=f"Phoenix accepted records that are now missing: {'; '.join(missing)}",
            )

    # --- examples ------------------------------------------------------------------------------------

    async def _finish(self, opened: OpenExperiment, pending: PendingRun, run: TaskRun, ticket: Ticket) -> None:
        """Evaluate and record the task's output, and release the ticket if the example still has it."""
        job = self._job
        try:
            try:
                if run.failure is None:
                    run = await self._calls.evaluate(opened, run, pending, ticket)
                if pending.earlier is None:
                    self._look_at_first(run)
                self._look(pending.index, run)
                job.notify(job.observer.ran, opened, run)
                await job.backlog.acquire()
            finally:
                job.finishing -= 1
                job.pace.release(ticket)
                self._settle(pending)
            run = await self._record(opened, run)
        except asyncio.CancelledError:  # keep the paid output in the report at least
            message = "the job ended before the run was recorded"
            left_over = Failure(kind="evalwire", stage="interrupted", type="Interrupted", message=message)
            self._runs[pending.index] = dataclasses.replace(run, record_failure=left_over)
            raise
        self._runs[pending.index] = run
        job.notify(job.observer.recorded, opened, run)

    def _look(self, index: int, run: TaskRun) -> None:
        """Stop starting examples if the gates are decided by the runs so far, or cannot look at them."""
        try:
            is_over = self._prefix is not None and self._prefix.add(index, run)
        except Exception as error:  # a bug in evalwire: fail, but record what is paid
            self._failure = self._failure or engine_failure(error, stage="record")
            is_over = True
        if is_over:
            self._is_given_up = True
            if self._feed is not None and self._only_calls_left:
                self._feed.cancel()

    def _look_at_first(self, run: TaskRun) -> None:
        """Stop starting examples if the first runs all fail in the same way, to avoid further costs."""
        name = self._experiment.name
        if name not in self._job.limits.stop_failing:
            return
        failure = self._first_runs.add(run, root=self._experiment.import_root)
        if failure is not None and self._feed is not None and not self._feed.done():
            log.warning("%s: %s", name, failure.message)
            self._failure = self._failure or failure
            self._is_given_up = True
            self._feed.cancel()

    async def _record(self, opened: OpenExperiment, run: TaskRun) -> TaskRun:
        """Record a run that has a place in the backlog; end the job if other records would fail, too."""
        job = self._job
        failed = run.has_failed
        if failed and not run.failure:
            job.count_failure()
        try:
            run, error = await job.recorder.record(opened, run)
        finally:
            job.backlog.release()
        if error is None:
            return run
        if not failed:
            job.count_failure()
        if is_outage(error, opened):
            job.end_for_outage(error)
        return dataclasses.replace(run, record_failure=engine_failure(error, stage="record"))
