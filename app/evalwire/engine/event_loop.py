"""The event loop of a job, which survives interference by user code and is watched from another thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import logging
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from evalwire.loading import uncollected
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

_WINDOW = 20  # the number of looks that decide whether an experiment blocks the loop

_BUSY_LOOKS = 10  # looks in the window that found user code on the loop's thread


class LoopThread(threading.Thread):
    """An event loop on a separate thread, which runs a coroutine to its end.

    Attributes:
        crash: the exception from the coroutine, caused by a bug in evalwire; None without an exception.
        broken: the reason why the loop ended before the coroutine; empty if it did not.
        ended: the event that is set when the thread is about to end. Wait for it instead of calling `join`: until
            Python 3.13, an exception from a signal handler in `join` marks a running thread as ended.
    """

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], clock: Clock) -> None:
        super().__init__(name="evalwire-engine", daemon=True)
        self._context = contextvars.copy_context()  # includes values set at import, such as decimal's precision
        self._main = main
        self._clock = clock
        self.crash: BaseException | None = None
        self.broken = ""
        self.ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Run the coroutine, even if the user's background tasks raise, stop the loop or cancel tasks."""
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
                # user code may stop the loop or raise through it: continue; the task's own exception is checked below
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
            loop._asyncgens_shutdown_called = False  # type: ignore[attr-defined]  # noqa: SLF001 - the next job uses the loop, too
            is_whole = not self.broken and not asyncio.all_tasks(loop)
        finally:
            job_loop.give_back(whole=is_whole)

    def leave_fork(self) -> None:
        """End this process, which user code forked on the loop's thread, before the loop continues in it."""
        if self._loop is not None and self.ident == threading.get_ident():
            self._loop.call_soon(leave_fork)
            with contextlib.suppress(AttributeError):  # other loops run ready callbacks first
                self._loop._ready.rotate(1)  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to be first


_running: weakref.WeakSet[LoopThread] = weakref.WeakSet()


def _leave_fork() -> None:
    for thread in list(_running):
        thread.leave_fork()


os.register_at_fork(after_in_child=_leave_fork)


class Watch:
    """Detects, from another thread, user code that blocks the event loop, and the line at which it blocks.

    The watch looks at the thread of the loop several times a second. If half of the looks in two seconds find an
    experiment's code there, it logs a warning, once for each experiment. A long call and many short calls look the
    same. Each look also shows the clock that the process is running.
    """

    def __init__(self, thread: LoopThread, experiments: Sequence[Experiment], *, clock: Clock) -> None:
        self._thread = thread
        self._experiments = experiments
        self._clock = clock
        self._seen: collections.deque[str | None] = collections.deque(maxlen=_WINDOW)
        self._warned: set[str] = set()  # names of experiments
        self._blocked: dict[str, float] = collections.defaultdict(float)  # seconds, by experiment
        clock.beat()  # before the first call, in case the process is suspended before the first look
        self._looked_at = clock.now()
        self._step: FrameType | None = None
        self._step_seen_at = self._looked_at

    def look(self) -> None:
        """Warn of an experiment that blocks the loop; give up the loop if a step exceeds the time limit of a call."""
        self._clock.beat()
        before, self._looked_at = self._looked_at, self._clock.now()
        frames = list(self._frames())
        name = self._whose(frames)
        self._seen.append(name)
        if name is not None:
            self._blocked[name] += self._looked_at - before
            if name not in self._warned and self._seen.count(name) >= _BUSY_LOOKS:
                self._warned.add(name)
                log.warning(
                    "%s: %s blocks the event loop, so no other example can run (this time does not count for them). "
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
                f"the event loop was blocked for {blocked:.0f} s at {self._line(frames)}, "
                "longer than the time limit of a call"
            )

    def advise(self, in_flight: int) -> None:
        """Warn of each experiment that blocked the loop, with the time that threads would have saved."""
        for name in sorted(self._warned):
            saved = self._blocked[name] * (1 - 1 / max(1, in_flight))
            if saved >= _LEAST_SAVED_SECONDS:
                log.warning(
                    '%s: async code blocked the event loop for %.0f s. Set isolate = "thread" under [experiments.%s] '
                    "in evalwire.toml to run each call on its own thread, which would have saved up to %.0f s",
                    name,
                    self._blocked[name],
                    name,
                    saved,
                )

    def _whose(self, frames: Sequence[FrameType]) -> str | None:
        """Return the name of the experiment whose code, or code called by it, is running; None without one."""
        for experiment in self._experiments:
            if any(_is_below(frame, experiment.path) for frame in frames):
                return experiment.name
        return None

    def _line(self, frames: Sequence[FrameType]) -> str:
        """Return `file:line` of the innermost frame in the project, or else of the innermost frame."""
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
    """Return the current frame of a thread.

    NOTE: a garbage collection in `_current_frames` deadlocks Python before 3.11.9 (CPython issue 106883).
    """
    with uncollected():
        return sys._current_frames().get(ident or 0)  # noqa: SLF001 - documented for this purpose


def _step_of(frames: Sequence[FrameType]) -> FrameType | None:
    """Return the frame in which the event loop runs a step of a task or a callback; None between steps.

    Callers keep the frame as long as they compare it, so no other frame can get its address.
    """
    return next((frame for frame in reversed(frames) if frame.f_code is _HANDLE_RUN), None)


def _is_below(frame: FrameType, directory: os.PathLike[str]) -> bool:
    return frame.f_code.co_filename.startswith(f"{os.fspath(directory)}{os.sep}")
