"""Make event loops whose timers go by the machine's clock; jobs of one process share theirs, one after the other."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import selectors
import threading
from typing import TYPE_CHECKING

from evalwire import clocks

if TYPE_CHECKING:
    from evalwire.usercode.time_limit import Clock


def new_event_loop(selector: selectors.BaseSelector | None = None) -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers go by the machine's clock.

    Args:
        selector: what the loop waits with; None for a loop of the kind that the policy makes.
    """
    loop = asyncio.new_event_loop() if selector is None else asyncio.SelectorEventLoop(selector)
    with contextlib.suppress(AttributeError):  # a loop that is not written in Python has a clock of its own
        loop.time = clocks.monotonic  # type: ignore[method-assign]
    return loop


class _TimedSelector(selectors.DefaultSelector):
    """What an event loop waits with: tells a clock when the loop waits, and when it has something to do."""

    clock: Clock | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events, as every selector does."""
        clock = self.clock
        if clock is not None:
            clock.end_turn()
        try:
            return super().select(timeout)
        finally:
            if clock is not None:
                clock.begin_turn()


class JobLoop:
    """The event loop of a job.

    What user code makes once and keeps (a semaphore, a pool of connections) belongs to the loop that it was first used
    on. So the jobs of a process share one loop, one after the other; a job beside another one has a loop of its own.

    Attributes:
        loop: the event loop, for one thread at a time.
    """

    def __init__(self) -> None:
        self._selector = _TimedSelector()
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._process_id = os.getpid()
        self.loop = new_event_loop(self._selector)

    @classmethod
    def take(cls, clock: Clock) -> JobLoop:
        """Return the process's loop where it is free, else a new one; `clock` is told when it waits."""
        with _lock:
            free = [one for one in _free if one.is_usable]
            _free.clear()
            taken = free[0] if free else cls()
        taken.begin(clock)
        return taken

    def begin(self, clock: Clock) -> None:
        """Be the loop of a job; its threads, for `asyncio.to_thread`, end with it."""
        self._selector.clock = clock
        self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
        self.loop.set_default_executor(self._executor)

    @property
    def is_usable(self) -> bool:
        """Check whether another job may run on it: it is of this process, open, and runs nothing."""
        is_idle = not self.loop.is_closed() and not self.loop.is_running()
        return self._process_id == os.getpid() and is_idle

    def give_back(self, *, whole: bool) -> None:
        """Keep the loop for the next job, or close it where another job has left one, or where it is not `whole`."""
        self._selector.clock = None
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        with _lock:
            if whole and not _free and self.is_usable:
                _free.append(self)
                return
        self.close()

    def close(self) -> None:
        """Close the loop, unless it was closed, or belongs to the process that forked this one."""
        if self._process_id == os.getpid() and not self.loop.is_closed() and not self.loop.is_running():
            self.loop.close()


_lock = threading.Lock()
_free: list[JobLoop] = []  # one at most


@atexit.register
def _close_free() -> None:
    for one in _free:
        one.close()
