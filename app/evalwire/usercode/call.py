"""Call the user's functions: await or thread them, within a time limit."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evalwire import clocks
from evalwire.model import Callee, Example, Failure, FailureStage
from evalwire.usercode.failures import failure_of

if TYPE_CHECKING:
    import contextvars
    from pathlib import Path

    from evalwire.model import Usage
from evalwire.usercode.binding import with_values
from evalwire.usercode.threads import OnOwnLoop, Threads

T = TypeVar("T")

_CLEAN_UP_SECONDS = 1.0  # for a cancelled function's own `finally` blocks

_SCALARS = (str, int, float, bool, type(None))


def task_values(example: Example) -> dict[str, Any]:
    """Return the values that a task can be bound to: copies, so that it cannot change what the evaluators see."""
    own = Example(
        id=example.id,
        node_id=example.node_id,
        input=_copy(example.input),
        output=_copy(example.output),
        metadata=_copy(example.metadata),
        updated_at=example.updated_at,
    )
    return {
        "input": own.input,
        "expected": own.output,
        "reference": own.output,
        "metadata": own.metadata,
        "example": own,
    }


def evaluator_values(example: Example, output: Any, trace_id: str | None) -> dict[str, Any]:
    """Return the values that an evaluator can be bound to: copies of its own."""
    return {**task_values(example), "output": _copy(output), "trace_id": trace_id}


def _copy(value: Any) -> Any:
    """A deep copy of JSON values, at a tenth of what `copy.deepcopy` takes."""
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value if isinstance(value, _SCALARS) else copy.deepcopy(value)


class Trace(Protocol):
    """The span around one call of the user's code.

    Attributes:
        trace_id: of the trace it began, or None when there is none.
        context: what the call runs in, so that the spans it makes are part of the trace.
        usage: what it used of language models, once it is finished; None when that is not seen.
    """

    trace_id: str | None
    context: contextvars.Context
    usage: Usage | None

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """Note what the call returned, or why it failed."""


class Clock:
    """The time limit of many calls: as all have the same one, they reach it in the order in which they began.

    One timer of the event loop serves them all; one for each call would cost more than the call's other parts.
    """

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._deadlines: dict[Call, float] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None

    def start(self, call: Call) -> None:
        """Have `call.expire` called when its time is up."""
        loop = asyncio.get_running_loop()
        deadline = self._deadlines[call] = loop.time() + self.limit_seconds
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._ring)

    def stop(self, call: Call) -> None:
        """Its time no longer matters."""
        self._deadlines.pop(call, None)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._deadlines:
            call, deadline = next(iter(self._deadlines.items()))
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._ring)
                return
            del self._deadlines[call]
            call.expire()


class Call:
    """One call of a user's function, within a time limit, in a context of its own.

    It is a task of its own on the event loop, or a function on a thread, so that one which swallows its
    cancellation can be left behind. Make it on the event loop, start it, then await its result.

    Args:
        callee: the function.
        trace: the span around the call.
        clock: the time limit.
        root: the project's folder, which failures point into.

    Attributes:
        error: what it raised, a TimeoutError when its time was up, or None; known once `result` returned.
        usage: what it used of language models, likewise; None when that is not seen.
    """

    def __init__(self, callee: Callee, trace: Trace, *, clock: Clock, root: Path) -> None:
        self.callee = callee
        self.trace_id = trace.trace_id
        self.error: BaseException | None = None
        self.usage: Usage | None = None
        self.start_time = self.end_time = clocks.now()
        self._trace = trace
        self._root = root
        self._clock = clock
        self._timed_out = False
        self._returned: Any = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._cancel: Callable[[], object] | None = None  # None: a plain function, which cannot be

    def start(self, values: Mapping[str, Any], threads: Threads) -> None:
        """Call the function with these values, on the event loop or on a thread."""
        self.start_time = self.end_time = clocks.now()
        self._clock.start(self)
        function = with_values(self.callee, values)
        if self.callee.on_loop:
            self._await(function)
        elif self.callee.is_isolated:
            own = OnOwnLoop(function)
            self._cancel = own.cancel
            threads.start(own, self._trace.context, self._settle)
        else:
            threads.start(function, self._trace.context, self._from_thread)

    def _await(self, function: Callable[[], Any]) -> None:
        """Call `function` on this event loop, and await what it returns."""
        task = self._loop.create_task(_outcome_of(function), context=self._trace.context)
        self._cancel = task.cancel
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
        self._settle(*((None, asyncio.CancelledError()) if task.cancelled() else task.result()))

    def _from_thread(self, returned: Any, error: BaseException | None) -> None:
        if self._over.done():
            return
        if error is None and isinstance(returned, Awaitable):  # a plain wrapper of an async function
            self._await(lambda: returned)
        else:
            self._settle(returned, error)

    def _settle(self, returned: Any, error: BaseException | None) -> None:
        if not self._over.done():
            self._returned, self.error = returned, error
            self._end()

    def expire(self) -> None:
        """The time is up: cancel it, and leave it behind if it is still there after its clean-up."""
        self._timed_out = True
        if self._cancel is None:
            self._end()
            return
        self._cancel()
        self._loop.call_later(_CLEAN_UP_SECONDS, self._end)

    def _end(self) -> None:
        self._clock.stop(self)
        if not self._over.done():
            self.end_time = clocks.now()
            self._over.set_result(None)

    async def result(self, convert: Callable[[Any], T], *, stage: FailureStage) -> tuple[T | None, Failure | None]:
        """Return the function's result, converted, or its failure."""
        try:
            await self._over
        except asyncio.CancelledError:
            self._clock.stop(self)
            if self._cancel is not None:
                self._cancel()
            self._trace.finish(
                failure=Failure(kind="evalwire", stage=stage, type="Interrupted", message="the job ended")
            )
            raise
        value, failure = self._outcome(convert, stage)
        self._trace.finish(output=value, failure=failure)
        self.usage = self._trace.usage
        return value, failure

    def _outcome(self, convert: Callable[[Any], T], stage: FailureStage) -> tuple[T | None, Failure | None]:
        took = (self.end_time - self.start_time).total_seconds()
        is_late = took > self._clock.limit_seconds and self.callee.on_loop  # it blocked the loop, its timer included
        if self._timed_out or is_late:
            self.error = TimeoutError()
            message = self._why_late(took) if is_late and not self._timed_out else self._why_timed_out()
            return None, Failure(
                kind="user", stage=stage, type="TimeoutError", message=message, where=str(self.callee.path)
            )
        if self.error is not None:
            return None, failure_of(self.error, stage=stage, root=self._root)
        try:
            return convert(self._returned), None
        except Exception as unusable:  # of evalwire's own, or of a `model_dump` of the user's
            bad = failure_of(unusable, stage=stage, root=self._root)
            return None, bad if bad.where else dataclasses.replace(bad, where=str(self.callee.path), traceback="")

    def _why_late(self, took: float) -> str:
        limit = f"{self._clock.limit_seconds:g} s"
        return f"it blocked the event loop for {took:.1f} s, {limit} being the limit; make it a plain `def`"

    def _why_timed_out(self) -> str:
        message = f"no result within {self._clock.limit_seconds:g} s"
        if self.callee.is_isolated:
            return f"{message}; if it blocks, its thread is left behind"
        if not self.callee.is_async:
            return f"{message}; a plain function cannot be stopped, its thread is left behind"
        return message


async def _outcome_of(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Await an async function and return its result or its exception, SystemExit and CancelledError included."""
    try:
        result = function()
        return (await result if isinstance(result, Awaitable) else result), None
    except BaseException as error:
        return None, error
