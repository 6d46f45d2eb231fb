"""Convert users' values to text for the page, and limit their length."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.reports.html.tree import Node

LONGEST = 200_000  # characters of a value; results.json has the full value
LONGEST_OF_MANY = 1_000  # limit once there are MANY characters
MANY = 120_000_000  # characters
_SHORT = 80

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
        fields = plain.items() if isinstance(plain, dict) and plain else [(None, plain)]
        whole = [(name, field if isinstance(field, str) else _json(field)) for name, field in fields]
        room = self.longest
        lost = sum(len(text) for _, text in whole)
        parts: list[Node] = []
        for place, (name, text) in enumerate(whole):
            cut = text[:room]
            lost -= len(cut)
            room = max(0, room - len(cut) - len(name or ""))
            self._written += len(cut)
            parts += [cut] if name is None else _field(name, cut, is_first=not place)
        shown: list[Node] = [["pre", "", *parts]]
        return [*shown, ["p", "cut", f"{lost:,} more characters are in results.json"]] if lost else shown

    @property
    def longest(self) -> int:
        """Return the number of characters that a value may have now."""
        return LONGEST if self._written < self._many else self._longest_of_many

    def count(self, text: str) -> str:
        """Return a text that was cut elsewhere, and count its characters."""
        self._written += len(text)
        return text


def _field(name: str, text: str, *, is_first: bool) -> Iterator[Node]:
    if not is_first:
        yield "\n"
    yield ["b", "", name[:200]]
    yield f"\n{text}" if "\n" in text else f"  {text}"


def _plain(value: Any) -> Any:
    """Return a value as read back from results.json."""
    if isinstance(value, str):
        return value
    known = dict(value) if isinstance(value, Mapping) else value
    if isinstance(known, dict) and {*map(type, known), *map(type, known.values())} <= {str}:
        return known
    return _DECODER.decode(_ENCODER.encode(known))


def _json(value: Any) -> str:
    """Return JSON, on a single line if it is short."""
    short = _ENCODER.encode(value)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)
