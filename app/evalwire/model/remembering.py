"""Values that are computed only once for each frozen object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Remembers:
    """A base class of frozen dataclasses that remember values, because every report format needs the same values.

    The values are not a field: copies, pickles, comparisons and masked results do not contain them.
    """

    __slots__ = ("_remembered",)

    _remembered: dict[Hashable, Any]


def remembered(owner: Remembers, key: Hashable, compute: Callable[[], T]) -> T:
    """Return a value of an object; compute it if the object does not remember it."""
    try:
        known = owner._remembered  # noqa: SLF001
    except AttributeError:
        known = {}
        object.__setattr__(owner, "_remembered", known)
    if key not in known:
        known[key] = compute()
    found: T = known[key]
    return found
