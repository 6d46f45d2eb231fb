"""A streaming parser for large JSON arrays."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# NaN and infinities are not valid JSON, but Python writes them
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def items(parts: Iterable[bytes]) -> Iterator[Any]:
    """Yield the items of an array in UTF-8; NaN and infinities become None.

    The memory in use is about twice the largest item, or a few parts if that is more.

    Raises:
        json.JSONDecodeError: the document is not a JSON array, or is truncated.
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
    """Text that is read on demand and discarded after use."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._held = ""
        self._at = 0
        self._is_whole = False

    @property
    def next(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            self._at = _past_space(self._held, self._at)
            if self._at < len(self._held):
                return self._held[self._at]
            if self._is_whole:
                return ""
            self._read(1)

    def take(self, wanted: str) -> str:
        """Consume and return the next character, which must be in `wanted`."""
        found = self.next
        if not found or found not in wanted:
            raise self.error(f"Expecting {' or '.join(wanted)}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Consume and return the next value.

        A value is complete only if the next character is known: 1 may be the start of 1.5.
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
            # doubling limits how often a long item is decoded again
            self._read(2 * (len(self._held) - self._at))

    def _read(self, wanted: int) -> None:
        """Read until this many characters are available, or the end is reached."""
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
        """Return an error for the current position."""
        return json.JSONDecodeError(message, self._held, self._at)


def _past_space(text: str, at: int) -> int:
    """Return the position after the white space at a position."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
