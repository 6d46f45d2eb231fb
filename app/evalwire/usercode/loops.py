"""Event loops whose timers use the machine's clock; consecutive jobs of a process share a loop."""

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
    """Return an event loop whose timers use the machine's clock.

    Args:
        selector: the selector with which the loop waits; None for a loop from the event loop policy.
    """
    loop = asyncio.new_event_loop() if selector is None else asyncio.SelectorEventLoop(selector)
    with contextlib.suppress(AttributeError):  # loops that are not written in Python have their own clock
        loop.time = clocks.monotonic  # type: ignore[method-assign]
    return loop


class _TimedSelector(selectors.DefaultSelector):
    """A selector that notifies a clock when the event loop starts and stops waiting."""

    clock: Clock | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events."""
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

    Objects that user code creates once and keeps, such as a semaphore or a connection pool, belong to the loop of their
    first use. Consecutive jobs of a process therefore share a loop. Concurrent jobs have separate loops.

    Attributes:
        loop: the event loop, for use by one thread at a time.
    """

    def __init__(self) -> None:
        self._selector = _TimedSelector()
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._process_id = os.getpid()
        self.loop = new_event_loop(self._selector)

    @classmethod
    def take(cls, clock: Clock) -> JobLoop:
        """Return the process's loop if it is free, or else a new loop; it notifies `clock` of its waits."""
        with _lock:
            free = [loop for loop in _free if loop.is_usable]
            _free.clear()
            taken = free[0] if free else cls()
        taken.begin(clock)
        return taken

    def begin(self, clock: Clock) -> None:
        """Prepare the loop for a job; the threads for `asyncio.to_thread` end with the job."""
        self._selector.clock = clock
        self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
        self.loop.set_default_executor(self._executor)

    @property
    def is_usable(self) -> bool:
        """True if another job can use the loop: it belongs to this process, is open, and is idle."""
        is_idle = not self.loop.is_closed() and not self.loop.is_running()
        return self._process_id == os.getpid() and is_idle

    def give_back(self, *, whole: bool) -> None:
        """Keep the loop for the next job; close it if it is not `whole` or another loop is already kept."""
        self._selector.clock = None
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        with _lock:
            if whole and not _free and self.is_usable:
                _free.append(self)
                return
        self.close()

    def close(self) -> None:
        """Close the loop, unless it is closed already or belongs to the process that forked this process."""
        if self._process_id == os.getpid() and not self.loop.is_closed() and not self.loop.is_running():
            self.loop.close()


_lock = threading.Lock()
_free: list[JobLoop] = []  # at most 1


@atexit.register
def _close_free() -> None:
    for loop in _free:
        loop.close()
