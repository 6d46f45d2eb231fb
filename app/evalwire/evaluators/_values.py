"""What a text spells, and when two values are equal."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

_NUMBER_STARTS = frozenset("0123456789+-.")
_LITERAL_STARTS = frozenset("\"'[({")
_BOOLS = {"true": True, "True": True, "false": False, "False": False}
_SCALARS = frozenset({str, int, float, bool, type(None)})
_JSON = _SCALARS | {list, dict}

# what a literal of strings, numbers, bools and None is made of: reading prose as Python takes seconds for a megabyte
_TOKENS = re.compile(
    r"""(?>
        [\s\[\](){},:]++
      | [bBuUrR]{0,2} (?: '[^'\\\n]*+(?:\\.[^'\\\n]*+)*+' | "[^"\\\n]*+(?:\\.[^"\\\n]*+)*+" )
      | (?<![\w.)\]}])[+-]?+ [\d.](?:[eE][+-]|[\w.])*+
      | (?:True|False|None)\b
    )*+""",
    re.VERBOSE | re.DOTALL,
)
_RAW = re.compile(r"[rR][\"']")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\n\\'\"abfnrtvxuUN01234567")


def plain(value: Any) -> Any:
    """A numpy value as the Python value that it holds; any other value as it is."""
    if type(value).__module__.partition(".")[0] == "numpy" and callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    return value


def as_text(value: Any) -> str | None:
    """Text as it is, and a finite number as Python writes it; None for anything else, a bool included."""
    match plain(value):
        case str() as text:
            return str.__str__(text)
        case bool():
            return None
        case int() as number:
            try:
                return str(int(number))
            except ValueError:  # it has more digits than Python writes
                return None
        case float() as number if math.isfinite(number):
            return str(float(number))
    return None


def parse_json(text: str) -> Any:
    """The value of JSON text.

    Raises:
        ValueError: it is none, or is nested deeper than can be read; NaN and Infinity are no JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def parse_number(text: str) -> int | float:
    """The number that a text spells, NaN and infinities included.

    Raises:
        ValueError: it spells none.
    """
    try:
        return int(text)
    except ValueError:
        return float(text)


def parse_list(text: str) -> list[Any] | None:
    """The items of a text that is a list or tuple literal of Python's; None for any other text."""
    bare = text.strip()
    if bare[:1] + bare[-1:] not in {"[]", "()"}:
        return None
    try:
        value = parse_json(bare)  # where both read the same, JSON takes a tenth of the time
        if all(type(item) in {str, int, float} for item in value):
            return list(value)
    except ValueError:
        pass
    for value in _literal(bare):
        if isinstance(value, list | tuple):
            return list(value)
    return None


def spelled(text: str) -> tuple[Any, ...]:
    """The value that a text spells as JSON or as a Python literal; empty where it spells none."""
    bare = text.strip()
    if bare in _BOOLS:
        return (_BOOLS[bare],)
    try:
        if bare[:1] in _NUMBER_STARTS:
            return (parse_number(bare),)
        return (parse_json(bare),) if bare[:1] in _LITERAL_STARTS else ()
    except ValueError:
        return _literal(bare) if bare[:1] in _LITERAL_STARTS else ()


def _literal(text: str) -> tuple[Any, ...]:
    """The value of a Python literal; empty for any other text, however hostile."""
    if not _TOKENS.fullmatch(text):
        return ()
    try:
        return (ast.literal_eval(_without_unknown_escapes(text)),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ()


def _without_unknown_escapes(text: str) -> str:
    r"""The same literal without escapes such as `\d`, which Python keeps as they are, but warns of."""
    if _RAW.search(text):
        return text
    return _ESCAPE.sub(lambda found: found[0] if found[1] in _KNOWN_ESCAPES else f"\\{found[0]}", text)


def is_equal(one: Any, other: Any) -> bool:
    """Check whether two values are equal as in JSON: `True` is not 1, 1 is 1.0, and a tuple is a list.

    What cannot be compared is not equal.
    """
    if type(one) in _SCALARS and type(other) in _JSON:
        return bool(one == other) and (type(one) is bool) == (type(other) is bool)
    try:
        return _is_equal(one, other)
    except Exception:
        return False


def _is_equal(one: Any, other: Any) -> bool:
    """`is_equal` by a list of what is still to be compared, so that no depth is too deep."""
    pairs = [(one, other)]
    compared: dict[tuple[int, int], Any] = {}  # for values that hold themselves; it keeps them, and so their ids
    while pairs:
        left, right = map(plain, pairs.pop())
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            if left.keys() != right.keys():
                return False
            inner = [(left[key], right[key]) for key in left]
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return False
            inner = list(zip(left, right, strict=True))
        elif isinstance(left, bool) != isinstance(right, bool) or not bool(left == right):
            return False
        else:
            continue
        if (id(left), id(right)) not in compared:
            compared[id(left), id(right)] = (left, right)
            pairs += inner
    return True
