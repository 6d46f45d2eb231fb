"""Run experiments: examples concurrently, evaluators behind each, every failure a value, nothing dropped."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from evalwire.engine.concurrency import Pace, Ticket
from evalwire.engine.evaluations import evaluations_of, is_judged, with_all
from evalwire.engine.event_loop import CLEAN_UP_SECONDS, LOOK_SECONDS, LoopThread, Watch
from evalwire.engine.limits import JobResult, Limits, Stop
from evalwire.engine.retrying import Attempts
from evalwire.errors import EvalwireError, PhoenixRefused, PhoenixUnreachable, RunTaken
from evalwire.model import (
    Callee,
    Evaluation,
    Example,
    Experiment,
    ExperimentResult,
    Failure,
    FailureStage,
    OpenExperiment,
    TaskRun,
    to_json,
)
from evalwire.usercode import Call, Clock, Threads, evaluator_values, failure_of, parse_scores, task_values

if TYPE_CHECKING:
    from evalwire.engine.protocols import Observer, Recorder

T = TypeVar("T")

log = logging.getLogger("evalwire")


def run_job(
    experiments: Sequence[Experiment],
    *,
    recorder: Recorder,
    observer: Observer,
    limits: Limits,
    stop: Stop | None = None,
) -> JobResult:
    """Run all experiments and give every result, in the order of `experiments`.

    The event loop has a thread of its own: so a notebook's running loop does not matter, signals reach the
    calling thread at once, and a task that blocks the loop cannot keep a stopped job from ending.

    Raises:
        KeyboardInterrupt: passed on from the calling thread after the grace period.
    """
    stop = stop or Stop()
    job = _Job(experiments, recorder=recorder, observer=observer, limits=limits, stop=stop)
    interrupt: KeyboardInterrupt | None = None
    thread = LoopThread(job.run)
    watch = Watch(thread, experiments, limit_seconds=limits.timeout_seconds)
    thread.start()
    while thread.is_alive() and not thread.broken:
        try:
            if stop.requested_at is None:
                thread.join(LOOK_SECONDS)
                watch.look()
                continue
            latest = stop.requested_at + limits.grace_seconds + CLEAN_UP_SECONDS
            thread.join(max(0.0, latest - time.monotonic()))
            break
        except KeyboardInterrupt as pressed:
            interrupt = pressed
            stop.request()
    if interrupt:
        raise interrupt
    if thread.crash:
        raise thread.crash
    return JobResult(
        results=job.snapshot(broken=thread.broken),
        interrupted=stop.requested,
        abandoned_threads=job.threads.busy,
    )


@dataclasses.dataclass(slots=True)
class _Progress:
    """How far one experiment is; read by `snapshot` from another thread."""

    experiment: Experiment
    started_at: float = 0.0
    opened: OpenExperiment | None = None
    runs: dict[int, TaskRun] = dataclasses.field(default_factory=dict)
    failure: Failure | None = None
    result: ExperimentResult | None = None
    running: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)


class _Job:
    """The state of one job on its event loop."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        *,
        recorder: Recorder,
        observer: Observer,
        limits: Limits,
        stop: Stop,
    ) -> None:
        self._recorder = recorder
        self._observer = observer
        self._limits = limits
        self._stop = stop
        self._progress = [_Progress(experiment) for experiment in experiments]
        self._lanes = asyncio.Semaphore(limits.concurrency)  # experiments at once
        self._pace = Pace(limits.task_concurrency, on_change=_tell_pace)  # examples at once, of all experiments
        self._backlog = asyncio.Semaphore(limits.backlog)  # runs that wait for Phoenix
        self._stopped = asyncio.Event()  # somebody asked for it
        self._ends = asyncio.Event()  # that, or an outage, or too many failures
        self._attempts = Attempts(self._pace, self._ends, most=limits.retries, retry_on=limits.retry_on)
        self._feeds: set[asyncio.Task[None]] = set()
        self._behind = 0  # examples whose task has returned, and which are judged or wait to be recorded
        self._outage: EvalwireError | None = None
        self._failed = 0
        self._planned = 0  # runs of the experiments that have begun
        self._gave_up = ""
        self._is_observer_gone = False  # whether the observer has failed
        self._clock = Clock(limits.timeout_seconds)
        self._roots = {experiment.name: experiment.import_root for experiment in experiments}
        self.threads = Threads()

    async def run(self) -> None:
        """Run every experiment; their results are in `snapshot`."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self._stopped.set)
                loop.call_soon_threadsafe(self._end)

        self._stop.on_request(wake)
        await asyncio.gather(*(self._run_lane(progress) for progress in self._progress))
        self.threads.close()

    def snapshot(self, *, broken: str = "") -> list[ExperimentResult]:
        """Every experiment's result so far; `broken` says why the loop ended before the job did."""
        return [progress.result or self._result(progress, is_over=False, broken=broken) for progress in self._progress]

    # --- the end of a job ----------------------------------------------------------------------------

    def _end(self) -> None:
        """Start no further example."""
        self._ends.set()
        for feed in self._feeds:
            feed.cancel()

    def _tell(self, what: Callable[..., None], *about: Any) -> None:
        """Call the observer. A screen or a pipe that is gone must not cost what was paid for."""
        try:
            what(*about)
        except Exception as error:
            if not self._is_observer_gone:
                log.warning("the progress cannot be shown, and the job goes on: %r", error)
            self._is_observer_gone = True

    def _is_ending(self) -> bool:
        return self._ends.is_set()

    def _count_failure(self) -> None:
        """Give the job up when there are more failures than it may have."""
        self._failed += 1
        most = self._limits.max_failures
        if most is None or self._is_ending():
            return
        allowed = most if most >= 1 else math.ceil(most * self._planned)
        if self._failed >= allowed:
            share = f"{most:.0%} of {self._planned} runs" if most < 1 else f"{most:g}"
            self._gave_up = f"the job was stopped after {self._failed} failures (max_failures: {share})"
            log.warning("%s", self._gave_up)
            self._end()

    def _result(self, progress: _Progress, *, is_over: bool = True, broken: str = "") -> ExperimentResult:
        """What an experiment came to; one that is not over, not verified say, has not passed, though all ran."""
        experiment, opened = progress.experiment, progress.opened
        failure = progress.failure
        runs = tuple(run for _, run in sorted(progress.runs.copy().items()))
        count = len(opened.dataset.examples) if opened else 0
        expected = count * (opened.repetitions if opened else 1)
        is_whole = is_over and opened is not None and len(runs) == expected
        if failure is None and not experiment.problems and not is_whole:
            failure = self._unfinished(broken)
        return ExperimentResult(
            name=experiment.name,
            dataset_name=experiment.dataset_name,
            path=str(experiment.path),
            evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
            opened=opened,
            runs=runs,
            example_count=count,
            repetitions=opened.repetitions if opened else 1,
            failure=failure,
            problems=experiment.problems,
            seconds=time.monotonic() - progress.started_at if progress.started_at else 0.0,
        )

    def _unfinished(self, broken: str) -> Failure:
        if broken:
            return Failure(kind="user", stage="task", type="RuntimeError", message=broken)
        if self._outage:
            return _failure(self._outage, stage="record")
        if self._gave_up:
            return Failure(kind="user", stage="task", type="TooManyFailures", message=self._gave_up)
        return Failure(
            kind="evalwire",
            stage="interrupted",
            type="Interrupted",
            message="the job was stopped before its end",
        )

    # --- experiments ---------------------------------------------------------------------------------

    async def _run_lane(self, progress: _Progress) -> None:
        async with self._lanes:
            progress.started_at = time.monotonic()
            if not progress.experiment.problems and not self._is_ending():
                await self._run_experiment(progress)
            progress.result = self._result(progress)
            if progress.failure or progress.experiment.problems:
                self._count_failure()
            self._tell(self._observer.finished, progress.result)

    async def _run_experiment(self, progress: _Progress) -> None:
        try:
            opened = await _unless(self._ends, self._recorder.open(progress.experiment))
        except Exception as error:
            progress.failure = _failure(error, stage="open")
            return
        if opened is None:
            return
        progress.opened = opened
        examples = opened.dataset.examples
        if not examples and not opened.is_empty_part:
            progress.failure = Failure(
                kind="user",
                stage="open",
                type="EmptyDataset",
                message=f"the dataset {opened.dataset.name!r} has no examples; upload some, or select another version",
            )
            return
        run_count = len(examples) * opened.repetitions
        self._planned += run_count
        self._tell(self._observer.started, opened, run_count)
        feed = asyncio.create_task(self._feed(progress, opened))
        self._feeds.add(feed)
        await asyncio.wait({feed})
        self._feeds.discard(feed)
        if not feed.cancelled() and (defect := feed.exception()):  # of evalwire's own: be red
            progress.failure = failure_of(defect, stage="record", kind="evalwire")
        await self._drain(progress.running)
        if not self._stopped.is_set() and not self._outage:
            await self._verify(progress, opened)

    async def _feed(self, progress: _Progress, opened: OpenExperiment) -> None:
        """Begin a lane for each place in flight that the pace gives; cancelled when the job is to end."""
        to_do = self._to_do(progress, opened)
        for place in to_do:
            ticket = self._pace.try_acquire() or await self._pace.acquire()
            if self._is_ending():
                self._pace.release(ticket)
                return
            self._start(progress, self._lane(progress, opened, place, to_do, ticket))

    def _to_do(self, progress: _Progress, opened: OpenExperiment) -> Iterator[_Place]:
        """Every example with every repetition, in the dataset's order, but for those that an earlier job completed."""
        pairs = itertools.product(opened.dataset.examples, range(1, opened.repetitions + 1))
        for index, (example, repetition) in enumerate(pairs):
            earlier = opened.earlier.get((example.node_id, repetition))
            if earlier is not None:
                earlier = with_all(opened, earlier, earlier.evaluations)
            if earlier is not None and earlier.is_recorded and is_judged(opened, earlier):
                progress.runs[index] = earlier
                self._tell(self._observer.ran, opened, earlier)
            else:
                yield _Place(index, example, repetition, earlier)

    def _start(self, progress: _Progress, work: Coroutine[Any, Any, None]) -> None:
        """Begin a part of the experiment that it waits for at its end."""

        def over(task: asyncio.Task[None]) -> None:
            progress.running.discard(task)
            if not task.cancelled() and (error := task.exception()):  # a defect of evalwire's own: be red
                progress.failure = failure_of(error, stage="record", kind="evalwire")

        task = asyncio.create_task(work)
        progress.running.add(task)
        task.add_done_callback(over)

    async def _drain(self, running: set[asyncio.Task[None]]) -> None:
        """Wait for the examples in flight: as long as it takes, or for the grace period after a stop."""
        stopped = asyncio.create_task(self._stopped.wait())
        while running and not self._stopped.is_set():
            await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running and self._stop.requested_at is not None:
            left = self._stop.requested_at + self._limits.grace_seconds - time.monotonic()
            while running and left > 0:  # a lane that ends leaves an example to be judged and recorded
                await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                left = self._stop.requested_at + self._limits.grace_seconds - time.monotonic()
        late = list(running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLEAN_UP_SECONDS)

    async def _verify(self, progress: _Progress, opened: OpenExperiment) -> None:
        """Hold the experiment to what Phoenix has."""
        try:
            missing = await _unless(self._stopped, self._recorder.verify(opened, progress.runs.values()))
        except Exception as error:
            progress.failure = progress.failure or _failure(error, stage="record")
            return
        if missing:
            progress.failure = progress.failure or Failure(
                kind="phoenix",
                stage="record",
                type="RecordsMissing",
                message=f"Phoenix accepted records that it does not have: {'; '.join(missing)}",
            )

    # --- one example ---------------------------------------------------------------------------------

    async def _lane(
        self,
        progress: _Progress,
        opened: OpenExperiment,
        place: _Place | None,
        to_do: Iterator[_Place],
        ticket: Ticket | None,
    ) -> None:
        """Run the task on one example after the other, in one place in flight, for as long as it may be kept.

        The next task begins before the last one's output is judged and recorded: an event loop that had other
        things to do first would leave the provider idle meanwhile. As many examples, less one, may be behind their
        tasks as are in them; one more keeps its place. With one place, examples come strictly one after the other.
        """
        try:
            while place is not None and ticket is not None:
                run = place.earlier
                if run is None:
                    run = await self._run_task(opened, place, ticket)
                    self._recorder.returned(opened, run)
                    if run.failure:
                        self._count_failure()
                its_own, is_full = ticket, self._behind >= self._pace.limit - 1
                ticket = None if is_full else self._pace.renew(ticket)
                self._behind += 1
                self._start(progress, self._finish(progress, opened, place, run, its_own))
                place = None if self._is_ending() or ticket is None else next(to_do, None)
        finally:
            if ticket is not None:
                self._pace.release(ticket)

    async def _finish(
        self, progress: _Progress, opened: OpenExperiment, place: _Place, run: TaskRun, ticket: Ticket
    ) -> None:
        """Judge and record what the task returned; give its place back, if it still has it."""
        try:
            try:
                if run.failure is None:
                    run = await self._judge(opened, run, ticket)
                await self._backlog.acquire()
            finally:
                self._behind -= 1
                self._pace.release(ticket)
            failed = bool(run.failures)
            if failed and not run.failure:
                self._count_failure()
            try:
                run, error = await self._recorder.record(opened, run)
            finally:
                self._backlog.release()
            if error is not None:
                if not failed:
                    self._count_failure()
                run = dataclasses.replace(run, record_failure=_failure(error, stage="record"))
                if _is_hopeless(error, opened):
                    self._outage = self._outage or error
                    self._end()
        except asyncio.CancelledError:  # its output was paid for: it is in the report at least
            left_over = Failure(
                kind="evalwire",
                stage="interrupted",
                type="Interrupted",
                message="the job ended before it was recorded",
            )
            progress.runs[place.index] = dataclasses.replace(run, record_failure=left_over)
            raise
        progress.runs[place.index] = run
        self._tell(self._observer.ran, opened, run)

    async def _run_task(self, opened: OpenExperiment, place: _Place, ticket: Ticket) -> TaskRun:
        """Run the task on one example."""
        task = opened.experiment.task
        if task is None:  # an experiment without a task has problems, and is not run
            raise AssertionError(opened.experiment.name)

        def begin() -> Call:
            return self._call(opened, task, task_values(place.example))

        outcome = await self._attempts.outcome(begin, to_json, stage="task", ticket=ticket, first=begin())
        return TaskRun(
            example=place.example,
            output=outcome.value,
            failure=outcome.failure,
            start_time=outcome.call.start_time,
            end_time=outcome.call.end_time,
            repetition=place.repetition,
            trace_id=outcome.call.trace_id,
            attempts=outcome.attempts,
            usage=outcome.usage,
        )

    async def _judge(self, opened: OpenExperiment, run: TaskRun, ticket: Ticket) -> TaskRun:
        """Have every evaluator that has not said anything yet, all at once, judge what the task returned."""
        said = {evaluation.evaluator for evaluation in run.evaluations}
        begins = [
            self._beginning(opened, evaluator, run)
            for evaluator in opened.experiment.evaluators
            if evaluator.name not in said
        ]
        words = [self._word(opened, run, begin(), begin, ticket) for begin in begins]
        found = [await word for word in words] if len(words) == 1 else await asyncio.gather(*words)
        return with_all(opened, run, itertools.chain(run.evaluations, *found))

    async def _word(
        self, opened: OpenExperiment, run: TaskRun, first: Call, begin: Callable[[], Call], ticket: Ticket
    ) -> list[Evaluation]:
        """What one evaluator says, noted as soon as it has."""
        name = first.callee.name
        outcome = await self._attempts.outcome(
            begin, lambda returned: parse_scores(returned, name=name), stage="evaluator", ticket=ticket, first=first
        )
        found = evaluations_of(outcome)
        self._recorder.judged(opened, run, found)
        return found

    def _beginning(self, opened: OpenExperiment, evaluator: Callee, run: TaskRun) -> Callable[[], Call]:
        return lambda: self._call(opened, evaluator, evaluator_values(run.example, run.output, run.trace_id))

    def _call(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Call:
        """Begin a call of the user's code, traced and timed."""
        trace = self._recorder.trace(opened, callee, values)
        root = self._roots[opened.experiment.name]
        return Call(callee, values, trace, self.threads, clock=self._clock, root=root)


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """One run to be made: an example, its repetition, and what an earlier job already has of it."""

    index: int
    example: Example
    repetition: int
    earlier: TaskRun | None


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Await `work`, or give it up and return None once the event happens."""
    task = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        waiting.cancel()


def _is_hopeless(error: EvalwireError, opened: OpenExperiment) -> bool:
    """Whether no other record would fare better: Phoenix is gone, or another job has taken over this shard."""
    return isinstance(error, PhoenixUnreachable | PhoenixRefused) or (
        opened.shard is not None and isinstance(error, RunTaken)
    )


def _tell_pace(before: int, after: int) -> None:
    log.log(
        logging.INFO if after < before else logging.DEBUG,
        "%s: %d examples in flight instead of %d",
        "a rate limit" if after < before else "no rate limit",
        after,
        before,
    )


def _failure(error: Exception, *, stage: FailureStage) -> Failure:
    """A failure of the world around as a value, for the result; evalwire's own messages say it all."""
    if isinstance(error, EvalwireError):
        return Failure(kind=error.failure_kind, stage=stage, type=type(error).__name__, message=str(error))
    return failure_of(error, stage=stage, kind="evalwire")
