"""Read the expected column for the built-in evaluators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from evalwire.evaluators._values import is_equal, parse_list, plain, spelled

Score_co = TypeVar("Score_co", covariant=True)


class Evaluator(Protocol[Score_co]):
    """A function that scores an output, given the expected columns of the example."""

    def __call__(self, output: Any, expected: Mapping[str, Any] | None) -> Score_co:
        """Score an output."""


def column(expected: Mapping[str, Any] | None, key: str) -> Any:
    """Return the value of an expected column; None if it is missing.

    Raises:
        TypeError: `expected` is not a mapping.
    """
    if expected is None:
        return None
    if not isinstance(expected, Mapping):
        raise TypeError(f"`expected` must be the mapping of an example's expected columns, not a {_kind(expected)}")
    return expected.get(key)


def items(expected: Mapping[str, Any] | None, key: str) -> list[Any]:
    """Return the expected items of a column.

    The items are the elements of a list, of a tuple, or of text that is a list or tuple literal. Any other value is a
    single item. A column that is missing, None, NaN, blank text or an empty list has no items.

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
    """Check whether an output equals the expected item, or the value that the item spells if it is text."""
    if is_equal(item, output):
        return True
    return isinstance(item, str) and any(is_equal(value, output) for value in spelled(item))


def unreadable(subject: str, value: Any) -> TypeError:
    """Return the error for a value that is neither text nor a number."""
    return TypeError(f"{subject} must be text or a number, not a {_kind(value)}")


def _kind(value: Any) -> str:
    return type(value).__qualname__
