"""Evaluators made of others: all of them, any of them, or their weighted mean."""

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

    One passes with a score above 0. They are asked in order, until one does not pass. Each is a function or an
    evaluator object, async or not, and gets its arguments by name, as in a file of its own; it may return whatever
    else an evaluator may return, as long as there is one score in it. One that is not applicable is left out.

    Returns:
        A function of `output` and `expected` that returns a bool, or `evalwire.NOT_APPLICABLE` where none of the
        evaluators applies; async if any of the evaluators is. What else they
        bind (`input`, `metadata`, ...) it takes by keyword, and evalwire gives it. It raises what they raise, and
        ValueError or TypeError for a result without a score (None, a label alone, several results), for a value that
        is needed and not given, and for an awaitable from a plain function.

    Raises:
        ValueError: there is no evaluator.
        TypeError: one of them cannot be given its arguments.
    """
    return _compose(
        _members(evaluators),
        name="all_pass",
        summary="Whether all of the evaluators pass.",
        is_decided=lambda score: not _passes(score),
        conclude=partial(_over_applicable, all),
    )


def make_any_pass_evaluator(evaluators: Iterable[Any]) -> Callable[..., Any]:
    """Make an evaluator that scores whether any of several evaluators passes.

    They are asked in order, until one passes; otherwise as `make_all_pass_evaluator`.

    Returns:
        As `make_all_pass_evaluator`.

    Raises:
        ValueError: there is no evaluator.
        TypeError: one of them cannot be given its arguments.
    """
    return _compose(
        _members(evaluators),
        name="any_pass",
        summary="Whether any of the evaluators passes.",
        is_decided=_passes,
        conclude=partial(_over_applicable, any),
    )


def make_weighted_evaluator(evaluators: Iterable[tuple[Any, float]]) -> Callable[..., Any]:
    """Make an evaluator that scores the weighted mean of several evaluators' scores.

    The weights are divided by their sum, so that scores from 0 to 1 give one from 0 to 1. All are asked, in order. The
    weight of one that is not applicable does not count.

    Args:
        evaluators: pairs of an evaluator, as for `make_all_pass_evaluator`, and its weight.

    Returns:
        As `make_all_pass_evaluator`, but it returns a float.

    Raises:
        ValueError: there is no evaluator, a weight is negative, NaN or infinite, or all are 0.
        TypeError: one of them cannot be given its arguments.
    """
    pairs = list(evaluators)
    for _, weight in pairs:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"a weight is {weight}; it is a finite number that is not negative")
    weights = [Fraction(weight) for _, weight in pairs]
    members = _members([evaluator for evaluator, _ in pairs])
    if not any(weights):
        raise ValueError("all weights are 0, so that nothing would count")

    def mean(scores: Sequence[float | None]) -> float | NotApplicable:
        """Exact, so that full scores give 1.0 whatever the weights are."""
        pairs = [(w, Fraction(s)) for w, s in zip(weights, scores, strict=True) if s is not None]
        total = sum(weight for weight, _ in pairs)
        return float(sum(w * s for w, s in pairs) / total) if total else NOT_APPLICABLE

    return _compose(
        members,
        name="weighted",
        summary="The weighted mean of the evaluators' scores.",
        is_decided=lambda _: False,
        conclude=mean,
    )


def _passes(score: float) -> bool:
    return score > 0


def _over_applicable(decide: Callable[[Iterable[bool]], bool], scores: Sequence[float | None]) -> bool | NotApplicable:
    """Return `all` or `any` of the evaluators that apply; None stands for one that does not."""
    passes = [_passes(score) for score in scores if score is not None]
    return decide(passes) if passes else NOT_APPLICABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One of the evaluators that another is made of.

    Attributes:
        callee: how the engine calls it.
        plain: how a plain function calls it; None where it is a coroutine function.
        defaults: what its parameters are when they are not given.
    """

    name: str
    callee: Callee
    plain: Callee | None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, given: Mapping[str, Any], callee: Callee | None = None) -> Callable[[], Any]:
        """A call of it, with its arguments out of what is given."""
        try:
            return with_values(callee or self.callee, {**self.defaults, **given})
        except KeyError as error:
            value = error.args[0]
            raise TypeError(f"`{self.name}` needs `{value}`; give it by keyword: {value}=...") from None

    def score(self, returned: Any) -> float | None:
        """Return the only score of the member's result; None where it is not applicable."""
        try:
            verdicts = parse_scores(returned, name=self.name)
        except TypeError as error:
            raise TypeError(f"`{self.name}`: {error}") from error
        except (ValueError, OverflowError) as error:
            raise ValueError(f"`{self.name}`: {error}") from error
        if len(verdicts) > 1:
            raise ValueError(f"`{self.name}` returned {len(verdicts)} results; one of several evaluators returns one")
        [verdict] = verdicts
        if verdict.kind == "label":
            raise ValueError(f"`{self.name}` returned the label {verdict.label!r} without a score to judge it by")
        return verdict.score


def _members(evaluators: Iterable[Any]) -> list[_Member]:
    members = [_member(evaluator, position) for position, evaluator in enumerate(evaluators, start=1)]
    if not members:
        raise ValueError("there is no evaluator, so nothing would be judged")
    return members


def _member(evaluator: Any, position: int) -> _Member:
    name = str(getattr(evaluator, "__name__", type(evaluator).__name__))
    try:
        callee, plain = _bind(name, evaluator, awaits=True), _bind(name, evaluator, awaits=False)
    except BindingError as error:
        raise BindingError(f"evaluator {position}, `{name}`: {error}") from None
    parameters = () if callee.whole else _parameters(evaluator)
    defaults = {one.name: one.default for one in parameters if one.default is not _P.empty}
    return _Member(name=name, callee=callee, plain=None if plain.is_async else plain, defaults=defaults)


def _bind(name: str, evaluator: Any, *, awaits: bool) -> Callee:
    """Bind it by name, as an evaluator's file is bound, or by position, as in `lambda o, e: ...`."""
    try:
        callee = bind_evaluator(name, evaluator, path=Path(), awaits=awaits)
    except BindingError:
        if not _takes_by_position(evaluator):
            raise
        return _by_position(name, evaluator)
    kinds = {one.kind for one in _parameters(evaluator)}
    if callee.whole or not kinds or kinds - {_P.VAR_POSITIONAL, _P.VAR_KEYWORD}:
        return callee
    if _P.VAR_POSITIONAL in kinds:  # a decorator without functools.wraps, most likely
        return _by_position(name, evaluator)
    return replace(callee, keywords={}, whole="keywords")


def _by_position(name: str, evaluator: Any) -> Callee:
    first = bind_evaluator(name, partial(evaluator, None), path=Path())
    return replace(first, function=evaluator, positional=_GIVEN, keywords={})


def _takes_by_position(evaluator: Any) -> bool:
    """Check whether two arguments can be the output and the expected value, neither being named for another value."""
    parameters = _parameters(evaluator)
    needed = [one for one in parameters if one.default is _P.empty]
    by_position = {_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD}
    return len(needed) == len(_GIVEN) and all(
        one.kind in by_position and (one.name == given or one.name not in EVALUATOR_NAMES)
        for one, given in zip(needed, _GIVEN, strict=True)
    )


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # it cannot be called, or is a C callable that shows no signature
        return []


def _compose(
    members: Sequence[_Member],
    *,
    name: str,
    summary: str,
    is_decided: Callable[[float], bool],
    conclude: Callable[[Sequence[float | None]], bool | float | NotApplicable],
) -> Callable[..., Any]:
    """A function that asks the members in order, until a score decides, and concludes from their scores."""

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
        threads = Threads()  # a plain function that blocks must not hold the event loop
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
    """Return the values that the members are bound to; a value that was not given is missing."""
    given = _SIGNATURE.bind(*args, **kwargs).arguments
    return {"reference": given["expected"], **given}


def _not_awaitable(member: _Member, returned: Any) -> Any:
    """Return the result of a plain function; refuse a coroutine, which would count as true."""
    if not isinstance(returned, Awaitable):
        return returned
    if inspect.iscoroutine(returned):
        returned.close()  # it will not be awaited
    raise TypeError(f"`{member.name}` is a plain function that returned an awaitable; make it `async def`")
