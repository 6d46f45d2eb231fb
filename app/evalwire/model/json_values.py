"""JSON values: an empty one for all, and comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


class _Empty(dict[str, Any]):
    """An empty dict for all to share: nothing can be put into it, and a copy of it is a dict as any other."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is shared and cannot be changed")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        return dict, ()


EMPTY: Mapping[str, Any] = _Empty()  # thousands of evaluations without metadata share it


def is_same_json(one: Any, other: Any) -> bool:
    """Check whether two JSON values are equal; as in JSON, and unlike in Python, `true` is not 1.

    An integer equals the float that is nearest to it: PostgreSQL gives 1.844674407370955e19 back as one.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, float) and isinstance(other, int):
        return one == float(other)
    if isinstance(one, int) and isinstance(other, float):
        return float(one) == other
    return bool(one == other)
