"""Call the user's functions: bind arguments by name, await or thread them, within a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import functools
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evalwire.model import AnnotatorKind, Callee, Example, Failure, FailureStage

if TYPE_CHECKING:
    from pathlib import Path

TASK_NAMES = ("input", "expected", "reference", "metadata", "example")
EVALUATOR_NAMES = ("input", "output", "expected", "reference", "metadata", "example", "trace_id")

T = TypeVar("T")

_P = inspect.Parameter
_CLEAN_UP_SECONDS = 1.0  # for a cancelled function's own `finally` blocks
_SCALARS = (str, int, float, bool, type(None))


class BindingError(TypeError):
    """A callable that cannot be given its arguments, found before anything runs."""


# --- binding -------------------------------------------------------------------------------------------


def bind_task(function: Callable[..., Any], *, path: Path) -> Callee:
    """Decide how to call a task.

    An async task of one parameter receives the example, whatever the parameter is called. A plain one is
    bound by name (`input, expected, reference, metadata, example`), and a single parameter of another name
    receives the input. Several parameters are bound by name in both.

    Raises:
        BindingError: it is not callable, or has parameters that nothing can be bound to.
    """
    if not callable(function):
        raise BindingError(f"`task` is a {type(function).__name__}, not a function")
    is_async = _is_async(function)
    positional, keywords = _plan(function, TASK_NAMES, lone="example" if is_async else "input", lone_wins=is_async)
    return Callee(
        name="task",
        path=path,
        function=function,
        is_async=is_async,
        on_loop=_is_coroutine_function(function),
        positional=positional,
        keywords=keywords,
    )


def bind_evaluator(name: str, evaluator: Any, *, path: Path) -> Callee:
    """Decide how to call an evaluator: a function, a callable object, or a Phoenix evaluator object.

    Functions are bound by name from `input, output, expected, reference, metadata, example, trace_id`; a
    single parameter of another name receives the output. Objects with `evaluate` (and, preferred,
    `async_evaluate`), as phoenix-evals and the Phoenix client make them, are given all values.

    Raises:
        BindingError: it is not callable, or has parameters that nothing can be bound to.
    """
    if (method := _evaluator_method(evaluator)) is not None:
        parameters = list(inspect.signature(method).parameters.values())
        by_position = bool(parameters) and parameters[0].kind in (
            _P.POSITIONAL_ONLY,
            _P.POSITIONAL_OR_KEYWORD,
        )
        return Callee(
            name=name,
            path=path,
            function=method,
            is_async=_is_async(method),
            on_loop=_is_coroutine_function(method),
            whole="mapping" if by_position else "keywords",
            annotator_kind=_annotator_kind(evaluator),
        )
    if not callable(evaluator):
        raise BindingError(f"`{name}` is a {type(evaluator).__name__}, not a function")
    positional, keywords = _plan(evaluator, EVALUATOR_NAMES, lone="output", lone_wins=False)
    return Callee(
        name=name,
        path=path,
        function=evaluator,
        is_async=_is_async(evaluator),
        on_loop=_is_coroutine_function(evaluator),
        positional=positional,
        keywords=keywords,
    )


def _evaluator_method(evaluator: Any) -> Callable[..., Any] | None:
    """The method to call on a Phoenix evaluator object; None for functions and plain callable objects.

    Their base classes have an `async_evaluate` that calls a plain `evaluate` on the event loop, and block it:
    where only the plain one is the author's, it is called, on a thread.
    """
    if isinstance(evaluator, type) or inspect.isroutine(evaluator):
        return None
    for base in type(evaluator).__mro__:
        found = [name for name in ("async_evaluate", "evaluate") if name in vars(base)]
        if not found:
            continue
        own_call = vars(base).get("__call__")
        if len(found) > 1 and inspect.isfunction(own_call) and not inspect.iscoroutinefunction(own_call):
            return getattr(evaluator, "evaluate", None)  # a plain function that a decorator made an evaluator
        return getattr(evaluator, found[0], None)
    return None


def _annotator_kind(evaluator: Any) -> AnnotatorKind:
    kind = getattr(evaluator, "kind", None) or getattr(evaluator, "source", None) or "CODE"
    word = str(getattr(kind, "value", kind)).upper()
    return "LLM" if word == "LLM" else "HUMAN" if word == "HUMAN" else "CODE"


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it, or its `__call__`, gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    call_method = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is asked
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call_method)


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether its author wrote a coroutine, seen through partials and decorators."""
    while isinstance(function, functools.partial):
        function = function.func
    return _is_coroutine_function(function) or _is_coroutine_function(inspect.unwrap(function))


def _plan(
    function: Callable[..., Any], names: tuple[str, ...], *, lone: str, lone_wins: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Map parameters to the names of values: those bound by position, then those bound by keyword."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some C callables show no signature
        return (lone,), {}
    theirs = function.keywords if isinstance(function, functools.partial) else {}
    fixed = [p for p in parameters if p.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD) and p.name not in theirs]
    needed = [p for p in fixed if p.default is _P.empty]
    bound = [p for p in fixed if p in needed or p.name in names]
    if not parameters:
        raise BindingError(f"it takes no parameter; give it one or more of: {', '.join(names)}")
    if not bound and fixed:  # every parameter has a default and an unknown name: the first one is meant
        bound = needed = fixed[:1]
    if not bound:  # only *args or **kwargs, as of a decorator without functools.wraps
        if any(p.kind is _P.VAR_POSITIONAL for p in parameters):
            return (lone,), {}
        return (), {name: name for name in names}
    values = _values(bound, needed, names, lone=lone, lone_wins=lone_wins)
    # by position as far as that goes: a wrapper that shows the signature of what it wraps may take *args only
    by_position = 0
    for parameter in fixed:
        if parameter.name not in values or parameter.kind is _P.KEYWORD_ONLY:
            break
        by_position += 1
    positional = tuple(values[p.name] for p in fixed[:by_position])
    return positional, {p.name: values[p.name] for p in fixed[by_position:] if p.name in values}


def _values(bound: list[_P], needed: list[_P], names: tuple[str, ...], *, lone: str, lone_wins: bool) -> dict[str, str]:
    """Which value each parameter is given: that of its name, or, for a single one of another name, `lone`."""
    values = {p.name: p.name for p in bound if p.name in names}
    if len(bound) == 1 or (len(needed) == 1 and needed[0].name not in names):
        single = bound[0] if len(bound) == 1 else needed[0]
        if single.name not in names or (lone_wins and len(bound) == 1):
            values[single.name] = lone
    if unknown := [p.name for p in bound if p.name not in values]:
        listed = ", ".join(f"`{name}`" for name in unknown)
        raise BindingError(f"cannot bind {listed}: with several parameters their names must be of: {', '.join(names)}")
    return values


# --- calling -------------------------------------------------------------------------------------------


def task_values(example: Example) -> dict[str, Any]:
    """What a task can be bound to: its own copies, so that it cannot change what the evaluators see."""
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
    """What an evaluator can be bound to, in copies of its own."""
    return {**task_values(example), "output": _copy(output), "trace_id": trace_id}


def _copy(value: Any) -> Any:
    """A deep copy of JSON values, at a tenth of what `copy.deepcopy` takes."""
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value if isinstance(value, _SCALARS) else copy.deepcopy(value)


async def call(callee: Callee, values: Mapping[str, Any], threads: Threads) -> Any:
    """Call the user's function: async ones on this event loop, plain ones on a thread."""
    args: list[Any]
    kwargs: dict[str, Any]
    match callee.whole:
        case "mapping":
            args, kwargs = [dict(values)], {}
        case "keywords":
            args, kwargs = [], dict(values)
        case None:
            args = [values[name] for name in callee.positional]
            kwargs = {parameter: values[name] for parameter, name in callee.keywords.items()}
    if callee.on_loop:
        result = callee.function(*args, **kwargs)
    else:
        result = await threads.run(functools.partial(callee.function, *args, **kwargs))
    return await result if isinstance(result, Awaitable) else result


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

    @property
    def busy(self) -> int:
        """How many functions are running now, abandoned ones included."""
        return self._busy

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run `function` on a thread, in a copy of this context, and wait for what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if isinstance(error, StopIteration):  # a Future refuses it
                error = RuntimeError(f"the function raised StopIteration: {error}").with_traceback(error.__traceback__)
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def job() -> None:
            result, error = None, None
            try:
                result = context.run(function)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is gone: this function had been abandoned
                loop.call_soon_threadsafe(settle, result, error)

        self._submit(job)
        return await future

    def close(self) -> None:
        """Let idle threads end; running ones end with their function."""
        with self._lock:
            for _ in range(self._free):
                self._jobs.put(None)
            self._free = 0

    def _submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._busy += 1
            reuse = self._free > 0
            self._free -= reuse
        self._jobs.put(job)
        if not reuse:
            threading.Thread(target=self._work, name="evalwire-plain-function", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._busy -= 1
                self._free += 1


# --- one call, traced and timed ------------------------------------------------------------------------


class Trace(Protocol):
    """The span around one call of the user's code.

    Attributes:
        trace_id: of the trace it began, or None when there is none.
        context: what the call runs in, so that the spans it makes are part of the trace.
    """

    trace_id: str | None
    context: contextvars.Context

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """Note what the call returned, or why it failed."""


class Call:
    """One call of the user's code: begun when it is made, within a time limit, in a context of its own.

    It is a task of its own on the event loop, so that one which swallows its cancellation can be left behind.
    """

    def __init__(
        self,
        callee: Callee,
        values: Mapping[str, Any],
        trace: Trace,
        threads: Threads,
        *,
        limit_seconds: float,
        root: Path,
    ) -> None:
        self.callee = callee
        self.trace_id = trace.trace_id
        self._trace = trace
        self._root = root
        self._limit = limit_seconds
        self._timed_out = False
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self.start_time = self.end_time = datetime.now(UTC)
        self._task = loop.create_task(self._guarded(values, threads), context=trace.context)
        self._task.add_done_callback(self._end)
        self._timer = loop.call_later(limit_seconds, self._expire)

    async def _guarded(self, values: Mapping[str, Any], threads: Threads) -> tuple[Any, BaseException | None]:
        try:
            return await call(self.callee, values, threads), None
        except BaseException as error:  # SystemExit and a CancelledError of the user's own, too
            return None, error

    def _expire(self) -> None:
        """The time is up: cancel it, and leave it behind if it is still there after its clean-up."""
        self._timed_out = True
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(_CLEAN_UP_SECONDS, self._end)

    def _end(self, _: object = None) -> None:
        self._timer.cancel()
        if not self._over.done():
            self.end_time = datetime.now(UTC)
            self._over.set_result(None)

    async def result(self, convert: Callable[[Any], T], *, stage: FailureStage) -> tuple[T | None, Failure | None]:
        """What it returned, converted, or why it failed."""
        try:
            await self._over
        except asyncio.CancelledError:
            self._timer.cancel()
            self._task.cancel()
            self._trace.finish(failure=Failure(stage=stage, type="Interrupted", message="the job ended"))
            raise
        value, failure = self._outcome(convert, stage)
        self._trace.finish(output=value, failure=failure)
        return value, failure

    def _outcome(self, convert: Callable[[Any], T], stage: FailureStage) -> tuple[T | None, Failure | None]:
        took = (self.end_time - self.start_time).total_seconds()
        if took > self._limit and not self._timed_out and self.callee.on_loop:
            message = (
                f"it blocked the event loop for {took:.1f} s, {self._limit:g} s being the limit; make it a plain `def`"
            )
            return None, Failure(stage=stage, type="TimeoutError", message=message, where=str(self.callee.path))
        if self._timed_out:
            still = "" if self.callee.is_async else "; a plain function cannot be stopped, its thread is left behind"
            message = f"no result within {self._limit:g} s{still}"
            return None, Failure(stage=stage, type="TimeoutError", message=message, where=str(self.callee.path))
        returned, error = self._task.result()
        if error is not None:
            return None, Failure.from_exception(error, stage=stage, root=self._root)
        try:
            return convert(returned), None
        except Exception as unusable:  # of evalwire's own, or of a `model_dump` of the user's
            bad = Failure.from_exception(unusable, stage=stage, root=self._root)
            return None, bad if bad.where else dataclasses.replace(bad, where=str(self.callee.path), traceback="")
