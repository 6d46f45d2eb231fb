"""JSON values: conversion without loss, and comparison."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime
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

_LEAST, _GREATEST = -(2**63), 2**64 - 1  # Phoenix answers HTTP 500 for other integers, however often they are sent


def to_json(value: Any) -> Any:  # noqa: C901, PLR0912 - a flat table of cases
    """Turn what a task returned into JSON values, converting what converts without loss.

    Dataclasses, pydantic models, numpy values, tuples and dates are converted.

    Raises:
        TypeError: something in it has no JSON form (the Phoenix client would store `{}` without a word).
        ValueError: a NaN, an infinity, an integer of more than 64 bits, or text that is not valid Unicode.
    """
    match value:
        case None | bool():
            return value
        case int():
            if not _LEAST <= value <= _GREATEST:
                raise ValueError("an integer of more than 64 bits, which Phoenix does not store; return it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no JSON form")
            return float(value)
        case str():
            value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
            return str.__str__(value)
        case Mapping():
            converted = {_to_key(key): to_json(item) for key, item in value.items()}
            if len(converted) < len(value):
                raise ValueError("two keys of a dict are the same text in JSON")
            return converted
        case list() | tuple():
            return [to_json(item) for item in value]
        case datetime() | date():
            return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return to_json(dump(mode="json"))
    if type(value).__module__.partition(".")[0] == "numpy" and callable(listed := getattr(value, "tolist", None)):
        return to_json(listed())
    raise TypeError(
        f"a {type(value).__qualname__} has no JSON form; return JSON values, a dataclass or a pydantic model"
    )


def _to_key(key: Any) -> str:
    if isinstance(key, str):
        key.encode()  # as for other text
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise TypeError(f"a {type(key).__qualname__} cannot be a key in JSON; use text")


def is_same_json(one: Any, other: Any) -> bool:
    """Check whether two JSON values are equal; as in JSON, and unlike in Python, `true` is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
