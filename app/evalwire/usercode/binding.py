"""Bind the arguments of the user's functions by name."""

from __future__ import annotations

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
    """A callable that cannot be given its arguments, found before anything runs."""


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
            gives_bools=_gives_bools(evaluator),
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


def _gives_bools(evaluator: Any) -> bool:
    """Check for a classifier of phoenix-evals whose choices score 0 and 1, such as `{"yes": 1, "no": 0}`."""
    choices = getattr(evaluator, "label_score_map", None)
    return isinstance(choices, Mapping) and set(choices.values()) == {0, 1}


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Check whether calling it, or its `__call__`, gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    call_method = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is asked
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call_method)


def _is_async(function: Callable[..., Any]) -> bool:
    """Check whether its author wrote a coroutine, seen through partials and decorators."""
    while isinstance(function, functools.partial):
        function = function.func
    written = inspect.unwrap(function)
    return _is_coroutine_function(function) or _is_coroutine_function(written) or _hides_a_coroutine(written)


def _hides_a_coroutine(function: Callable[..., Any]) -> bool:
    """Check for a decorator's `def inner(*args, **kwargs)` around a coroutine function, without functools.wraps."""
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


def isolate_experiment(experiment: Experiment) -> Experiment:
    """The experiment with its async functions each on the event loop of a worker thread, blocking nobody else."""

    def on_thread(callee: Callee) -> Callee:
        return dataclasses.replace(callee, is_isolated=True, on_loop=False) if callee.is_async else callee

    return dataclasses.replace(
        experiment,
        task=on_thread(experiment.task) if experiment.task else None,
        evaluators=tuple(map(on_thread, experiment.evaluators)),
    )
