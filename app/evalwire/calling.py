"""Call the user's functions: bind arguments by name, await or thread them, and turn returns into values."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import functools
import inspect
import math
import queue
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from evalwire.model import AnnotatorKind, Callee, Example

if TYPE_CHECKING:
    from pathlib import Path

TASK_NAMES = ("input", "expected", "reference", "metadata", "example")
EVALUATOR_NAMES = ("input", "output", "expected", "reference", "metadata", "example", "trace_id")

_P = inspect.Parameter
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


# --- returns -------------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:  # noqa: C901 - a flat table of cases
    """Turn what a task returned into JSON values, converting what converts without loss.

    Dataclasses, pydantic models, numpy values, tuples and dates are converted.

    Raises:
        TypeError: something in it has no JSON form (the Phoenix client would store `{}` without a word).
        ValueError: a NaN, an infinity, or text that is not valid Unicode.
    """
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no JSON form")
            return float(value)
        case str():
            value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
            return str.__str__(value)
        case Mapping():
            converted = {_to_key(key): to_json(item) for key, item in value.items()}
            if len(converted) < len(value):
                raise ValueError("two keys of a dict are the same text in JSON")
            return converted
        case list() | tuple():
            return [to_json(item) for item in value]
        case datetime() | date():
            return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return to_json(dump(mode="json"))
    if type(value).__module__.partition(".")[0] == "numpy" and callable(listed := getattr(value, "tolist", None)):
        return to_json(listed())
    raise TypeError(
        f"a {type(value).__qualname__} has no JSON form; return JSON values, a dataclass or a pydantic model"
    )


def _to_key(key: Any) -> str:
    if isinstance(key, str):
        key.encode()  # as for other text
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise TypeError(f"a {type(key).__qualname__} cannot be a key in JSON; use text")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One evaluation as the user's evaluator said it, before it has times and ids."""

    name: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def to_verdicts(returned: Any, *, name: str) -> list[Verdict]:
    """Turn what an evaluator returned into evaluations with a finite score, a label, or both.

    Accepted: bool, int or float (numpy's too), str (a label), a tuple (score, label[, explanation]), a dict
    with `score`, `label`, `explanation`, `metadata`; a phoenix-evals score; a list of dicts or scores, each
    named by its own `name`.

    Raises:
        TypeError: a value of another kind.
        ValueError: None, NaN, an infinity, an empty result, or two results of one name.
    """
    if isinstance(returned, list) or (isinstance(returned, tuple) and returned and _is_score_object(returned[0])):
        if not returned:
            raise ValueError("the evaluator returned an empty list")
        verdicts = [_to_verdict(item, name=name, named=len(returned) > 1) for item in returned]
        repeated = {verdict.name for verdict in verdicts if sum(verdict.name == v.name for v in verdicts) > 1}
        if repeated:
            raise ValueError(
                f"the evaluator returned several results named {', '.join(sorted(repeated))}; "
                "give each dict a `name` of its own"
            )
        return verdicts
    return [_to_verdict(returned, name=name, named=False)]


def _to_verdict(value: Any, *, name: str, named: bool) -> Verdict:
    match value:
        case None:
            raise ValueError("the evaluator returned None, which is no score")
        case bool():
            return Verdict(name=name, score=float(value), label=str(value))
        case str():
            return Verdict(name=name, label=_label(value))
        case int() | float():
            return Verdict(name=name, score=_score(value))
        case Mapping():
            return _from_fields(value, name=name, named=named)
        case tuple():
            if len(value) not in (2, 3):
                raise ValueError(f"a tuple is (score, label) or (score, label, explanation), not {len(value)} items")
            keys = ("score", "label", "explanation")
            return _from_fields(dict(zip(keys, value, strict=False)), name=name, named=False)
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        return _to_verdict(value.item(), name=name, named=named)
    if _is_score_object(value):
        fields = {key: getattr(value, key, None) for key in ("name", "score", "label", "explanation", "metadata")}
        return _from_fields(fields, name=name, named=named)
    raise TypeError(
        f"an evaluator cannot return a {type(value).__qualname__}; return a score, a label, or a dict of them"
    )


def _is_score_object(value: Any) -> bool:
    return all(hasattr(value, key) for key in ("score", "label", "explanation"))


def _from_fields(fields: Mapping[str, Any], *, name: str, named: bool) -> Verdict:
    score, label = fields.get("score"), fields.get("label")
    if score is None and label is None:
        keys = ", ".join(map(str, fields)) or "nothing"
        raise ValueError(f"the evaluator returned neither `score` nor `label` (it has: {keys})")
    own_name = fields.get("name")
    if named and not (isinstance(own_name, str) and own_name):
        raise ValueError("each of several results needs a `name`")
    explanation = fields.get("explanation")
    return Verdict(
        name=str(own_name) if named else name,
        score=None if score is None else _score(score),
        label=None if label is None else _label(label),
        explanation=None if explanation is None else str(explanation),
        metadata=_metadata(fields.get("metadata")),
    )


def _metadata(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"metadata is a dict, not a {type(value).__qualname__}")
    metadata: dict[str, Any] = to_json(value or {})
    return metadata


def _score(value: Any) -> float:
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, int | float):
        raise TypeError(f"a score is a number, not a {type(value).__qualname__}")
    if not math.isfinite(value):
        raise ValueError(f"the score is {value}, which is no score")
    return float(value)


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"a label is text, not a {type(value).__qualname__}")
    if not value.strip():
        raise ValueError("the label is empty")
    return str.__str__(value)
