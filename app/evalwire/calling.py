"""Call the user's functions: bind arguments by name, await or thread them, within a time limit."""

from __future__ import annotations

import asyncio
import collections
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
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from evalwire.failures import failure_of
from evalwire.model import AnnotatorKind, Callee, Example, Experiment, Failure, FailureStage

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.usage import Usage

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
        whole: Literal["mapping", "keywords"] | None = None
        bound: tuple[tuple[str, ...], dict[str, str]] = ((), {})
        if by_position and parameters[0].name not in EVALUATOR_NAMES:  # phoenix-evals calls it `eval_input`
            whole = "mapping"
        elif any(parameter.kind is _P.VAR_KEYWORD for parameter in parameters):
            whole = "keywords"
        else:
            bound = _plan(method, EVALUATOR_NAMES, lone="output", lone_wins=False)
        return Callee(
            name=name,
            path=path,
            function=method,
            is_async=_is_async(method),
            on_loop=_is_coroutine_function(method),
            positional=bound[0],
            keywords=bound[1],
            whole=whole,
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

    The client's base class has an `async_evaluate` that calls a plain `evaluate` on the event loop, and blocks it;
    that of phoenix-evals calls a plain `_evaluate` on a thread of asyncio's, out of the call's context, or raises:
    where only the plain one is the author's, it is called, on a thread of ours.
    """
    if isinstance(evaluator, type) or inspect.isroutine(evaluator):
        return None
    authors: set[str] = set()  # what classes below the one with the methods define
    for base in type(evaluator).__mro__:
        found = [name for name in ("async_evaluate", "evaluate") if name in vars(base)]
        if not found:
            authors.update(vars(base))
            continue
        own_call = vars(base).get("__call__")
        # a plain function that a decorator made an evaluator, or a class of phoenix-evals
        is_plain = inspect.isfunction(own_call) and not inspect.iscoroutinefunction(own_call)
        is_plain = is_plain or ("_evaluate" in authors and "_async_evaluate" not in authors)
        return getattr(evaluator, "evaluate" if len(found) > 1 and is_plain else found[0], None)
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
    written = inspect.unwrap(function)
    return _is_coroutine_function(function) or _is_coroutine_function(written) or _hides_a_coroutine(written)


def _hides_a_coroutine(function: Callable[..., Any]) -> bool:
    """Whether it is a decorator's `def inner(*args, **kwargs)` around a coroutine function, without functools.wraps."""
    if not inspect.isfunction(function) or not function.__closure__:
        return False
    if any(p.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD) for p in inspect.signature(function).parameters.values()):
        return False
    held = inspect.getclosurevars(function).nonlocals.values()
    return any(callable(one) and _is_coroutine_function(one) for one in held)


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


def with_values(callee: Callee, values: Mapping[str, Any]) -> Callable[[], Any]:
    """The user's function with its arguments."""
    match callee.whole:
        case "mapping":
            return functools.partial(callee.function, dict(values))
        case "keywords":
            return functools.partial(callee.function, **values)
        case None:
            args = [values[name] for name in callee.positional]
            kwargs = {parameter: values[name] for parameter, name in callee.keywords.items()}
            return functools.partial(callee.function, *args, **kwargs)


def isolate(experiment: Experiment) -> Experiment:
    """The experiment with its async functions each on the event loop of a worker thread, blocking nobody else."""

    def on_thread(callee: Callee) -> Callee:
        return dataclasses.replace(callee, is_isolated=True, on_loop=False) if callee.is_async else callee

    return dataclasses.replace(
        experiment,
        task=on_thread(experiment.task) if experiment.task else None,
        evaluators=tuple(map(on_thread, experiment.evaluators)),
    )


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
        """How many functions are running now, abandoned ones included."""
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


class _OnOwnLoop:
    """An async function to be run on the event loop of whichever thread calls this."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def __call__(self) -> Any:
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
        loop = _local.loop = asyncio.new_event_loop()
    return loop


def _end_own_loop() -> None:
    loop: asyncio.AbstractEventLoop | None = getattr(_local, "loop", None)
    if loop is not None and not loop.is_closed():
        loop.close()


# --- one call, traced and timed ------------------------------------------------------------------------


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
    """One call of the user's code: begun when it is made, within a time limit, in a context of its own.

    It is a task of its own on the event loop, or a function on a thread, so that one which swallows its
    cancellation can be left behind.

    Attributes:
        error: what it raised, a TimeoutError when its time was up, or None; known once `result` returned.
        usage: what it used of language models, likewise; None when that is not seen.
    """

    def __init__(
        self,
        callee: Callee,
        values: Mapping[str, Any],
        trace: Trace,
        threads: Threads,
        *,
        clock: Clock,
        root: Path,
    ) -> None:
        self.callee = callee
        self.trace_id = trace.trace_id
        self.error: BaseException | None = None
        self.usage: Usage | None = None
        self._trace = trace
        self._root = root
        self._clock = clock
        self._timed_out = False
        self._returned: Any = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._cancel: Callable[[], object] | None = None  # None: a plain function, which cannot be
        self.start_time = self.end_time = datetime.now(UTC)
        clock.start(self)
        function = with_values(callee, values)
        if callee.on_loop:
            self._await(function)
        elif callee.is_isolated:
            own = _OnOwnLoop(function)
            self._cancel = own.cancel
            threads.start(own, trace.context, self._settle)
        else:
            threads.start(function, trace.context, self._from_thread)

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
            self.end_time = datetime.now(UTC)
            self._over.set_result(None)

    async def result(self, convert: Callable[[Any], T], *, stage: FailureStage) -> tuple[T | None, Failure | None]:
        """What it returned, converted, or why it failed."""
        try:
            await self._over
        except asyncio.CancelledError:
            self._clock.stop(self)
            if self._cancel is not None:
                self._cancel()
            self._trace.finish(failure=Failure(stage=stage, type="Interrupted", message="the job ended"))
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
            return None, Failure(stage=stage, type="TimeoutError", message=message, where=str(self.callee.path))
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
    """What an async function returns or raises; SystemExit and a CancelledError of its own, too."""
    try:
        result = function()
        return (await result if isinstance(result, Awaitable) else result), None
    except BaseException as error:
        return None, error
