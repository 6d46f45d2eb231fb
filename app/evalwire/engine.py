"""Run experiments: examples concurrently, evaluators behind each, every failure a value, nothing dropped."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from evalwire.calling import Call, Threads, Trace, evaluator_values, task_values
from evalwire.errors import EvalwireError, PhoenixRefused, PhoenixUnreachable
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
)
from evalwire.returns import to_json, to_verdicts

T = TypeVar("T")

log = logging.getLogger("evalwire")

_CLEAN_UP_SECONDS = 1.0  # for cancelled functions' own `finally` blocks
_LOOK_SECONDS = 0.5
_BLOCKED_SECONDS = 5.0  # of a standing event loop until it is told


class Recorder(Protocol):
    """Where an experiment comes from and where its runs go: Phoenix, or nowhere in a dry run."""

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and create the experiment.

        Raises:
            EvalwireError: this experiment cannot run.
        """

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Trace:
        """Begin a trace of one call in the experiment's project."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> TaskRun:
        """Record a run and its evaluations; the same run, with Phoenix's ids on it.

        Raises:
            EvalwireError: Phoenix does not have all of it.
        """


class Observer(Protocol):
    """Who wants to know how far the job is. Called on the engine's thread."""

    def started(self, opened: OpenExperiment, example_count: int) -> None:
        """An experiment's dataset is there and its first example is about to run."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """A run is over and recorded, or failed."""

    def finished(self, result: ExperimentResult) -> None:
        """An experiment is over."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much at once, and for how long.

    Attributes:
        concurrency: experiments in parallel.
        task_concurrency: examples in flight over the whole job.
        timeout_seconds: for one call of a task or of an evaluator.
        grace_seconds: for what is in flight when the job is stopped, recording included.
        backlog: finished runs that may wait for Phoenix before no further example is started.
    """

    concurrency: int = 1
    task_concurrency: int = 10
    timeout_seconds: float = 300.0
    grace_seconds: float = 8.0
    backlog: int = 100


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
    thread = threading.Thread(target=_run_loop, args=(job.run, job), name="evalwire-engine", daemon=True)
    thread.start()
    watch = _Watch(job, limits)
    while thread.is_alive() and not job.broken:
        try:
            if stop.requested_at is None:
                thread.join(_LOOK_SECONDS)
                watch.look(thread)
                continue
            latest = stop.requested_at + limits.grace_seconds + _CLEAN_UP_SECONDS
            thread.join(max(0.0, latest - time.monotonic()))
            break
        except KeyboardInterrupt as pressed:
            interrupt = pressed
            stop.request()
    if interrupt:
        raise interrupt
    if job.crash:
        raise job.crash
    return JobResult(results=job.snapshot(), interrupted=stop.requested, abandoned_threads=job.threads.busy)


def _run_loop(main: Callable[[], Coroutine[Any, Any, None]], job: _Job) -> None:
    """Run `main` on a new event loop, whatever background tasks of the user's raise, stop or cancel."""
    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(main())
        while not task.done() and not loop.is_closed():
            # RuntimeError: user code stopped the loop, which goes on
            with contextlib.suppress(SystemExit, KeyboardInterrupt, RuntimeError, asyncio.CancelledError):
                loop.run_until_complete(task)
        if not task.done() or task.cancelled():
            job.broken = "user code closed the event loop or cancelled every task on it"
        elif error := task.exception():
            job.crash = error
        if loop.is_closed():
            return
        left = asyncio.all_tasks(loop)
        for stray in left:
            stray.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_CLEAN_UP_SECONDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        if not loop.is_closed():
            loop.close()


class _Watch:
    """Notices from outside when the event loop does not turn, and at which line of the user's it stands."""

    def __init__(self, job: _Job, limits: Limits) -> None:
        self._job = job
        self._limit = limits.timeout_seconds + _CLEAN_UP_SECONDS
        self._warned: set[str] = set()

    def look(self, thread: threading.Thread) -> None:
        """Warn about a loop that is blocked; give the job up when that takes longer than any call may."""
        blocked = time.monotonic() - self._job.turned_at
        if blocked < _BLOCKED_SECONDS:
            return
        where = _users_line(thread, self._job.roots)
        file = where.rpartition(":")[0]
        if file not in self._warned:
            self._warned.add(file)
            log.warning(
                "%s blocks the event loop, so nothing else runs meanwhile (%.0f s so far): make the function a plain "
                "`def`, which runs on a thread, or await an async call there",
                where,
                blocked,
            )
        if blocked > self._limit:
            self._job.broken = f"the event loop was blocked for {blocked:.0f} s at {where}, longer than a call may take"


def _users_line(thread: threading.Thread, roots: Sequence[Path]) -> str:
    """`file:line` of the innermost frame below one of `roots` on a thread."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - its documented use is debugging of this kind
    innermost = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown line"
    while frame is not None:
        if any(frame.f_code.co_filename.startswith(f"{root}{os.sep}") for root in roots):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return innermost


@dataclasses.dataclass(slots=True)
class _Progress:
    """How far one experiment is; read by `snapshot` from another thread."""

    experiment: Experiment
    started_at: float = 0.0
    opened: OpenExperiment | None = None
    runs: dict[int, TaskRun] = dataclasses.field(default_factory=dict)
    failure: Failure | None = None
    result: ExperimentResult | None = None


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
        self._slots = asyncio.Semaphore(limits.task_concurrency)  # examples at once, of all experiments
        self._backlog = asyncio.Semaphore(limits.backlog)  # runs that wait for Phoenix
        self._stopped = asyncio.Event()  # somebody asked for it
        self._ends = asyncio.Event()  # that, or an outage
        self._outage: EvalwireError | None = None
        self.threads = Threads()
        self.crash: BaseException | None = None
        self.broken = ""
        self.turned_at = time.monotonic()
        self.roots = [experiment.import_root for experiment in experiments]

    async def run(self) -> None:
        """Run every experiment; their results are in `snapshot`."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self._stopped.set)
                loop.call_soon_threadsafe(self._ends.set)

        self._stop.on_request(wake)
        self._turn(loop)
        await asyncio.gather(*(self._run_lane(progress) for progress in self._progress))
        self.threads.close()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show, every now and then, that the event loop turns."""
        self.turned_at = time.monotonic()
        loop.call_later(_LOOK_SECONDS, self._turn, loop)

    def snapshot(self) -> list[ExperimentResult]:
        """Every experiment's result so far."""
        return [progress.result or self._result(progress) for progress in self._progress]

    async def _run_lane(self, progress: _Progress) -> None:
        async with self._lanes:
            progress.started_at = time.monotonic()
            if not progress.experiment.problems and not self._is_ending():
                await self._run_experiment(progress)
            progress.result = self._result(progress)
            self._observer.finished(progress.result)

    def _is_ending(self) -> bool:
        return self._ends.is_set()

    def _result(self, progress: _Progress) -> ExperimentResult:
        experiment, opened = progress.experiment, progress.opened
        failure = progress.failure
        runs = tuple(run for _, run in sorted(progress.runs.copy().items()))
        count = len(opened.dataset.examples) if opened else 0
        if failure is None and not experiment.problems and (opened is None or len(runs) < count):
            failure = self._unfinished()
        return ExperimentResult(
            name=experiment.name,
            dataset_name=experiment.dataset_name,
            evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
            opened=opened,
            runs=runs,
            example_count=count,
            failure=failure,
            problems=experiment.problems,
            seconds=time.monotonic() - progress.started_at if progress.started_at else 0.0,
        )

    def _unfinished(self) -> Failure:
        if self.broken:
            return Failure(stage="task", type="RuntimeError", message=self.broken)
        if self._outage:
            return _failure(self._outage, stage="record")
        return Failure(stage="interrupted", type="Interrupted", message="the job was stopped before its end")

    async def _run_experiment(self, progress: _Progress) -> None:
        try:
            opened = await self._until_ending(self._recorder.open(progress.experiment))
        except Exception as error:
            progress.failure = _failure(error, stage="open")
            return
        if opened is None:
            return
        progress.opened = opened
        examples = opened.dataset.examples
        if not examples:
            progress.failure = Failure(
                stage="open",
                type="EmptyDataset",
                message=f"the dataset {opened.dataset.name!r} has no examples; upload some, or select another version",
            )
            return
        self._observer.started(opened, len(examples))
        running: set[asyncio.Task[None]] = set()

        def over(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if not task.cancelled() and (error := task.exception()):  # a defect of evalwire's own: be red
                progress.failure = Failure.from_exception(error, stage="record")

        for index, example in enumerate(examples):
            if not await self._take_slot():
                break
            task = asyncio.create_task(self._run_example(progress, opened, index, example))
            running.add(task)
            task.add_done_callback(over)
        await self._drain(running)

    async def _take_slot(self) -> bool:
        """Wait for a free slot; False, and none taken, when the job is ending instead."""
        if self._is_ending():
            return False
        if self._slots.locked():
            if await self._until_ending(self._slots.acquire()) is None:
                return False
        else:
            await self._slots.acquire()
        if self._is_ending():
            self._slots.release()
            return False
        return True

    async def _until_ending(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Await `work`, or give it up and return None once the job is to end."""
        task = asyncio.create_task(work)
        ending = asyncio.create_task(self._ends.wait())
        try:
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            ending.cancel()

    async def _drain(self, running: set[asyncio.Task[None]]) -> None:
        """Wait for the examples in flight: as long as it takes, or for the grace period after a stop."""
        stopped = asyncio.create_task(self._stopped.wait())
        while running and not self._stopped.is_set():
            await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running and self._stop.requested_at is not None:
            left = self._stop.requested_at + self._limits.grace_seconds - time.monotonic()
            await asyncio.wait(running, timeout=max(0.0, left))
        late = list(running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CLEAN_UP_SECONDS)

    async def _run_example(self, progress: _Progress, opened: OpenExperiment, index: int, example: Example) -> None:
        run: TaskRun | None = None
        try:
            try:
                run = await self._run_task(opened, example)
                if run.failure is None:
                    run = await self._judge(opened, run)
                await self._backlog.acquire()
            finally:
                self._slots.release()
            try:
                run = await self._recorder.record(opened, run)
            except Exception as error:
                run = dataclasses.replace(run, record_failure=_failure(error, stage="record"))
                if isinstance(error, PhoenixUnreachable | PhoenixRefused):  # no other record would fare better
                    self._outage = self._outage or error
                    self._ends.set()
            finally:
                self._backlog.release()
        except asyncio.CancelledError:
            if run is not None:  # its output was paid for: it is in the report at least
                left_over = Failure(
                    stage="interrupted", type="Interrupted", message="the job ended before it was recorded"
                )
                progress.runs[index] = dataclasses.replace(run, record_failure=left_over)
            raise
        progress.runs[index] = run
        self._observer.ran(opened, run)

    async def _run_task(self, opened: OpenExperiment, example: Example) -> TaskRun:
        """Run the task on one example."""
        task = opened.experiment.task
        if task is None:  # an experiment without a task has problems, and is not run
            raise AssertionError(opened.experiment.name)
        call = self._call(opened, task, task_values(example))
        output, failure = await call.result(to_json, stage="task")
        return TaskRun(
            example=example,
            output=output,
            failure=failure,
            start_time=call.start_time,
            end_time=call.end_time,
            trace_id=call.trace_id,
        )

    async def _judge(self, opened: OpenExperiment, run: TaskRun) -> TaskRun:
        """Have every evaluator, all at once, judge what the task returned."""
        calls = [
            self._call(opened, evaluator, evaluator_values(run.example, run.output, run.trace_id))
            for evaluator in opened.experiment.evaluators
        ]
        evaluations = [evaluation for call in calls for evaluation in await _evaluations(call)]
        return dataclasses.replace(run, evaluations=_without_repeats(evaluations))

    def _call(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Call:
        """Begin a call of the user's code, traced and timed."""
        trace = self._recorder.trace(opened, callee, values)
        root = opened.experiment.import_root
        return Call(callee, values, trace, self.threads, limit_seconds=self._limits.timeout_seconds, root=root)


async def _evaluations(call: Call) -> list[Evaluation]:
    """What an evaluator said, or its failure, as evaluations."""
    name = call.callee.name
    verdicts, failure = await call.result(lambda returned: to_verdicts(returned, name=name), stage="evaluator")
    common: dict[str, Any] = {
        "evaluator": name,
        "annotator_kind": call.callee.annotator_kind,
        "start_time": call.start_time,
        "end_time": call.end_time,
        "trace_id": call.trace_id,
    }
    if verdicts is None:
        return [Evaluation(name=name, failure=failure, **common)]
    return [
        Evaluation(
            name=verdict.name,
            score=verdict.score,
            label=verdict.label,
            explanation=verdict.explanation,
            metadata=verdict.metadata,
            **common,
        )
        for verdict in verdicts
    ]


def _without_repeats(evaluations: list[Evaluation]) -> tuple[Evaluation, ...]:
    """Fail an evaluation whose name another one of the run has: Phoenix would keep only the last of them."""
    seen: dict[str, str] = {}
    kept: list[Evaluation] = []
    for evaluation in evaluations:
        owner = seen.setdefault(evaluation.name, evaluation.evaluator)
        if owner == evaluation.evaluator:
            kept.append(evaluation)
            continue
        clash = Failure(
            stage="evaluator",
            type="ValueError",
            message=f"the result {evaluation.name!r} has the name of one from {owner!r}; give it another `name`",
        )
        name = f"{evaluation.evaluator}.{evaluation.name}"
        kept.append(dataclasses.replace(evaluation, name=name, score=None, label=None, failure=clash))
    return tuple(kept)


def _failure(error: Exception, *, stage: FailureStage) -> Failure:
    """A failure of the world around as a value, for the result; evalwire's own messages say it all."""
    if isinstance(error, EvalwireError):
        return Failure(stage=stage, type=type(error).__name__, message=str(error))
    return Failure.from_exception(error, stage=stage)
