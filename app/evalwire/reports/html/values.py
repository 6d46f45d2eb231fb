"""Convert users' values to text for the page, and limit their length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.reports.html.tree import Node

LONGEST = 200_000  # characters of a value; results.json has the full value
LONGEST_OF_MANY = 1_000  # limit once there are MANY characters
MANY = 120_000_000  # characters
_SHORT = 80
_EMPTY = 2  # items of an element without children
_TEXT = {str}

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_DECODER = json.JSONDecoder(parse_constant={"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.__getitem__)


class Values:
    """Cuts users' values, to a shorter length once there are many characters.

    Args:
        many: the number of characters from which values are cut to the shorter length.
        longest_of_many: the shorter length.
    """

    def __init__(self, many: int = MANY, longest_of_many: int = LONGEST_OF_MANY) -> None:
        self._many = many
        self._longest_of_many = longest_of_many
        self._written = 0

    def shown(self, value: Any) -> list[Node]:
        """Return a value by field: the fields of an object by name, text unchanged, and other values as JSON."""
        plain = _plain(value)
        room = self.longest
        lost = 0
        found: list[Node] = ["pre", ""]
        for name, field in plain.items() if isinstance(plain, dict) and plain else [(None, plain)]:
            text = field if isinstance(field, str) else _json(field)
            if len(text) > room:
                lost += len(text) - room
                text = text[:room]
            room = max(0, room - len(text) - len(name or ""))
            self._written += len(text)
            if name is not None:
                if len(found) > _EMPTY:
                    found.append("\n")
                found.append(["b", "", name[:200]])
                text = f"\n{text}" if "\n" in text else f"  {text}"
            found.append(text)
        return [found, ["p", "cut", f"{lost:,} more characters are in results.json"]] if lost else [found]

    @property
    def longest(self) -> int:
        """Return the number of characters that a value may have now."""
        return LONGEST if self._written < self._many else self._longest_of_many

    def count(self, text: str) -> str:
        """Return a text that was cut elsewhere, and count its characters."""
        self._written += len(text)
        return text


def _plain(value: Any) -> Any:
    """Return a value as read back from results.json."""
    if isinstance(value, str):
        return value
    known = value if type(value) is dict else dict(value) if isinstance(value, Mapping) else value
    if isinstance(known, dict) and {*map(type, known), *map(type, known.values())} <= _TEXT:
        return known
    return _DECODER.decode(_ENCODER.encode(known))


def _json(value: Any) -> str:
    """Return JSON, on a single line if it is short."""
    short = _ENCODER.encode(value)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)
