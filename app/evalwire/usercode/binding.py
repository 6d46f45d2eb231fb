"""Binding of the arguments of the user's functions, by name."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model import AnnotatorKind, Callee, Experiment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


TASK_NAMES = ("input", "expected", "reference", "metadata", "example")

EVALUATOR_NAMES = ("input", "output", "expected", "reference", "metadata", "example", "trace_id")

_P = inspect.Parameter


class BindingError(TypeError):
    """Raised for a callable whose parameters cannot be bound, before anything runs."""


def bind_task(function: Callable[..., Any], *, path: Path) -> Callee:
    """Decide how to call a task.

    The only parameter of an async task receives the example, independent of its name. The only parameter of a plain
    task receives the value of its name (`input, expected, reference, metadata, example`), or the input if it has
    another name. Several parameters are bound by name in both cases.

    Raises:
        BindingError: the task is not callable, or has parameters that cannot be bound.
    """
    _refuse_uncallable("task", function)
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


def with_twin(plain: Callable[..., Any], twin: Callable[..., Any]) -> Callable[..., Any]:
    """Return `plain` for user code to call directly; the engine calls the coroutine function `twin` instead."""
    vars(plain)[_TWIN], vars(twin)[_PLAIN] = twin, plain
    return plain


def _twin_of(function: Any) -> Any:
    """Return the twin of a function; None for a wrapper to which functools.wraps copied the attributes."""
    twin = getattr(function, _TWIN, None)
    return twin if getattr(twin, _PLAIN, None) is function else None


_TWIN, _PLAIN = "__evalwire_twin__", "__evalwire_plain__"


def bind_evaluator(name: str, evaluator: Any, *, path: Path, awaits: bool = True) -> Callee:
    """Decide how to call an evaluator: a function, a callable object, or a Phoenix evaluator object.

    Functions are bound by name from `input, output, expected, reference, metadata, example, trace_id`. A single
    parameter of another name receives the output. Objects with `evaluate` or, preferred, `async_evaluate`, as from
    phoenix-evals and the Phoenix client, receive all values. A judge with a plain interface for user code is awaited
    through its twin, unless `awaits` is False.

    Raises:
        BindingError: the evaluator is not callable, or has parameters that cannot be bound.
    """
    evaluator = (_twin_of(evaluator) if awaits else None) or evaluator
    _refuse_class(name, evaluator)
    if (method := _evaluator_method(evaluator)) is not None:
        parameters = list(inspect.signature(method).parameters.values())
        by_position = bool(parameters) and parameters[0].kind in (
            _P.POSITIONAL_ONLY,
            _P.POSITIONAL_OR_KEYWORD,
        )
        whole: Literal["mapping", "keywords"] | None = None
        bound: tuple[tuple[str, ...], dict[str, str]] = ((), {})
        if by_position and parameters[0].name not in EVALUATOR_NAMES:  # `eval_input` in phoenix-evals
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
            gives_bools=_gives_bools(evaluator),
        )
    _refuse_uncallable(name, evaluator)
    positional, keywords = _plan(evaluator, EVALUATOR_NAMES, lone="output", lone_wins=False, fills_rest=True)
    return Callee(
        name=name,
        path=path,
        function=evaluator,
        is_async=_is_async(evaluator),
        on_loop=_is_coroutine_function(evaluator),
        positional=positional,
        keywords=keywords,
    )


def _refuse_class(name: str, thing: Any) -> None:
    """Reject a class where an instance was meant; builtins such as `bool` and classes that return a score are fine.

    Raises:
        BindingError: `thing` is a class without a use as an evaluator or a task.
    """
    if not isinstance(thing, type) or thing.__module__ == "builtins":
        return
    methods = ("__call__", "evaluate", "async_evaluate")
    if any(method in vars(base) for base in thing.__mro__ for method in methods):
        raise BindingError(f"`{name}` is a class; define an instance: {name} = {thing.__name__}(...)")
    if not any(method in vars(base) for base in thing.__mro__[:-1] for method in ("__init__", "__new__")):
        raise BindingError(f"`{name}` is a class that takes no arguments; define a function with that name")


def _refuse_uncallable(name: str, thing: Any) -> None:
    """Reject a value that is not a function.

    Raises:
        BindingError: `thing` is a class, or not callable.
    """
    _refuse_class(name, thing)
    if not callable(thing):
        raise BindingError(f"`{name}` is {_article(type(thing).__name__)}, not a function")


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _evaluator_method(evaluator: Any) -> Callable[..., Any] | None:
    """Return the method to call on a Phoenix evaluator object; None for functions and plain callable objects.

    If the author wrote only the plain method, it is called on one of evalwire's threads. The inherited `async_evaluate`
    does not work for it: the Phoenix client's calls `evaluate` on the event loop and blocks it. The method of
    phoenix-evals calls `_evaluate` on a thread of asyncio's without the call's context, or raises.
    """
    if isinstance(evaluator, type) or inspect.isroutine(evaluator):
        return None
    authors: set[str] = set()  # names that subclasses of the class with the methods define
    for base in type(evaluator).__mro__:
        found = [name for name in ("async_evaluate", "evaluate") if name in vars(base)]
        if not found:
            authors.update(vars(base))
            continue
        own_call = vars(base).get("__call__")
        # a plain function that a decorator turned into an evaluator, or a phoenix-evals class
        is_plain = inspect.isfunction(own_call) and not inspect.iscoroutinefunction(own_call)
        is_plain = is_plain or ("_evaluate" in authors and "_async_evaluate" not in authors)
        return getattr(evaluator, "evaluate" if len(found) > 1 and is_plain else found[0], None)
    return None


def _annotator_kind(evaluator: Any) -> AnnotatorKind:
    kind = getattr(evaluator, "kind", None) or getattr(evaluator, "source", None) or "CODE"
    word = str(getattr(kind, "value", kind)).upper()
    return "LLM" if word == "LLM" else "HUMAN" if word == "HUMAN" else "CODE"


def _gives_bools(evaluator: Any) -> bool:
    """Check for a phoenix-evals classifier whose choices score 0 and 1, for example `{"yes": 1, "no": 0}`."""
    choices = getattr(evaluator, "label_score_map", None)
    return isinstance(choices, Mapping) and set(choices.values()) == {0, 1}


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Check whether a function, or the `__call__` of an object, is a coroutine function."""
    while isinstance(function, functools.partial):
        function = function.func
    call_method = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is inspected
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call_method)


def _is_async(function: Callable[..., Any]) -> bool:
    """Check whether the author wrote a coroutine function, looking through partials and decorators."""
    while isinstance(function, functools.partial):
        function = function.func
    written = inspect.unwrap(function)
    return _is_coroutine_function(function) or _is_coroutine_function(written) or _hides_a_coroutine(written)


def _hides_a_coroutine(function: Callable[..., Any]) -> bool:
    """Check for a decorator's `def inner(*args, **kwargs)` around a coroutine function, without functools.wraps."""
    left, seen = _hidden(function), {id(function)}
    while left:
        inner = left.pop()
        if _is_coroutine_function(inner):
            return True
        if id(inner) not in seen:  # a function may contain itself
            seen.add(id(inner))
            left += _hidden(inner)
    return False


def _hidden(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the functions in the closure or the attributes of a decorator without functools.wraps."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    if any(parameter.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD) for parameter in parameters):
        return []
    values: list[Any] = []
    if inspect.isfunction(function):
        values = list(inspect.getclosurevars(function).nonlocals.values())
    elif not inspect.isroutine(function) and not isinstance(function, functools.partial):
        values = list(getattr(function, "__dict__", {}).values())
    return [
        value for value in values if callable(value) and not isinstance(value, type) and not inspect.isbuiltin(value)
    ]


def _parameters(function: Callable[..., Any]) -> list[_P] | None:
    """Return the parameters of a function, or of the only function that a decorator hides; None if unknown."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some C callables show no signature
        return None
    seen = {id(function)}
    while len(hidden := _hidden(inspect.unwrap(function))) == 1 and id(hidden[0]) not in seen:
        function = hidden[0]
        seen.add(id(function))
        with contextlib.suppress(TypeError, ValueError):
            parameters = list(inspect.signature(function).parameters.values())
    return parameters


def _plan(
    function: Callable[..., Any], names: tuple[str, ...], *, lone: str, lone_wins: bool, fills_rest: bool = False
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Map parameters to the names of values: first the parameters bound by position, then those bound by keyword.

    Args:
        function: the function to call.
        names: the names of the values.
        lone: the value for a single parameter of another name.
        lone_wins: whether a single parameter receives `lone` independent of its name.
        fills_rest: whether `**kwargs` next to named parameters receives the remaining values.
    """
    parameters = _parameters(function)
    if parameters is None:
        return (lone,), {}
    try:
        return _plan_of(parameters, function, names, lone=lone, lone_wins=lone_wins, fills_rest=fills_rest)
    except BindingError:
        own = list(inspect.signature(function).parameters.values())
        if own == parameters:
            raise
        # the decorator fills in some parameters
        return _plan_of(own, function, names, lone=lone, lone_wins=lone_wins, fills_rest=fills_rest)


def _plan_of(
    parameters: list[_P],
    function: Callable[..., Any],
    names: tuple[str, ...],
    *,
    lone: str,
    lone_wins: bool,
    fills_rest: bool,
) -> tuple[tuple[str, ...], dict[str, str]]:
    theirs = function.keywords if isinstance(function, functools.partial) else {}
    fixed = [p for p in parameters if p.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD) and p.name not in theirs]
    needed = [p for p in fixed if p.default is _P.empty]
    bound = [p for p in fixed if p in needed or p.name in names]
    if not parameters:
        raise BindingError(f"it takes no parameters; add at least one of: {', '.join(names)}")
    if not bound and fixed:  # every parameter has a default and an unknown name: bind the first
        bound = needed = fixed[:1]
    if not bound:  # only *args or **kwargs, as for a decorator without functools.wraps
        if any(p.kind is _P.VAR_POSITIONAL for p in parameters):
            return (lone,), {}
        return (), {name: name for name in names}
    values = _values(bound, needed, names, lone=lone, lone_wins=lone_wins)
    # bind by position where possible: a wrapper may take only *args and show the wrapped function's signature
    by_position = 0
    for parameter in fixed:
        if parameter.name not in values or parameter.kind is _P.KEYWORD_ONLY:
            break
        by_position += 1
    positional = tuple(values[p.name] for p in fixed[:by_position])
    keywords = {p.name: values[p.name] for p in fixed[by_position:] if p.name in values}
    if fills_rest and any(p.kind is _P.VAR_KEYWORD for p in parameters):
        taken = {*values.values(), *theirs, *(p.name for p in fixed if p.kind is not _P.POSITIONAL_ONLY)}
        keywords |= {name: name for name in names if name not in taken}
    return positional, keywords


def misnamed_parameter(function: Callable[..., Any]) -> str | None:
    """Return the single parameter of an async task, which receives the example, if it has another value's name."""
    parameters = (_parameters(function) or []) if _is_async(function) else []
    named = [p for p in parameters if p.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD)]
    asked = [p.name for p in named if p.default is _P.empty or p.name in TASK_NAMES]
    return asked[0] if len(asked) == 1 and asked[0] in TASK_NAMES and asked[0] != "example" else None


def _values(bound: list[_P], needed: list[_P], names: tuple[str, ...], *, lone: str, lone_wins: bool) -> dict[str, str]:
    """Map each parameter to the value of its name, or to `lone` for a single parameter of another name."""
    values = {p.name: p.name for p in bound if p.name in names}
    if len(bound) == 1 or (len(needed) == 1 and needed[0].name not in names):
        single = bound[0] if len(bound) == 1 else needed[0]
        if single.name not in names or (lone_wins and len(bound) == 1):
            values[single.name] = lone
    if unknown := [p.name for p in bound if p.name not in values]:
        listed = ", ".join(f"`{name}`" for name in unknown)
        raise BindingError(f"cannot bind {listed}: the names of several parameters must be among: {', '.join(names)}")
    return values


def with_values(callee: Callee, values: Mapping[str, Any]) -> Callable[[], Any]:
    """Return the user's function with its arguments bound."""
    match callee.whole:
        case "mapping":
            return functools.partial(callee.function, dict(values))
        case "keywords":
            return functools.partial(callee.function, **values)
        case None:
            args = [values[name] for name in callee.positional]
            kwargs = {parameter: values[name] for parameter, name in callee.keywords.items()}
            return functools.partial(callee.function, *args, **kwargs)


def isolate_experiment(experiment: Experiment) -> Experiment:
    """Return the experiment with async functions that run on event loops of worker threads, where they may block."""

    def on_thread(callee: Callee) -> Callee:
        return dataclasses.replace(callee, is_isolated=True, on_loop=False) if callee.is_async else callee

    return dataclasses.replace(
        experiment,
        task=on_thread(experiment.task) if experiment.task else None,
        evaluators=tuple(map(on_thread, experiment.evaluators)),
    )
