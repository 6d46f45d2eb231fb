"""The event loop of a job: it goes on whatever user code does to it, and is watched from outside."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import gc
import logging
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from evalwire.usercode import JobLoop, leave_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from types import FrameType

    from evalwire.model import Experiment
    from evalwire.usercode import Clock


log = logging.getLogger("evalwire")

CLEAN_UP_SECONDS = 1.0  # for cancelled functions' own `finally` blocks

LOOK_SECONDS = 0.1

_HANDLE_RUN = asyncio.Handle._run.__code__  # noqa: SLF001 - no public name for a step

_LEAST_SAVED_SECONDS = 1.0

_WINDOW = 20  # looks that decide whether an experiment blocks the loop

_BUSY_LOOKS = 10  # of these: user code stood on the loop's thread


class LoopThread(threading.Thread):
    """An event loop on a thread of its own, which runs one coroutine to its end.

    Attributes:
        crash: what the coroutine raised, a defect of evalwire's own; None when it did not.
        broken: why the loop ended before the coroutine; empty when it did not.
        ended: set when the thread is about to end. Wait for it, not by `join`: what a signal's handler raises in
            `join` makes Python take a running thread for one that has ended (until 3.13).
    """

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], clock: Clock) -> None:
        super().__init__(name="evalwire-engine", daemon=True)
        self._context = contextvars.copy_context()  # with what imports have set in theirs, such as decimal's precision
        self._main = main
        self._clock = clock
        self.crash: BaseException | None = None
        self.broken = ""
        self.ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Run the coroutine, whatever background tasks of the user's raise, stop or cancel."""
        try:
            self._context.run(self._run)
        finally:
            self.ended.set()

    def _run(self) -> None:
        job_loop = JobLoop.take(self._clock)
        loop = self._loop = job_loop.loop
        _running.add(self)
        is_whole = False
        try:
            task = loop.create_task(self._main())
            while not task.done() and not loop.is_closed():
                # user code may stop the loop, or raise through it, which goes on; what the task raised is seen below
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(task)
            if not task.done() or task.cancelled():
                self.broken = "user code closed the event loop or cancelled every task on it"
            elif error := task.exception():
                self.crash = error
            if loop.is_closed():
                return
            left = asyncio.all_tasks(loop)
            for stray in left:
                stray.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=CLEAN_UP_SECONDS))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop._asyncgens_shutdown_called = False  # type: ignore[attr-defined]  # noqa: SLF001 - the next job's are no late ones
            is_whole = not self.broken and not asyncio.all_tasks(loop)
        finally:
            job_loop.give_back(whole=is_whole)

    def leave_fork(self) -> None:
        """End this process, forked by user code on the loop's thread, before the loop does anything else in it."""
        if self._loop is not None and self.ident == threading.get_ident():
            self._loop.call_soon(leave_fork)
            with contextlib.suppress(AttributeError):  # another kind of loop, which does so after what is ready
                self._loop._ready.rotate(1)  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public is first


_running: weakref.WeakSet[LoopThread] = weakref.WeakSet()


def _leave_fork() -> None:
    for thread in list(_running):
        thread.leave_fork()


os.register_at_fork(after_in_child=_leave_fork)


class Watch:
    """Notices from outside when user code holds up the event loop, and at which line it stands.

    Several times a second it looks at the thread of the loop. An experiment whose code stands there in half of the
    looks of two seconds is told once, by name: one long call and many short ones show alike. Each look also shows the
    clock that the process runs.
    """

    def __init__(self, thread: LoopThread, experiments: Sequence[Experiment], *, clock: Clock) -> None:
        self._thread = thread
        self._experiments = experiments
        self._clock = clock
        self._seen: collections.deque[str | None] = collections.deque(maxlen=_WINDOW)
        self._told: set[str] = set()
        self._held: dict[str, float] = collections.defaultdict(float)  # seconds, of each experiment
        self._looked_at = clock.now()
        self._step: FrameType | None = None
        self._step_seen_at = self._looked_at

    def look(self) -> None:
        """Tell of an experiment that blocks the loop; give the loop up when one step takes longer than a call may."""
        self._clock.beat()
        before, self._looked_at = self._looked_at, self._clock.now()
        frames = list(self._frames())
        name = self._whose(frames)
        self._seen.append(name)
        if name is not None:
            self._held[name] += self._looked_at - before
            if name not in self._told and self._seen.count(name) >= _BUSY_LOOKS:
                self._told.add(name)
                log.warning(
                    "%s: %s blocks the event loop, so no other example runs meanwhile; each call keeps its own time. "
                    "Await an async call there, or make the function a plain `def`, which runs on a thread",
                    name,
                    self._line(frames),
                )
        step = _step_of(frames) if self._clock.turn_began is not None else None
        if step is not self._step or step is None:
            self._step, self._step_seen_at = step, self._looked_at
        blocked = self._looked_at - self._step_seen_at
        if blocked > self._clock.limit_seconds + CLEAN_UP_SECONDS:
            self._thread.broken = (
                f"the event loop was blocked for {blocked:.0f} s at {self._line(frames)}, longer than a call may take"
            )

    def advise(self, in_flight: int) -> None:
        """Say of each experiment that blocked the loop what threads would have saved."""
        for name in sorted(self._told):
            saved = self._held[name] * (1 - 1 / max(1, in_flight))
            if saved >= _LEAST_SAVED_SECONDS:
                log.warning(
                    '%s: async code held the event loop for %.0f s. isolate = "thread" under [experiments.%s] in '
                    "evalwire.toml runs each call on a thread of its own, which would have saved up to %.0f s",
                    name,
                    self._held[name],
                    name,
                    saved,
                )

    def _whose(self, frames: Sequence[FrameType]) -> str | None:
        """The experiment whose code is being run, by itself or by what it called."""
        for experiment in self._experiments:
            if any(_is_below(frame, experiment.path) for frame in frames):
                return experiment.name
        return None

    def _line(self, frames: Sequence[FrameType]) -> str:
        """`file:line` of the innermost frame in the project, else of the innermost one."""
        roots = {experiment.import_root for experiment in self._experiments}
        own = (frame for frame in frames if any(_is_below(frame, root) for root in roots))
        frame = next(own, frames[0] if frames else None)
        return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown line"

    def _frames(self) -> Iterator[FrameType]:
        frame = _frame_of(self._thread.ident)
        while frame is not None:
            yield frame
            frame = frame.f_back


def _frame_of(ident: int | None) -> FrameType | None:
    """Return the frame that a thread is in.

    NOTE: a garbage collection within `_current_frames` deadlocks Python before 3.11.9 (CPython's issue 106883).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(ident or 0)  # noqa: SLF001 - documented, for uses of this kind
    finally:
        if collects:
            gc.enable()


def _step_of(frames: Sequence[FrameType]) -> FrameType | None:
    """Return the frame in which the event loop runs one step, of a task or of a callback; None between the steps.

    The frame is kept for as long as it is compared, so no other can have its place in memory.
    """
    return next((frame for frame in reversed(frames) if frame.f_code is _HANDLE_RUN), None)


def _is_below(frame: FrameType, folder: os.PathLike[str]) -> bool:
    return frame.f_code.co_filename.startswith(f"{os.fspath(folder)}{os.sep}")
