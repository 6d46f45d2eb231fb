"""How the built-in evaluators read the expected column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from evalwire.evaluators._values import is_equal, parse_list, plain, spelled

Score_co = TypeVar("Score_co", covariant=True)


class Evaluator(Protocol[Score_co]):
    """A function that scores an output beside the expected columns of its example."""

    def __call__(self, output: Any, expected: Mapping[str, Any] | None) -> Score_co:
        """Score one output."""


def column(expected: Mapping[str, Any] | None, key: str) -> Any:
    """The value of one expected column; None where it is missing.

    Raises:
        TypeError: `expected` is not a mapping.
    """
    if expected is None:
        return None
    if not isinstance(expected, Mapping):
        raise TypeError(f"`expected` is the mapping of an example's expected columns, not a {_kind(expected)}")
    return expected.get(key)


def items(expected: Mapping[str, Any] | None, key: str) -> list[Any]:
    """Return the expected items: those of a list, a tuple or a text that is a literal of one; else the value alone.

    There are none where the column is missing, None, NaN, blank text or an empty list.

    Raises:
        TypeError: `expected` is not a mapping.
    """
    value = plain(column(expected, key))
    if isinstance(value, str):
        listed = parse_list(value)
        return ([value] if value.strip() else []) if listed is None else listed
    if isinstance(value, list | tuple):
        return list(value)
    is_missing = value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - only NaN is not itself
    return [] if is_missing else [value]


def matches(item: Any, output: Any) -> bool:
    """Check whether an output equals the expected item or, where that is text, the value that the text spells."""
    if is_equal(item, output):
        return True
    return isinstance(item, str) and any(is_equal(value, output) for value in spelled(item))


def unreadable(what: str, value: Any) -> TypeError:
    """The error of a value that is neither text nor a number."""
    return TypeError(f"{what} is text or a number, not a {_kind(value)}")


def _kind(value: Any) -> str:
    return type(value).__qualname__
