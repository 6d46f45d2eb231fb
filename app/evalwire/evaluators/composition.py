"""Combine evaluators: all of them, any of them, or their weighted mean."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.usercode import (
    EVALUATOR_NAMES,
    NOT_APPLICABLE,
    BindingError,
    NotApplicable,
    Threads,
    bind_evaluator,
    parse_scores,
    with_twin,
    with_values,
)

if TYPE_CHECKING:
    from evalwire.model import Callee

_GIVEN = ("output", "expected")
_P = inspect.Parameter


def make_all_pass_evaluator(evaluators: Iterable[Any]) -> Callable[..., Any]:
    """Make an evaluator that scores whether all of several evaluators pass.

    An evaluator passes with a score above 0. The evaluators are called in order, up to the first that does not pass.
    Evaluators that are not applicable are left out.

    Args:
        evaluators: functions or evaluator objects, async or not, which receive their arguments by name. They may
            return any result of an evaluator that contains a single score.

    Returns:
        A function of `output` and `expected` that returns a bool, or `evalwire.NOT_APPLICABLE` if no evaluator
        applies. It is async if any evaluator is async. It takes the other arguments of the evaluators (`input`,
        `metadata`, ...) by keyword, and evalwire passes them. It raises the evaluators' exceptions. It raises
        ValueError or TypeError for a result without a score (None, only a label, several results), for a missing
        argument, and for an awaitable from a plain function.

    Raises:
        ValueError: the list of evaluators is empty.
        TypeError: the arguments of an evaluator cannot be bound.
    """
    return _compose(
        _members(evaluators),
        name="all_pass",
        summary="Score whether all of the evaluators pass.",
        is_decided=lambda score: not _passes(score),
        conclude=partial(_over_applicable, all),
    )


def make_any_pass_evaluator(evaluators: Iterable[Any]) -> Callable[..., Any]:
    """Make an evaluator that scores whether any of several evaluators passes.

    The evaluators are called in order, up to the first that passes.

    Args:
        evaluators: evaluators, as for `make_all_pass_evaluator`.

    Returns:
        A function, as from `make_all_pass_evaluator`.

    Raises:
        ValueError: the list of evaluators is empty.
        TypeError: the arguments of an evaluator cannot be bound.
    """
    return _compose(
        _members(evaluators),
        name="any_pass",
        summary="Score whether any of the evaluators passes.",
        is_decided=_passes,
        conclude=partial(_over_applicable, any),
    )


def make_weighted_evaluator(evaluators: Iterable[tuple[Any, float]]) -> Callable[..., Any]:
    """Make an evaluator that scores the weighted mean of several evaluators' scores.

    The weights are divided by their sum, so scores from 0 to 1 give a mean from 0 to 1. All evaluators are called, in
    order. The weight of an evaluator that is not applicable does not count.

    Args:
        evaluators: pairs of an evaluator, as for `make_all_pass_evaluator`, and a weight.

    Returns:
        A function, as from `make_all_pass_evaluator`, that returns a float instead of a bool.

    Raises:
        ValueError: the list of evaluators is empty, a weight is negative, NaN or infinite, or all weights are 0.
        TypeError: the arguments of an evaluator cannot be bound.
    """
    pairs = list(evaluators)
    for _, weight in pairs:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"invalid weight {weight}: a weight must be a finite number of at least 0")
    weights = [Fraction(weight) for _, weight in pairs]
    members = _members([evaluator for evaluator, _ in pairs])
    if not any(weights):
        raise ValueError("all weights are 0: give an evaluator a weight above 0")

    def mean(scores: Sequence[float | None]) -> float | NotApplicable:
        """Return the exact weighted mean, so full scores give 1.0 for any weights."""
        pairs = [(w, Fraction(s)) for w, s in zip(weights, scores, strict=True) if s is not None]
        total = sum(weight for weight, _ in pairs)
        return float(sum(w * s for w, s in pairs) / total) if total else NOT_APPLICABLE

    return _compose(
        members,
        name="weighted",
        summary="Return the weighted mean of the evaluators' scores.",
        is_decided=lambda _: False,
        conclude=mean,
    )


def _passes(score: float) -> bool:
    return score > 0


def _over_applicable(decide: Callable[[Iterable[bool]], bool], scores: Sequence[float | None]) -> bool | NotApplicable:
    """Return `all` or `any` over the evaluators that apply; a score of None means not applicable."""
    passes = [_passes(score) for score in scores if score is not None]
    return decide(passes) if passes else NOT_APPLICABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """An evaluator that is part of a combined evaluator.

    Attributes:
        name: name of the evaluator, for messages.
        callee: the evaluator as the engine calls it.
        plain: the evaluator as a plain function calls it; None for a coroutine function.
        defaults: default values of the parameters.
    """

    name: str
    callee: Callee
    plain: Callee | None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, given: Mapping[str, Any], callee: Callee | None = None) -> Callable[[], Any]:
        """Return a call of the evaluator with its arguments taken from the given values."""
        try:
            return with_values(callee or self.callee, {**self.defaults, **given})
        except KeyError as error:
            value = error.args[0]
            raise TypeError(f"`{self.name}` needs `{value}`. Pass it by keyword: {value}=...") from None

    def score(self, returned: Any) -> float | None:
        """Return the only score in the result of the evaluator; None if it is not applicable."""
        try:
            results = parse_scores(returned, name=self.name)
        except TypeError as error:
            raise TypeError(f"`{self.name}`: {error}") from error
        except (ValueError, OverflowError) as error:
            raise ValueError(f"`{self.name}`: {error}") from error
        if len(results) > 1:
            raise ValueError(f"`{self.name}` returned {len(results)} results instead of one")
        [result] = results
        if result.kind == "label":
            raise ValueError(f"`{self.name}` returned the label {result.label!r} without a score")
        return result.score


def _members(evaluators: Iterable[Any]) -> list[_Member]:
    members = [_member(evaluator, position) for position, evaluator in enumerate(evaluators, start=1)]
    if not members:
        raise ValueError("the list of evaluators is empty")
    return members


def _member(evaluator: Any, position: int) -> _Member:
    name = str(getattr(evaluator, "__name__", type(evaluator).__name__))
    try:
        callee, plain = _bind(name, evaluator, awaits=True), _bind(name, evaluator, awaits=False)
    except BindingError as error:
        raise BindingError(f"evaluator {position}, `{name}`: {error}") from None
    parameters = () if callee.whole else _parameters(evaluator)
    defaults = {parameter.name: parameter.default for parameter in parameters if parameter.default is not _P.empty}
    return _Member(name=name, callee=callee, plain=None if plain.is_async else plain, defaults=defaults)


def _bind(name: str, evaluator: Any, *, awaits: bool) -> Callee:
    """Bind the arguments by name, as in an evaluator file, or else by position, as in `lambda o, e: ...`."""
    try:
        callee = bind_evaluator(name, evaluator, path=Path(), awaits=awaits)
    except BindingError:
        if not _takes_by_position(evaluator):
            raise
        return _by_position(name, evaluator)
    kinds = {parameter.kind for parameter in _parameters(evaluator)}
    if callee.whole or not kinds or kinds - {_P.VAR_POSITIONAL, _P.VAR_KEYWORD}:
        return callee
    if _P.VAR_POSITIONAL in kinds:  # probably a decorator without functools.wraps
        return _by_position(name, evaluator)
    return replace(callee, keywords={}, whole="keywords")


def _by_position(name: str, evaluator: Any) -> Callee:
    first = bind_evaluator(name, partial(evaluator, None), path=Path())
    return replace(first, function=evaluator, positional=_GIVEN, keywords={})


def _takes_by_position(evaluator: Any) -> bool:
    """Check whether exactly two parameters are required, and neither has the name of another value."""
    required = [parameter for parameter in _parameters(evaluator) if parameter.default is _P.empty]
    by_position = {_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD}
    return len(required) == len(_GIVEN) and all(
        parameter.kind in by_position and (parameter.name == given or parameter.name not in EVALUATOR_NAMES)
        for parameter, given in zip(required, _GIVEN, strict=True)
    )


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # not callable, or a C callable without a signature
        return []


def _compose(
    members: Sequence[_Member],
    *,
    name: str,
    summary: str,
    is_decided: Callable[[float], bool],
    conclude: Callable[[Sequence[float | None]], bool | float | NotApplicable],
) -> Callable[..., Any]:
    """Return a function that calls the members in order until a score decides, and computes the result."""

    def composed(*args: Any, **kwargs: Any) -> bool | float | NotApplicable:
        given = _values(*args, **kwargs)
        scores: list[float | None] = []
        for member in members:
            score = member.score(_not_awaitable(member, member.bound(given, member.plain)()))
            scores.append(score)
            if score is not None and is_decided(score):
                break
        return conclude(scores)

    async def composed_async(*args: Any, **kwargs: Any) -> bool | float | NotApplicable:
        given = _values(*args, **kwargs)
        scores: list[float | None] = []
        threads = Threads()  # a plain function must not block the event loop
        try:
            for member in members:
                call = member.bound(given)
                returned = call() if member.callee.on_loop else await threads.run(call)
                score = member.score(await returned if isinstance(returned, Awaitable) else returned)
                scores.append(score)
                if score is not None and is_decided(score):
                    break
        finally:
            threads.close()
        return conclude(scores)

    for function in (composed, composed_async):
        made: Any = function
        made.__name__ = made.__qualname__ = name
        made.__doc__ = summary
        made.__signature__ = _SIGNATURE
    if not any(member.callee.is_async for member in members):
        return composed
    return composed_async if any(member.plain is None for member in members) else with_twin(composed, composed_async)


_SIGNATURE = inspect.Signature(
    [
        *(_P(name, _P.POSITIONAL_OR_KEYWORD) for name in _GIVEN),
        *(_P(name, _P.KEYWORD_ONLY, default=None) for name in EVALUATOR_NAMES if name not in _GIVEN),
    ]
)


def _values(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the argument values of the members, without values that were not given."""
    given = _SIGNATURE.bind(*args, **kwargs).arguments
    return {"reference": given["expected"], **given}


def _not_awaitable(member: _Member, returned: Any) -> Any:
    """Return the result of a plain function.

    Raises:
        TypeError: the result is awaitable, and would count as true.
    """
    if not isinstance(returned, Awaitable):
        return returned
    if inspect.iscoroutine(returned):
        returned.close()  # prevents a warning that it was never awaited
    raise TypeError(f"`{member.name}` is a plain function that returned an awaitable. Define it with `async def`.")
