"""Turn text into comparable terms."""

from __future__ import annotations

import re

_WORD = re.compile(r"[a-z0-9]+")
_ENDINGS = ("ing", "ed", "es", "s")
_SHORTEST_STEM = 3
_STOP_WORDS = frozenset(
    _WORD.findall("""
    a about after again all also am an and any are as at be been before but by can could did do does
    don for from get got had has have hi how i if in into is it its just me more my no not now of on
    or our out please s should so some t than that the their them then there they this to up us
    want was we were what when where which who why will with would you your
    """),
)


def terms(text: str) -> list[str]:
    """Return the stemmed words of `text` in order, without stop words."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    """Remove a common English ending if enough of the word remains."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) > _SHORTEST_STEM else word
