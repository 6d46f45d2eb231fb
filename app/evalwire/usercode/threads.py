"""Threads for plain functions."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import functools
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from evalwire.usercode.forks import single_process
from evalwire.usercode.loops import new_event_loop

Done = Callable[[Any, BaseException | None], None]


class Threads:
    """Daemon threads for plain functions: a thread for each concurrent call, reused when idle.

    A plain function cannot be stopped from outside. On daemon threads, a function that never returns does not keep the
    job from ending, as it would in a `concurrent.futures` pool.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0  # threads that wait for a job that is not queued yet
        self._busy = 0
        self._is_closed = False
        self._settled: collections.deque[Callable[[], None]] = collections.deque()
        self._waking = False  # whether the loop is scheduled to process `_settled`

    @property
    def busy(self) -> int:
        """The number of functions that are running now, including abandoned functions."""
        return self._busy

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run `function` on a thread, in a copy of this context, and return or raise its result."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if isinstance(error, StopIteration):  # futures do not accept it
                error = RuntimeError(f"the function raised StopIteration: {error}").with_traceback(error.__traceback__)
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.start(function, contextvars.copy_context(), settle)
        return await future

    def start(self, function: Callable[[], Any], context: contextvars.Context, done: Done) -> None:
        """Run `function` on a thread, in `context`, and call `done` on this event loop with the result or error."""
        loop = asyncio.get_running_loop()

        def job() -> None:
            result, error = None, None
            try:
                with single_process():
                    result = context.run(function)
            except BaseException as raised:
                error = raised
            self._settled.append(functools.partial(done, result, error))
            if not self._waking:  # a scheduled `_settle` processes this result, too
                self._waking = True
                with contextlib.suppress(RuntimeError):  # the loop is closed and the function abandoned
                    loop.call_soon_threadsafe(self._settle)

        try:
            self._submit(job)
        except RuntimeError as error:  # a limit on processes
            why = f"not called: {error}; raise the limit on threads, or run fewer examples at the same time"
            loop.call_soon(done, None, RuntimeError(why))

    def _settle(self) -> None:
        self._waking = False
        while self._settled:
            self._settled.popleft()()

    def close(self) -> None:
        """End idle threads; busy threads end with their function."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._free):
                self._jobs.put(None)
            self._free = 0

    def _submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._busy += 1
            reuse = self._free > 0
            self._free -= reuse
        if not reuse:
            try:
                threading.Thread(target=self._work, name="evalwire-plain-function", daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._busy -= 1
                raise
        self._jobs.put(job)  # only once a thread exists, or the job would run later without a caller

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._busy -= 1
                if self._is_closed:  # closed after the caller received the result
                    break
                self._free += 1
        _end_own_loop()


class OnOwnLoop:
    """A wrapper that runs an async function on the event loop of the calling thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def __call__(self) -> Any:
        """Run the function to completion."""
        loop = _own_loop()
        with self._lock:
            if self._is_cancelled:
                raise asyncio.CancelledError
            self._task = loop.create_task(self._await())
        return loop.run_until_complete(self._task)

    async def _await(self) -> Any:
        result = self._function()
        return await result if isinstance(result, Awaitable) else result

    def cancel(self) -> None:
        """Cancel the function from another thread."""
        with self._lock:
            self._is_cancelled = True
            if self._task is not None:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    self._task.get_loop().call_soon_threadsafe(self._task.cancel)


_local = threading.local()


def _own_loop() -> asyncio.AbstractEventLoop:
    """Return this thread's event loop; it lives as long as the thread, so pooled connections work across calls."""
    loop: asyncio.AbstractEventLoop | None = getattr(_local, "loop", None)
    if loop is None or loop.is_closed():
        loop = _local.loop = new_event_loop()
    return loop


def _end_own_loop() -> None:
    loop: asyncio.AbstractEventLoop | None = getattr(_local, "loop", None)
    if loop is not None and not loop.is_closed():
        loop.close()
