"""Yield the items of a JSON array that arrives in pieces, so that a large array is never held whole."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# NaN and infinities are not JSON; Python writes them all the same
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def items(parts: Iterable[bytes]) -> Iterator[Any]:
    """Yield the items of one array in UTF-8; NaN and infinities in it are None.

    Memory holds an item and about as much again, or a few parts, whichever is longer.

    Raises:
        json.JSONDecodeError: the document is not a JSON array, or ends too early.
        UnicodeDecodeError: the document is not UTF-8.
    """
    text = _Text(parts)
    text.take("[")
    if text.next == "]":
        text.take("]")
    else:
        yield text.value()
        while text.take(",]") == ",":
            yield text.value()
    if text.next:
        raise text.error("Extra data")


class _Text:
    """Text that is read as it is needed, and forgotten once it is passed."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._held = ""
        self._at = 0
        self._is_whole = False

    @property
    def next(self) -> str:
        """Return the next character that is not white space; an empty text at the end."""
        while True:
            self._at = _past_space(self._held, self._at)
            if self._at < len(self._held):
                return self._held[self._at]
            if self._is_whole:
                return ""
            self._read(1)

    def take(self, wanted: str) -> str:
        """Go past the next character, which has to be one of `wanted`, and return it."""
        found = self.next
        if not found or found not in wanted:
            raise self.error(f"Expecting {' or '.join(wanted)}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Go past the next value, and return it.

        A value is whole only when the character behind it is there: 1 may be the beginning of 1.5.
        """
        if not self.next:
            raise self.error("Expecting value")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError:
                if self._is_whole:
                    raise
            else:
                behind = _past_space(self._held, end)
                if self._held[behind : behind + 1] in (",", "]") or self._is_whole:
                    self._at = end
                    return value
            # twice as much each time: a long item would otherwise be decoded again for every part
            self._read(2 * (len(self._held) - self._at))

    def _read(self, wanted: int) -> None:
        """Read until this many characters lie ahead, or there are no more."""
        held = [self._held[self._at :]]
        self._at = 0
        length = len(held[0])
        while length < wanted and not self._is_whole:
            part = next(self._parts, None)
            self._is_whole = part is None
            held.append(self._decode(part or b"", final=self._is_whole))
            length += len(held[-1])
        self._held = "".join(held)

    def error(self, message: str) -> json.JSONDecodeError:
        """Return an error at this place."""
        return json.JSONDecodeError(message, self._held, self._at)


def _past_space(text: str, at: int) -> int:
    """Return the place behind the white space at a place."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
