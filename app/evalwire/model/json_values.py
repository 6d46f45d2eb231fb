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

# NOTE: Phoenix answers HTTP 500 for what lies beyond these, however often it is sent: orjson, which writes its JSON,
# takes integers of 64 bits and 254 levels, a few of which are Phoenix's own.
_LEAST, _GREATEST = -(2**63), 2**64 - 1
_MOST_LEVELS = 250


def to_json(value: Any) -> Any:
    """Turn what a task returned into JSON values, converting what converts without loss.

    Dataclasses, pydantic models, numpy values, tuples and dates are converted.

    Raises:
        TypeError: something in it has no JSON form (the Phoenix client would store `{}` without a word).
        ValueError: a NaN, an infinity, an integer of more than 64 bits, text that has a NUL or is not Unicode, or
            more than 250 levels.
    """
    return _to_json(value, _MOST_LEVELS)


def _to_json(value: Any, levels: int) -> Any:  # noqa: C901, PLR0912 - a flat table of cases
    if levels < 0:
        raise ValueError(
            f"more than {_MOST_LEVELS} levels of lists and dicts, which Phoenix does not store; flatten it"
        )
    match value:
        case None | bool():
            return value
        case int():
            if not _LEAST <= value <= _GREATEST:
                raise ValueError("an integer of more than 64 bits, which Phoenix does not store; write it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no JSON form")
            return float(value)
        case str():
            return _to_text(value)
        case Mapping():
            converted = {_to_key(key): _to_json(item, levels - 1) for key, item in value.items()}
            if len(converted) < len(value):
                raise ValueError("two keys of a dict are the same text in JSON")
            return converted
        case list() | tuple():
            return [_to_json(item, levels - 1) for item in value]
        case datetime() | date():
            return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _to_json(getattr(value, item.name), levels - 1) for item in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return _to_json(dump(mode="json"), levels)
    if type(value).__module__.partition(".")[0] == "numpy" and callable(listed := getattr(value, "tolist", None)):
        return _to_json(listed(), levels)
    raise TypeError(
        f"a {type(value).__qualname__} has no JSON form; return JSON values, a dataclass or a pydantic model"
    )


def _to_text(text: str) -> str:
    text.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    if "\0" in text:  # Phoenix accepts it on SQLite, and always answers HTTP 500 on PostgreSQL
        raise ValueError("a text with a NUL character, which Phoenix does not store on PostgreSQL; remove it")
    return str.__str__(text)


def _to_key(key: Any) -> str:
    if isinstance(key, str):
        return _to_text(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise TypeError(f"a {type(key).__qualname__} cannot be a key in JSON; use text")


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
