"""The entry point of the engine, which runs a job's experiments on a separate event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.engine.event_loop import CLEAN_UP_SECONDS, LOOK_SECONDS, LoopThread, Watch
from evalwire.engine.experiment_run import ExperimentRun
from evalwire.engine.job_state import JobState
from evalwire.engine.limits import EngineResult
from evalwire.usercode import leave_fork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.engine.limits import EarlierRuns, Limits, Stop
    from evalwire.engine.protocols import EarlyVerdicts, Observer, Recorder, Tracer
    from evalwire.model import Experiment

log = logging.getLogger("evalwire")


def run_engine(
    experiments: Sequence[Experiment],
    *,
    recorder: Recorder,
    tracer: Tracer,
    observer: Observer,
    limits: Limits,
    stop: Stop,
    early: EarlyVerdicts | None = None,
    earlier: EarlierRuns | None = None,
) -> EngineResult:
    """Run all experiments; return all results, in the order of `experiments`.

    The event loop runs on a separate thread, so a notebook's running loop does not matter. Signals reach the calling
    thread immediately, and a task that blocks the loop cannot keep a stopped job from ending.

    Args:
        experiments: the loaded experiments.
        recorder: the object that opens experiments and records runs.
        tracer: the tracer for calls of user code.
        observer: the receiver of progress events.
        limits: the limits on concurrency, time, retries and failures.
        stop: the request to end the job early.
        early: the watch of the gates; None to run all examples of each experiment.
        earlier: the runs of the job that other engines made; None for none.

    Raises:
        KeyboardInterrupt: re-raised in the calling thread after the grace period.
    """
    job = JobState(
        experiments,
        recorder=recorder,
        tracer=tracer,
        observer=observer,
        limits=limits,
        stop=stop,
        early=early,
        earlier=earlier,
    )
    runs = [ExperimentRun(job, experiment) for experiment in experiments]
    thread = LoopThread(lambda: _run(job, runs), job.clock)
    watch = Watch(thread, experiments, clock=job.clock)
    interrupt = _wait(thread, watch, limits, stop)
    watch.advise(job.pace.highest_reached)
    if interrupt:
        raise interrupt
    if thread.crash:
        raise thread.crash
    return EngineResult(
        results=[run.snapshot(broken=thread.broken) for run in runs],
        interrupted=stop.requested,
        abandoned_threads=job.threads.busy,
        made=job.made,
    )


def _wait(thread: LoopThread, watch: Watch, limits: Limits, stop: Stop) -> KeyboardInterrupt | None:
    """Start the thread and wait for its end; after a stop, wait for the grace period at most."""
    interrupt: KeyboardInterrupt | None = None
    is_started = False
    while not thread.ended.is_set() and not thread.broken:
        if os.getpid() != stop.process_id:  # forked by a signal handler of user code
            leave_fork()
        try:
            if not is_started:  # here, because a signal may arrive during the start
                is_started = True
                thread.start()
            left = math.inf
            if stop.requested_at is not None:
                left = stop.requested_at + limits.grace_seconds + CLEAN_UP_SECONDS - clocks.monotonic()
                if left <= 0:
                    break
            thread.ended.wait(min(LOOK_SECONDS, left))
            watch.look()
        except KeyboardInterrupt as pressed:
            interrupt = pressed
            stop.request()
        except SystemExit as asked:  # raised by a signal handler of user code, for example for SIGALRM
            log.error("a signal handler of your code called sys.exit(%s), so the job ends early", asked.code)  # noqa: TRY400 - the traceback is in user code
            stop.request()
    return interrupt


async def _run(job: JobState, runs: Sequence[ExperimentRun]) -> None:
    """Run the experiments concurrently, within the limits."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(job.stopped.set)
            loop.call_soon_threadsafe(job.end)

    job.stop.on_request(wake)
    job.watch_deadline()
    slots = asyncio.Semaphore(job.limits.concurrency)

    async def run_in_slot(run: ExperimentRun) -> None:
        async with slots:
            await run.run()

    await asyncio.gather(*(run_in_slot(run) for run in runs))
    job.threads.close()
