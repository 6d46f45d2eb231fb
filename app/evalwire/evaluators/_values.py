"""Parse the values that texts spell, and compare values."""

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

# tokens of literals with strings, numbers, bools and None: parsing a megabyte of prose as Python takes seconds
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
    """Return a numpy value as a Python value, and any other value unchanged."""
    if type(value).__module__.partition(".")[0] == "numpy" and callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    return value


def as_text(value: Any) -> str | None:
    """Return text unchanged, and a finite number as Python writes it; None for other values, including bools."""
    match plain(value):
        case str() as text:
            return str.__str__(text)
        case bool():
            return None
        case int() as number:
            try:
                return str(int(number))
            except ValueError:  # more digits than Python converts to text
                return None
        case float() as number if math.isfinite(number):
            return str(float(number))
    return None


def parse_json(text: str) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: the text is not JSON (NaN and Infinity are not), or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def parse_number(text: str) -> int | float:
    """Parse a number from text, including NaN and infinities.

    Raises:
        ValueError: the text is not a number.
    """
    try:
        return int(text)
    except ValueError:
        return float(text)


def parse_list(text: str) -> list[Any] | None:
    """Return the items of a Python list or tuple literal; None for any other text."""
    bare = text.strip()
    if bare[:1] + bare[-1:] not in {"[]", "()"}:
        return None
    try:
        value = parse_json(bare)  # ten times as fast, if JSON and Python agree on the value
        if all(type(item) in {str, int, float} for item in value):
            return list(value)
    except ValueError:
        pass
    for value in _literal(bare):
        if isinstance(value, list | tuple):
            return list(value)
    return None


def spelled(text: str) -> tuple[Any, ...]:
    """Return the value of a JSON text or Python literal in a tuple; an empty tuple for any other text."""
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
    """Return the value of a Python literal in a tuple; an empty tuple for any other text, even malicious text."""
    if not _TOKENS.fullmatch(text):
        return ()
    try:
        return (ast.literal_eval(_without_unknown_escapes(text)),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ()


def _without_unknown_escapes(text: str) -> str:
    r"""Double the backslash of unknown escapes such as `\d`, which Python accepts with a warning."""
    if _RAW.search(text):
        return text
    return _ESCAPE.sub(lambda found: found[0] if found[1] in _KNOWN_ESCAPES else f"\\{found[0]}", text)


def is_equal(value: Any, other: Any) -> bool:
    """Check whether two values are equal as in JSON: `True` is not 1, 1 is 1.0, and a tuple is a list.

    Values that cannot be compared are not equal.
    """
    if type(value) in _SCALARS and type(other) in _JSON:
        return bool(value == other) and (type(value) is bool) == (type(other) is bool)
    try:
        return _is_equal(value, other)
    except Exception:
        return False


def _is_equal(value: Any, other: Any) -> bool:
    """Compare two values of any depth, with a list of pending pairs instead of recursion."""
    pairs = [(value, other)]
    compared: dict[tuple[int, int], Any] = {}  # for values that contain themselves; keeps them alive, so IDs stay valid
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
