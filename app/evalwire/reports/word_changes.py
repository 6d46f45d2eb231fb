"""Find the words in which two texts differ, and the part of a long text that shows the difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby

Words = list[tuple[str, bool]]  # pieces of a text, and whether the other text does not have them

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_MOST_WORDS = 2_000  # of the differing parts to compare in detail
_CONTEXT = 40  # characters to show before the first difference


def changed_words(before: str, after: str) -> tuple[Words, Words]:
    """Return two texts in pieces, each with whether it differs from the other text.

    Only the first 2,000 words between the equal beginning and the equal end of both texts are compared in detail.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    middles = old[start : len(old) - end], new[start : len(new) - end]
    marks = tuple([True] * len(middle) for middle in middles)
    matcher = SequenceMatcher(a=middles[0][:_MOST_WORDS], b=middles[1][:_MOST_WORDS])  # ignores frequent words
    for block in matcher.get_matching_blocks():
        for mark, place in zip(marks, (block.a, block.b), strict=True):
            mark[place : place + block.size] = [False] * block.size
    return (
        _joined(old, [*[False] * start, *marks[0], *[False] * end]),
        _joined(new, [*[False] * start, *marks[1], *[False] * end]),
    )


def excerpt(words: Words, length: int) -> Words:
    """Return the part of a text with its first difference, of about `length` characters, with ellipses for the rest."""
    total = sum(len(text) for text, _ in words)
    if total <= length:
        return words
    first = 0
    for text, is_changed in words:
        if is_changed:
            break
        first += len(text)
    start = max(0, min(first - _CONTEXT, total - length))
    shown: Words = [("…", False)] if start else []
    place = 0
    for text, is_changed in words:
        part = text[max(0, start - place) : max(0, start + length - place)]
        if part:
            shown.append((part, is_changed))
        place += len(text)
    return [*shown, ("…", False)] if start + length < total else shown


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the number of equal words at the start of two texts."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (word, other) in pairs if word != other), min(len(first), len(second)))


def _joined(words: Sequence[str], marks: Sequence[bool]) -> Words:
    return list(_groups(words, marks))


def _groups(words: Sequence[str], marks: Sequence[bool]) -> Iterator[tuple[str, bool]]:
    for is_changed, group in groupby(zip(words, marks, strict=True), key=lambda pair: pair[1]):
        yield "".join(word for word, _ in group), is_changed
