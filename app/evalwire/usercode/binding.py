"""Bind the arguments of the user's functions by name."""

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
    """A callable that cannot be given its arguments, found before anything runs."""


def bind_task(function: Callable[..., Any], *, path: Path) -> Callee:
    """Decide how to call a task.

    An async task of one parameter receives the example, whatever the parameter is called. A plain one is
    bound by name (`input, expected, reference, metadata, example`), and a single parameter of another name
    receives the input. Several parameters are bound by name in both.

    Raises:
        BindingError: it is not callable, or has parameters that nothing can be bound to.
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
    """Return `plain`, which the engine calls by its coroutine function `twin`; a user's own code calls it as it is."""
    vars(plain)[_TWIN], vars(twin)[_PLAIN] = twin, plain
    return plain


def _twin_of(function: Any) -> Any:
    """Return the twin of a function; not of a wrapper, to which functools.wraps has copied what names it."""
    twin = getattr(function, _TWIN, None)
    return twin if getattr(twin, _PLAIN, None) is function else None


_TWIN, _PLAIN = "__evalwire_twin__", "__evalwire_plain__"


def bind_evaluator(name: str, evaluator: Any, *, path: Path, awaits: bool = True) -> Callee:
    """Decide how to call an evaluator: a function, a callable object, or a Phoenix evaluator object.

    Functions are bound by name from `input, output, expected, reference, metadata, example, trace_id`; a
    single parameter of another name receives the output. Objects with `evaluate` (and, preferred,
    `async_evaluate`), as phoenix-evals and the Phoenix client make them, are given all values. A judge that is
    plain for a user's own code is awaited, unless `awaits` is False.

    Raises:
        BindingError: it is not callable, or has parameters that nothing can be bound to.
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
    """Refuse a class where an instance was meant; Python's own, such as `bool`, and one that makes a score are fine.

    Raises:
        BindingError: it is a class.
    """
    if not isinstance(thing, type) or thing.__module__ == "builtins":
        return
    methods = ("__call__", "evaluate", "async_evaluate")
    if any(method in vars(base) for base in thing.__mro__ for method in methods):
        raise BindingError(f"`{name}` is a class; define an instance: {name} = {thing.__name__}(...)")
    if not any(method in vars(base) for base in thing.__mro__[:-1] for method in ("__init__", "__new__")):
        raise BindingError(f"`{name}` is a class that takes nothing; define a function of that name")


def _refuse_uncallable(name: str, thing: Any) -> None:
    """Refuse what is no function.

    Raises:
        BindingError: it is a class, or nothing that can be called.
    """
    _refuse_class(name, thing)
    if not callable(thing):
        raise BindingError(f"`{name}` is {_article(type(thing).__name__)}, not a function")


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


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
    left, seen = _hidden(function), {id(function)}
    while left:
        held = left.pop()
        if _is_coroutine_function(held):
            return True
        if id(held) not in seen:  # a function may hold itself
            seen.add(id(held))
            left += _hidden(held)
    return False


def _hidden(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the functions that a decorator without functools.wraps holds: in its closure, or in its object."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    if any(parameter.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD) for parameter in parameters):
        return []
    held: list[Any] = []
    if inspect.isfunction(function):
        held = list(inspect.getclosurevars(function).nonlocals.values())
    elif not inspect.isroutine(function) and not isinstance(function, functools.partial):
        held = list(getattr(function, "__dict__", {}).values())
    return [one for one in held if callable(one) and not isinstance(one, type) and not inspect.isbuiltin(one)]


def _parameters(function: Callable[..., Any]) -> list[_P] | None:
    """Return the parameters of a function, seen through a decorator that hides those of the one function it holds.

    None where they are not known.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some C callables show no signature
        return None
    seen = {id(function)}
    while len(held := _hidden(inspect.unwrap(function))) == 1 and id(held[0]) not in seen:
        function = held[0]
        seen.add(id(function))
        with contextlib.suppress(TypeError, ValueError):
            parameters = list(inspect.signature(function).parameters.values())
    return parameters


def _plan(
    function: Callable[..., Any], names: tuple[str, ...], *, lone: str, lone_wins: bool, fills_rest: bool = False
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Map parameters to the names of values: those bound by position, then those bound by keyword.

    Args:
        function: that is to be called.
        names: of the values.
        lone: the value of a single parameter of another name.
        lone_wins: whether a single parameter is given `lone` whatever its name.
        fills_rest: whether `**kwargs` beside named parameters is given the values that these are not.
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
        return _plan_of(own, function, names, lone=lone, lone_wins=lone_wins, fills_rest=fills_rest)  # it fills some in


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
    keywords = {p.name: values[p.name] for p in fixed[by_position:] if p.name in values}
    if fills_rest and any(p.kind is _P.VAR_KEYWORD for p in parameters):
        taken = {*values.values(), *theirs, *(p.name for p in fixed if p.kind is not _P.POSITIONAL_ONLY)}
        keywords |= {name: name for name in names if name not in taken}
    return positional, keywords


def misnamed_parameter(function: Callable[..., Any]) -> str | None:
    """Return the one parameter of an async task, which gets the example, where it has another value's name."""
    parameters = (_parameters(function) or []) if _is_async(function) else []
    named = [p for p in parameters if p.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD)]
    asked = [p.name for p in named if p.default is _P.empty or p.name in TASK_NAMES]
    return asked[0] if len(asked) == 1 and asked[0] in TASK_NAMES and asked[0] != "example" else None


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
