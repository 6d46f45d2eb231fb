"""Run plain functions on threads."""

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

from evalwire.usercode.forks import in_one_process
from evalwire.usercode.loops import new_event_loop

Done = Callable[[Any, BaseException | None], None]


class Threads:
    """Daemon threads for plain functions: as many as are asked for at once, reused when idle.

    Daemon, since a plain function cannot be stopped from outside: one that never returns must not keep the
    job from ending, as it would on a `concurrent.futures` pool.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0  # threads that wait for a job which nobody has put yet
        self._busy = 0
        self._is_closed = False
        self._settled: collections.deque[Callable[[], None]] = collections.deque()
        self._waking = False  # whether the loop has been told of what is settled

    @property
    def busy(self) -> int:
        """The number of functions that are running now, abandoned ones included."""
        return self._busy

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run `function` on a thread, in a copy of this context, and wait for what it returns or raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if isinstance(error, StopIteration):  # a Future refuses it
                error = RuntimeError(f"the function raised StopIteration: {error}").with_traceback(error.__traceback__)
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.start(function, contextvars.copy_context(), settle)
        return await future

    def start(self, function: Callable[[], Any], context: contextvars.Context, done: Done) -> None:
        """Run `function` on a thread, in `context`; `done` is called on this event loop with what came of it."""
        loop = asyncio.get_running_loop()

        def job() -> None:
            result, error = None, None
            try:
                with in_one_process():
                    result = context.run(function)
            except BaseException as raised:
                error = raised
            self._settled.append(functools.partial(done, result, error))
            if not self._waking:  # else it is on its way, and finds this one too
                self._waking = True
                with contextlib.suppress(RuntimeError):  # the loop is gone: this function had been abandoned
                    loop.call_soon_threadsafe(self._settle)

        try:
            self._submit(job)
        except RuntimeError as error:  # of a limit on processes
            why = f"it was not called, since {error}: raise the limit of threads, or run fewer at once"
            loop.call_soon(done, None, RuntimeError(why))

    def _settle(self) -> None:
        self._waking = False
        while self._settled:
            self._settled.popleft()()

    def close(self) -> None:
        """Let idle threads end; running ones end with their function."""
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
        self._jobs.put(job)  # for a thread that is there, or it would run when nobody waits for it

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._busy -= 1
                if self._is_closed:  # its result was seen, and all of it closed, before it came here
                    break
                self._free += 1
        _end_own_loop()


class OnOwnLoop:
    """An async function to be run on the event loop of whichever thread calls this."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def __call__(self) -> Any:
        """Run the function to its end."""
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
        """Cancel it from another thread."""
        with self._lock:
            self._is_cancelled = True
            if self._task is not None:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    self._task.get_loop().call_soon_threadsafe(self._task.cancel)


_local = threading.local()


def _own_loop() -> asyncio.AbstractEventLoop:
    """This thread's event loop, which lives as long as the thread, so that pooled connections work across calls."""
    loop: asyncio.AbstractEventLoop | None = getattr(_local, "loop", None)
    if loop is None or loop.is_closed():
        loop = _local.loop = new_event_loop()
    return loop


def _end_own_loop() -> None:
    loop: asyncio.AbstractEventLoop | None = getattr(_local, "loop", None)
    if loop is not None and not loop.is_closed():
        loop.close()
