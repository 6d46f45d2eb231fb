"""JSON values: a shared empty mapping, and comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


class _Empty(dict[str, Any]):
    """An empty, read-only dict that can be shared; copies are ordinary dicts."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is shared and read-only: change a copy")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        return dict, ()


EMPTY: Mapping[str, Any] = _Empty()  # thousands of evaluations without metadata share it


def is_same_json(left: Any, right: Any) -> bool:
    """Check whether two JSON values are equal; as in JSON, and unlike in Python, `true` is not 1.

    An integer equals the nearest float, because PostgreSQL returns 1.844674407370955e19 as an integer.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same_json, left, right))
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, float) and isinstance(right, int):
        return left == float(right)
    if isinstance(left, int) and isinstance(right, float):
        return float(left) == right
    return bool(left == right)
