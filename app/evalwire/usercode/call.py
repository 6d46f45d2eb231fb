"""Calls of the user's functions, on the event loop or on threads, within a time limit."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from evalwire import clocks
from evalwire.model import Callee, Failure, FailureStage
from evalwire.usercode.failures import failure_of

if TYPE_CHECKING:
    import contextvars
    from pathlib import Path

    from evalwire.model import Usage
from evalwire.usercode.binding import with_values
from evalwire.usercode.threads import OnOwnLoop, Threads
from evalwire.usercode.time_limit import Clock, OwnTime

_CLEAN_UP_SECONDS = 1.0  # for a cancelled function's own `finally` blocks

_NOT_STARTED = datetime.min.replace(tzinfo=UTC)


class Trace(Protocol):
    """The span around a call of the user's code.

    Attributes:
        trace_id: the ID of the trace that the span starts; None without a trace, also if the finished call needs none.
        context: the context in which the call runs, which makes its spans part of the trace.
        usage: the language model usage of the finished call; None if it is not observed.
    """

    trace_id: str | None
    context: contextvars.Context
    usage: Usage | None

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """Record the output of the call, or its failure."""


class Call:
    """A call of a user's function, within a time limit, in a separate context.

    The function runs as a separate task on the event loop or on a thread. A function that ignores its cancellation can
    therefore be abandoned. Create the call on the event loop, start it or let it start later, and await `over`.

    Args:
        callee: the function.
        clock: the time limit.
        root: the project's directory, which contains the lines that failures point to.
        stage: the stage for failures.
        convert: a function that converts the returned value; if it raises, the call fails and is not retried.
        on_end: a callback for the end of the call. It is called in the step of the event loop in which the function
            returned, before any other code runs.

    Attributes:
        value: the converted return value; None after a failure.
        failure: the failure, or None.
        unusable: the return value in a tuple, if it cannot be converted or was returned too late.
        error: the raised exception or a TimeoutError, or None; None also if the value cannot be converted.
        usage: the language model usage; None if it is not observed.
        trace_id: the ID of the trace of the call; None without a trace.
        is_skipped: whether the call was not made, because the job was ending.
    """

    def __init__(
        self,
        callee: Callee,
        *,
        clock: Clock,
        root: Path,
        stage: FailureStage,
        convert: Callable[[Any], Any],
        on_end: Callable[[Call], None] = lambda _: None,
    ) -> None:
        self.callee = callee
        self.trace_id: str | None = None
        self.is_skipped = False
        self.value: Any = None
        self.failure: Failure | None = None
        self.unusable: tuple[Any, ...] = ()
        self.error: BaseException | None = None
        self.usage: Usage | None = None
        self.start_time = self.end_time = _NOT_STARTED
        self._trace: Trace | None = None
        self._root = root
        self._stage = stage
        self._clock = clock
        self._time = OwnTime(clock)
        self._convert = convert
        self._on_end = on_end
        self._timed_out = False
        self._is_over = False
        self._is_on_loop = False
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._cancel: Callable[[], object] | None = None  # None for a plain function, which cannot be cancelled

    def start(self, trace: Trace, values: Mapping[str, Any], threads: Threads) -> None:
        """Call the function, on the event loop or on a thread.

        Args:
            trace: the span around the call.
            values: the values that the function can be bound to.
            threads: starts threads.
        """
        self._trace = trace
        self.trace_id = trace.trace_id
        function = with_values(self.callee, values)
        if self.callee.on_loop:
            self._await(function, trace.context)
            return
        self.start_time = clocks.now()
        self._clock.start(self)
        if self.callee.is_isolated:
            own = OnOwnLoop(function)
            self._cancel = own.cancel
            threads.start(self._time.timed(own), trace.context, self.settle)
        else:
            threads.start(self._time.timed(function), trace.context, self._from_thread)

    def skip(self) -> None:
        """End the call without making it."""
        self.is_skipped = self._is_over = True
        self._over.set_result(None)

    def fail(self, defect: Exception) -> None:
        """Raise an error of evalwire's own where the call is awaited."""
        self._is_over = True
        self._over.set_exception(defect)

    @property
    def is_started(self) -> bool:
        """True if the function was called."""
        return self._trace is not None

    def _await(self, function: Callable[[], Any], context: contextvars.Context) -> None:
        """Call `function` on this event loop, and await its result."""
        task = self._loop.create_task(Steps(self, function), context=context)
        self._cancel = task.cancel

    def begin_step(self) -> None:
        """Record that the function gets control of the event loop."""
        if not self._is_on_loop:
            self._is_on_loop = True
            if self._time.began is None:
                self.start_time = clocks.now()
                self._clock.start(self)
            self._time.begin()
        else:
            self._time.begin_step()

    def end_step(self) -> None:
        """Record that the function returns control to the event loop; end the call if it is over its time limit."""
        self._time.end_step()
        if self._time.counted > self._clock.limit_seconds and not self._timed_out:
            self._clock.stop(self)
            self.expire()

    @property
    def is_awaited(self) -> bool:
        """True if the caller still waits for the end of the call."""
        return not self._over.done()

    def _from_thread(self, returned: Any, error: BaseException | None) -> None:
        if self._over.done() or self._trace is None:
            return
        if error is None and isinstance(returned, Awaitable):  # a plain wrapper of an async function
            self._await(lambda: returned, self._trace.context)
        else:
            self.settle(returned, error)

    def expire(self) -> None:
        """End the call at its timeout: cancel the function, and abandon it if it still runs after its clean-up."""
        self._timed_out = True
        if self._cancel is None:
            self.settle(None, None)
            return
        self._cancel()
        self._loop.call_later(_CLEAN_UP_SECONDS, self.settle, None, None)

    def settle(self, returned: Any, error: BaseException | None) -> None:
        """Record the end, once: set the value or the failure, finish the trace, and call `on_end`."""
        trace = self._trace
        if self._is_over or self._over.done() or trace is None:
            return
        self._is_over = True
        if self.start_time is _NOT_STARTED:
            self.start_time = clocks.now()
        self._time.end()
        self._clock.stop(self)
        self.end_time = self.start_time + timedelta(seconds=self._time.seconds)
        try:
            self.value, self.failure = self._outcome(returned, error)
            trace.finish(output=self.value, failure=self.failure)
            self.usage, self.trace_id = trace.usage, trace.trace_id
            self._on_end(self)
        except Exception as defect:  # a bug in evalwire
            self._over.set_exception(defect)
        else:
            self._over.set_result(None)

    async def over(self) -> None:
        """Wait for the end of the call; cancelling the wait cancels the call."""
        try:
            await self._over
        except asyncio.CancelledError:
            if not self._is_over:
                self._is_over = True
                self._clock.stop(self)
                if self._cancel is not None:
                    self._cancel()
                if self._trace is not None:
                    message = "the job ended"
                    self._trace.finish(
                        failure=Failure(kind="evalwire", stage=self._stage, type="Interrupted", message=message)
                    )
                    self.usage = self._trace.usage
            raise

    def add_to_failure(self, remark: str) -> None:
        """Append a remark to the failure's message."""
        if self.failure is not None:
            self.failure = dataclasses.replace(self.failure, message=f"{self.failure.message}; {remark}")

    def _outcome(self, returned: Any, error: BaseException | None) -> tuple[Any, Failure | None]:
        message = self._why_late()
        if message is not None:
            self.error = TimeoutError()
            self.unusable = () if returned is None else (returned,)
            return None, Failure(
                kind="user", stage=self._stage, type="TimeoutError", message=message, where=str(self.callee.path)
            )
        if error is not None:
            self.error = error
            return None, failure_of(error, stage=self._stage, root=self._root)
        try:
            return self._convert(returned), None
        except BaseException as unfit:  # from the conversion, or from the user's `model_dump`
            self.unusable = (returned,)
            bad = failure_of(unfit, stage=self._stage, root=self._root)
            return None, bad if bad.where else dataclasses.replace(bad, where=str(self.callee.path), traceback="")

    def _why_late(self) -> str | None:
        """Describe how the call exceeded its time limit; None if it did not."""
        limit = f"{self._clock.limit_seconds:g}"
        if self._is_on_loop and self._time.loop_seconds > self._clock.limit_seconds:
            return (
                f"blocked the event loop for {self._time.loop_seconds:.1f} s (limit: {limit} s); "
                "make the function a plain `def`"
            )
        if self._timed_out:
            return self._why_timed_out(limit)
        taken = self._time.counted if self._is_on_loop else self._time.seconds
        return f"took {taken:.1f} s (limit: {limit} s)" if taken > self._clock.limit_seconds else None

    def _why_timed_out(self, limit: str) -> str:
        message = f"no result within {limit} s"
        if self.callee.is_isolated:
            return f"{message}; if the function blocks, its thread keeps running"
        if not self.callee.is_async:
            return f"{message}; a plain function cannot be stopped, so its thread keeps running"
        return message


class Steps(Coroutine[Any, Any, None]):
    """The coroutine of a call's task on the event loop: awaits the function's result, and measures each step.

    Unlike a coroutine function, it also reports the cancellation of a task that has not started.

    Args:
        call: the call, which receives the result or the exception, including SystemExit and CancelledError.
        function: returns an awaitable, or the result itself.
    """

    __slots__ = ("_awaited", "_call", "_function", "_steps")

    def __init__(self, call: Call, function: Callable[[], Any]) -> None:
        self._call: Any = call  # None after the end, because the call knows the task
        self._function: Any = function
        self._awaited: Any = None
        self._steps: Any = None

    def __await__(self) -> Steps:
        return self

    def send(self, value: Any, /) -> Any:
        """Run the function to its next wait, and return the awaited future."""
        del value  # a task sends None
        return self._step(None)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Raise an exception in the function, and return the next awaited future."""
        del traceback
        return self._step(error if value is None else value)

    def close(self) -> None:
        """Close the user's coroutine, which otherwise happens at the end of its life."""
        if (close := getattr(self._awaited, "close", None)) is not None:
            close()

    def __getattr__(self, name: str) -> Any:
        """Return the state of the user's coroutine, for libraries that inspect a task's coroutine, such as anyio."""
        return getattr(self._awaited, name)

    def _step(self, error: BaseException | None = None) -> Any:
        if self._steps is None:
            self._begin(error)
        else:
            self._call.begin_step()
        if self._steps is None:
            raise StopIteration
        try:
            awaited = next(self._steps) if error is None else _throw(self._steps, error)
        except StopIteration as end:
            self._settle(end.value, None)
        except BaseException as raised:
            self._settle(None, raised)
        else:
            self._call.end_step()
            return awaited
        raise StopIteration

    def _begin(self, error: BaseException | None) -> None:
        """Call the function."""
        if error is not None:  # cancelled before the first step
            self._settle(None, error)
        elif self._call.is_awaited:
            self._call.begin_step()
            try:
                awaited = self._awaited = self._function()
                if isinstance(awaited, Awaitable):
                    self._steps = awaited.__await__()
                    return
            except BaseException as raised:
                self._settle(None, raised)
            else:
                self._settle(self._awaited, None)

    def _settle(self, returned: Any, raised: BaseException | None) -> None:
        call = self._call
        self._call = self._function = self._awaited = self._steps = None
        call.settle(returned, raised)

    __next__ = _step  # which tasks call


def _throw(steps: Any, error: BaseException) -> Any:
    if (throw := getattr(steps, "throw", None)) is None:  # an iterator that the user wrote
        raise error
    return throw(error)
