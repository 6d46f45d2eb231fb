"""Conversion of values from user code to JSON: without loss or, for the journal, as closely as JSON allows."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import fractions
import inspect
import io
import json
import math
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# NOTE: Phoenix always answers HTTP 500 beyond these limits. It writes JSON with orjson, which accepts 64-bit integers
# and 254 levels, a few of which Phoenix itself uses.
_LEAST, _GREATEST = -(2**63), 2**64 - 1
_MOST_LEVELS = 250

_MOST_SHOWN = 10_000  # characters of a value's lossy form

_TEXTS = (uuid.UUID, PurePath, fractions.Fraction)  # `str` represents them fully

_KEYS = (str, int, date, time, decimal.Decimal, *_TEXTS)

_NO_FORM = "which JSON cannot represent"


class _Unfit(Exception):
    """Raised for a value that JSON cannot represent; has the path to the value and the problem."""

    def __init__(self, kind: type[Exception], problem: str, *, verb: str = "is") -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.verb = verb
        self.path = ""

    def below(self, key: str) -> _Unfit:
        self.path = f"[{key}]{self.path}"
        return self


def to_json(value: Any, *, name: str = "output") -> Any:
    """Convert a value from user code to JSON values, without loss.

    Converted types are dataclasses, pydantic models, attrs classes, enum members, dates and times, UUIDs and paths.
    Decimal numbers, sets, bytes of UTF-8 text, and values of numpy and pandas are converted, too.

    Args:
        value: the returned value.
        name: the value's name in errors, which add the path, as in `output["team"]`.

    Raises:
        TypeError: JSON cannot represent a part of the value (the Phoenix client would silently store `{}`).
        ValueError: the value contains a NaN, an infinity, an integer of more than 64 bits, or more than 250 levels.
            Text with a NUL and text that is not Unicode are errors, too.
    """
    try:
        return _to_json(value, _MOST_LEVELS)
    except _Unfit as unfit:
        raise unfit.kind(f"{name}{unfit.path} {unfit.verb} {unfit.problem}") from None


def unstorable(value: Any) -> str | None:
    """Describe the part of a JSON value that Phoenix cannot store; None if it can store everything."""
    try:
        _to_json(value, _MOST_LEVELS)
    except _Unfit as unfit:
        return unfit.problem
    return None


def to_lossy_json(value: Any) -> Any:
    """Convert a value to JSON as closely as possible; parts that JSON cannot represent become their repr as text."""
    return _to_lossy(value, _MOST_LEVELS, ())


def _to_json(value: Any, levels: int) -> Any:
    if levels < 0:
        text = f"more than {_MOST_LEVELS} levels of lists and dicts, which Phoenix does not store; flatten it"
        raise _Unfit(ValueError, text, verb="has")
    match value:
        case None | bool():
            return value
        case int():
            if not _LEAST <= value <= _GREATEST:
                text = "an integer of more than 64 bits, which Phoenix does not store; convert it to text"
                raise _Unfit(ValueError, text)
            return int(value)
        case float():
            if not math.isfinite(value):
                raise _Unfit(ValueError, f"{value}, {_NO_FORM}; return None or a number")
            return float(value)
        case str():
            return _to_text(value)
        case Mapping():
            return _to_object(value.items(), len(value), levels)
        case list() | tuple():
            return _to_array(value, levels)
    return _converted(value, levels)


def _to_array(items: Iterable[Any], levels: int) -> list[Any]:
    converted: list[Any] = []
    try:
        for item in items:
            converted.append(_to_json(item, levels - 1))  # noqa: PERF401 - its length is the index of the unfit item
    except _Unfit as unfit:
        raise unfit.below(str(len(converted))) from None
    return converted


def _to_object(items: Iterable[tuple[Any, Any]], size: int, levels: int) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, item in items:
        text = _to_key(key)
        try:
            converted[text] = _to_json(item, levels - 1)
        except _Unfit as unfit:
            raise unfit.below(json.dumps(text, ensure_ascii=False)) from None
    if len(converted) < size:
        raise _Unfit(ValueError, "two keys that become the same text in JSON", verb="has")
    return converted


def _to_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Unfit(ValueError, "text with half of a surrogate pair, which is not valid Unicode") from None
    if "\0" in text:  # Phoenix accepts it on SQLite, and always answers HTTP 500 on PostgreSQL
        problem = "text with a NUL character, which Phoenix does not store on PostgreSQL; remove it"
        raise _Unfit(ValueError, problem)
    return str.__str__(text)


def _to_key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    elif _package(key) == "numpy" and getattr(key, "ndim", None) == 0:
        key = key.item()
    if isinstance(key, bool | float) or not isinstance(key, _KEYS):
        raise _Unfit(TypeError, f"{_named(key)} as a key, which JSON does not allow; use text", verb="has")
    if isinstance(key, str):
        try:
            return _to_text(key)
        except _Unfit as unfit:
            unfit.verb = "has a key that is"
            raise
    return str(int(key)) if isinstance(key, int) else str(_converted(key, 0))


def _converted(value: Any, levels: int) -> Any:
    """Return the JSON form of a value of another type."""
    for kind, convert in _BY_TYPE:
        if isinstance(value, kind):
            return convert(value, levels)
    if not isinstance(value, type):
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            return _to_object([(name, getattr(value, name)) for name in names], len(names), levels)
        if callable(dump := getattr(value, "model_dump", None)):
            return _to_json(dump(mode="json"), levels)
        if (own := getattr(type(value), "__attrs_attrs__", None)) is not None:
            return _to_object([(field.name, getattr(value, field.name)) for field in own], len(own), levels)
        if (convert_all := _BY_PACKAGE.get(_package(value))) is not None:
            return convert_all(value, levels)
    raise _without_form(value)


def _from_enum(value: enum.Enum, levels: int) -> Any:
    if isinstance(value.value, type(value)):
        raise _without_form(value)
    return _to_json(value.value, levels)


def _from_date(value: date | time, _: int) -> str:
    text = value.isoformat()
    if text == "NaT":  # pandas's missing date
        raise _Unfit(ValueError, f"NaT, {_NO_FORM}; return None")
    return text


def _from_timedelta(value: timedelta, _: int) -> str:
    """Return a duration in ISO 8601, in days and seconds as Python keeps them."""
    if callable(own := getattr(value, "isoformat", None)):  # from pandas, which counts nanoseconds
        text: str = own()
        return text
    return f"P{value.days}DT{value.seconds}" + (f".{value.microseconds:06}S" if value.microseconds else "S")


def _from_decimal(value: decimal.Decimal, _: int) -> str:
    if not value.is_finite():
        raise _Unfit(ValueError, f"{value}, {_NO_FORM}; return None or a number")
    return str(value)


def _from_bytes(value: bytes | bytearray | memoryview, _: int) -> str:
    try:
        return _to_text(bytes(value).decode())
    except UnicodeDecodeError:
        raise _Unfit(TypeError, f"bytes that are not UTF-8 text, {_NO_FORM}; encode them, as with base64") from None


def _from_set(value: AbstractSet[Any], levels: int) -> list[Any]:
    return sorted(_to_array(value, levels), key=lambda item: json.dumps(item, sort_keys=True))


def _from_numpy(value: Any, levels: int) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("M", "m"):  # dates and durations may be finer than Python's
        value = value.astype(str)
        if any(text == "NaT" for text in value.ravel().tolist()):
            raise _Unfit(ValueError, f"NaT, {_NO_FORM}; return None")
    listed = value.tolist() if callable(getattr(value, "tolist", None)) else value
    if _package(listed) == "numpy":
        raise _without_form(value)
    return _to_json(listed, levels)


def _from_pandas(value: Any, levels: int) -> Any:
    kind = type(value).__name__
    if kind == "NAType":
        raise _Unfit(ValueError, f"NA, {_NO_FORM}; return None")
    if kind in ("DataFrame", "Series"):
        if type(value.index).__name__ != "RangeIndex" or (value.index.start, value.index.step) != (0, 1):
            problem = f"a {kind} with a custom index, {_NO_FORM}; call its `reset_index()` or `to_dict()`"
            raise _Unfit(TypeError, problem)
        if kind == "DataFrame":
            return _to_array(value.to_dict("records"), levels) if value.columns.is_unique else _twice()
    if callable(listed := getattr(value, "tolist", None)):
        return _to_array(listed(), levels)
    raise _without_form(value)


def _twice() -> Any:
    raise _Unfit(ValueError, "two columns with the same name", verb="has")


_BY_TYPE: tuple[tuple[Any, Callable[[Any, int], Any]], ...] = (
    (enum.Enum, _from_enum),
    (date | time, _from_date),  # a datetime is a date
    (timedelta, _from_timedelta),
    (decimal.Decimal, _from_decimal),
    (_TEXTS, lambda value, _: _to_text(str(value))),
    (bytes | bytearray | memoryview, _from_bytes),
    (collections.deque | range | collections.abc.KeysView | ValuesView, _to_array),
    (AbstractSet, _from_set),
)

_BY_PACKAGE: dict[str, Callable[[Any, int], Any]] = {"numpy": _from_numpy, "pandas": _from_pandas}


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _named(value: Any) -> str:
    """Return the name of a value's type with an article."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _without_form(value: Any) -> _Unfit:
    advice = "return JSON values, a dataclass, or a pydantic model"
    if inspect.iscoroutine(value):
        advice = "await it"
    elif isinstance(value, AsyncIterator) or hasattr(value, "__aiter__"):
        advice = 'collect it: "".join([part async for part in stream])'
    elif isinstance(value, io.IOBase):
        advice = "return its content: call its `read()`"
    elif isinstance(value, Iterator):
        advice = 'collect it: "".join(stream) or list(stream)'
    elif isinstance(value, type):
        return _Unfit(TypeError, f"the class {value.__name__}, {_NO_FORM}; return an instance or its name")
    elif callable(value):
        advice = "call it"
    return _Unfit(TypeError, f"{_named(value)}, {_NO_FORM}; {advice}")


def _to_lossy(value: Any, levels: int, above: tuple[int, ...]) -> Any:
    try:
        return _to_json(value, levels)
    except Exception:  # from evalwire, or from the user's classes
        if levels > 0 and id(value) not in above:
            below = (*above, id(value))
            if isinstance(value, Mapping):
                return {str(_shown(key)): _to_lossy(item, levels - 1, below) for key, item in list(value.items())}
            if isinstance(value, list | tuple | set | frozenset):
                return [_to_lossy(item, levels - 1, below) for item in value]
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return {
                    field.name: _to_lossy(getattr(value, field.name, None), levels - 1, below)
                    for field in dataclasses.fields(value)
                }
        return _shown(value)


def _shown(value: Any) -> str:
    """Represent a value as text; never raises, even if its `repr` does."""
    try:
        text = value if isinstance(value, str) else f"<{type(value).__name__}: {value!r}>"
        return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:_MOST_SHOWN]
    except BaseException as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
