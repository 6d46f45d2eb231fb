"""Compress the data of the runs for the page, whose script unpacks a block when it is needed.

The text of long or many runs is split at spaces, and each common word becomes one or two bytes. The result is
compressed with Deflate, at a low level, because a higher level saves only a few percent. Prose becomes about an eighth
of its size. Other texts are only compressed, which takes a third of the time, and half as much again of the size.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterable

_SINGLE = 224  # codes of a byte: 1 to 223; the first byte of two: 224 to 255
_DOUBLE = (256 - _SINGLE) * 256
_LITERAL, _END = b"\x00", b"\xff"  # around words without a code; neither byte is in the UTF-8 of JSON
_LONGEST_WORD = 60
_LEVEL = 3
_MOST_KNOWN = 100_000  # words whose bytes are remembered


class Book:
    """The codes of common words.

    Args:
        samples: texts, as UTF-8, that resemble the texts to pack.
    """

    def __init__(self, samples: Iterable[bytes]) -> None:
        counts: Counter[bytes] = Counter()
        for sample in samples:
            counts.update(sample.split(b" "))
        common = counts.most_common(_SINGLE - 1 + _DOUBLE)
        self.words = [word for word, count in common if count > 1 and len(word) <= _LONGEST_WORD and b"\n" not in word]
        self._codes = _Codes((word, _code(place)) for place, word in enumerate(self.words))

    def packed_words(self) -> str:
        """Return the words in the order of their codes, compressed."""
        deflate = _deflate()
        return _text(deflate.compress(b"\n".join(self.words)), deflate.flush())

    def coded(self, text: bytes) -> bytes:
        """Return text with codes for words; without codes, all of the text is a literal."""
        if not self.words:
            return _LITERAL + text + _END
        return b"".join(map(self._codes.__getitem__, text.split(b" ")))


class Pack:
    """JSON texts that are compressed together, one after the other; the unpacked text has a space between them."""

    def __init__(self, book: Book) -> None:
        self._coded = book.coded
        self._deflate = _deflate()
        self._found: list[bytes] = []

    def add(self, text: bytes) -> None:
        """Compress another text."""
        if compressed := self._deflate.compress(self._coded(text)):
            self._found.append(compressed)

    def text(self) -> str:
        """Return all texts in base64; nothing can be added afterwards."""
        return _text(*self._found, self._deflate.flush())


class _Codes(dict[bytes, bytes]):
    def __missing__(self, word: bytes) -> bytes:
        code = _LITERAL + word + _END
        if len(self) < _MOST_KNOWN and len(word) <= _LONGEST_WORD:
            self[word] = code
        return code


def _code(place: int) -> bytes:
    if place < _SINGLE - 1:
        return bytes([place + 1])
    first, second = divmod(place - (_SINGLE - 1), 256)
    return bytes([_SINGLE + first, second])


def _deflate() -> zlib._Compress:
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)


def _text(*compressed: bytes) -> str:
    return base64.b64encode(b"".join(compressed)).decode()
