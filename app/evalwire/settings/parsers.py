"""Parsers that check and convert the values of settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from evalwire.gates import BaselineChoice, GateConfig
from evalwire.settings.shard_option import ShardOption

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Parser(Generic[T_co]):
    """The parser of a kind of value.

    Attributes:
        parse: function that checks and converts a value; its ValueError states the expected form.
        metavar: the placeholder for the value in the help.
        schema: the JSON Schema of the value in `evalwire.toml`.
    """

    parse: Callable[[Any], T_co]
    metavar: str
    schema: Mapping[str, Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a non-empty string")
    return value


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected at least 1 character")
    return value


def _separator(value: Any) -> str:
    separator = {"tab": "\t", "\\t": "\t"}.get(value, value) if isinstance(value, str) else ""
    if len(separator) != 1 or separator in '"\r\n ' or separator.isalnum():
        raise ValueError("expected a single character that no column name contains, such as ';', or tab")
    return separator


def _column_or_none(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a column name, or an empty string")
    return value


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list of strings, or a comma-separated string")
    texts = tuple(item.strip() for item in items if item.strip())
    if items and not texts:
        raise ValueError("expected at least 1 non-empty item")
    return texts


def _columns(value: Any) -> tuple[str, ...]:
    columns = _texts(value)
    if not columns:
        raise ValueError("expected at least 1 column")
    return columns


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("expected a number") from None
    if not 0 < number < float("inf"):
        raise ValueError("expected a number greater than 0")
    return number


def _probability(value: Any) -> float:
    number = _number(value)
    if number >= 1:
        raise ValueError("expected a number between 0 and 1")
    return number


def _number_from_0(value: Any) -> float:
    if value in (0, "0", "0.0") and not isinstance(value, bool):
        return 0.0
    try:
        return _number(value)
    except ValueError:
        raise ValueError("expected a number, 0 or more") from None


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    try:
        number = int(value)
    except ValueError:
        raise ValueError("expected a whole number") from None
    if number < 1:
        raise ValueError("expected a whole number, 1 or more")
    return number


def _count_or_auto(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return _count(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _count_from_0(value: Any) -> int:
    if value in (0, "0") and not isinstance(value, bool):
        return 0
    try:
        return _count(value)
    except ValueError:
        raise ValueError("expected a whole number, 0 or more") from None


def _failures(value: Any) -> float:
    """Return a number of failures, or a fraction of the runs if the value is below 1."""
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        if text.endswith("%"):
            share = float(text.removesuffix("%")) / 100
        elif isinstance(value, float) and not value.is_integer():
            share = value
        else:
            return float(_count(int(value) if isinstance(value, float) else value))
        if 0 < share < 1:
            return share
    raise ValueError("expected a whole number, 1 or more, or a percentage such as 5%")


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError("expected true or false")


def _gates(value: Any) -> tuple[str, ...]:
    """Return the texts of gates, from a list or from a text with semicolons between them."""
    if isinstance(value, str):
        texts = tuple(text.strip() for text in value.split(";") if text.strip())
        is_empty = not texts
    elif not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError("expected a list of texts, such as ['accuracy >= 0.9']")
    else:
        texts = tuple(text.strip() for text in value)
        is_empty = not all(texts)
    if is_empty:  # such as from an unset pipeline variable: no gate would be applied
        raise ValueError("expected a limit, such as 'accuracy >= 0.9', not an empty string")
    GateConfig().with_flags(texts)
    return texts


def _shard(value: Any) -> ShardOption:
    return value if isinstance(value, ShardOption) else ShardOption.parse(_text(value))


def _baseline(value: Any) -> BaselineChoice:
    return value if isinstance(value, BaselineChoice) else BaselineChoice.parse(_text(value))


def choice(*words: T) -> Parser[T]:
    """Return a parser that accepts any of these words."""
    shown = ", ".join(map(str, words))

    def parse(value: Any) -> T:
        for word in words:
            if value == word:
                return word
        raise ValueError(f"expected one of: {shown}")

    return Parser(parse, "|".join(map(str, words)), {"enum": list(words)})


_NON_EMPTY = {"type": "string", "pattern": r"\S"}
_LIST = {"anyOf": [{"type": "array", "items": {"type": "string"}}, _NON_EMPTY]}
_WHOLE = {"type": "integer", "minimum": 1}
# The parsers also accept quoted numbers. The schema has only the plain form, which editors suggest.
TEXT = Parser(_text, "TEXT", _NON_EMPTY)
PATH = Parser(_path, "PATH", _NON_EMPTY)
TEXTS = Parser(_texts, "TEXT,...", _LIST)
COLUMNS = Parser(_columns, "TEXT,...", _LIST)
COLUMN_OR_NONE = Parser(_column_or_none, "TEXT", {"type": "string"})
DELIMITER = Parser(_delimiter, "TEXT", {"type": "string", "minLength": 1})
SEPARATOR = Parser(_separator, "TEXT", {"type": "string", "minLength": 1})
NUMBER = Parser(_number, "FLOAT", {"type": "number", "exclusiveMinimum": 0})
NUMBER_FROM_0 = Parser(_number_from_0, "FLOAT", {"type": "number", "minimum": 0})
PROBABILITY = Parser(_probability, "FLOAT", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})
COUNT = Parser(_count, "INTEGER", _WHOLE)
COUNT_FROM_0 = Parser(_count_from_0, "INTEGER", {"type": "integer", "minimum": 0})
COUNT_OR_AUTO = Parser(_count_or_auto, "INTEGER|auto", {"anyOf": [_WHOLE, {"const": "auto"}]})
FAILURES = Parser(
    _failures,
    "INTEGER|PERCENT%",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "%$"}]},
)
SWITCH = Parser(_switch, "", {"type": "boolean"})
GATES = Parser(_gates, "LIMIT", _LIST)
SHARD = Parser(_shard, "[I/N]", _NON_EMPTY)
BASELINE = Parser(_baseline, "TEXT", _NON_EMPTY)
