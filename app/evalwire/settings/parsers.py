"""Check and convert the values of settings, wherever they were written."""

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
    """One kind of value.

    Attributes:
        parse: checks and converts a value; raises ValueError saying what was expected.
        metavar: the word for the value in the help.
        schema: the JSON Schema of the value in `evalwire.toml`.
    """

    parse: Callable[[Any], T_co]
    metavar: str
    schema: Mapping[str, Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text that is not empty")
    return value


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected one character or more")
    return value


def _separator(value: Any) -> str:
    separator = {"tab": "\t", "\\t": "\t"}.get(value, value) if isinstance(value, str) else ""
    if len(separator) != 1 or separator in '"\r\n ' or separator.isalnum():
        raise ValueError("expected one character that no name of a column has, such as ';', or tab")
    return separator


def _column_or_none(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected the name of a column, or an empty text")
    return value


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list of texts, or a comma-separated text")
    texts = tuple(item.strip() for item in items if item.strip())
    if items and not texts:
        raise ValueError("expected at least one text that is not empty")
    return texts


def _columns(value: Any) -> tuple[str, ...]:
    columns = _texts(value)
    if not columns:
        raise ValueError("expected at least one column")
    return columns


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 < number < float("inf"):
        raise ValueError("expected a number above 0")
    return number


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
    """Return a number of failures, or, below 1, a share of the runs."""
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
    raise ValueError("expected a whole number, 1 or more, or a share such as 5%")


def _gates(value: Any) -> tuple[str, ...]:
    """Return gates as `--gate` has them; in a variable they are separated by semicolons."""
    if isinstance(value, str):
        texts = tuple(text.strip() for text in value.split(";") if text.strip())
        is_lacking = not texts
    else:
        texts = tuple(text.strip() for text in value)
        is_lacking = not all(texts)
    if is_lacking:  # such as of a variable of the pipeline that is not set: no limit would be judged
        raise ValueError("expected a limit, such as 'accuracy >= 0.9', not an empty text")
    GateConfig().with_flags(texts)
    return texts


def _shard(value: Any) -> ShardOption:
    return value if isinstance(value, ShardOption) else ShardOption.parse(_text(value))


def _baseline(value: Any) -> BaselineChoice:
    return value if isinstance(value, BaselineChoice) else BaselineChoice.parse(_text(value))


def one_of(*words: T) -> Parser[T]:
    """Return the parser that takes one of these words."""
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
# Numbers in quotes are taken too; an editor proposes the plain form.
TEXT = Parser(_text, "TEXT", _NON_EMPTY)
PATH = Parser(_path, "PATH", _NON_EMPTY)
TEXTS = Parser(_texts, "TEXT,...", _LIST)
COLUMNS = Parser(_columns, "TEXT,...", _LIST)
COLUMN_OR_NONE = Parser(_column_or_none, "TEXT", {"type": "string"})
DELIMITER = Parser(_delimiter, "TEXT", {"type": "string", "minLength": 1})
SEPARATOR = Parser(_separator, "TEXT", {"type": "string", "minLength": 1})
NUMBER = Parser(_number, "FLOAT", {"type": "number", "exclusiveMinimum": 0})
COUNT = Parser(_count, "INTEGER", _WHOLE)
COUNT_FROM_0 = Parser(_count_from_0, "INTEGER", {"type": "integer", "minimum": 0})
COUNT_OR_AUTO = Parser(_count_or_auto, "INTEGER|auto", {"anyOf": [_WHOLE, {"const": "auto"}]})
FAILURES = Parser(
    _failures,
    "INTEGER|PERCENT%",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "%$"}]},
)
GATES = Parser(_gates, "LIMIT", _LIST)
SHARD = Parser(_shard, "[I/N]", _NON_EMPTY)
BASELINE = Parser(_baseline, "TEXT", _NON_EMPTY)
