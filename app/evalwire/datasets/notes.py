"""Notes on tags and IDs that are probably mistakes."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping

from evalwire.datasets.rows import without_invisible

_PHOENIX_ID = re.compile(r"[A-Za-z]+:\d+")

_SEPARATORS = ",;|"


def notes_on_tag(tag: str, delimiter: str, earlier: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """Yield a note for each likely mistake in the name of a dataset.

    Args:
        tag: the name.
        delimiter: the text between several tags in a cell.
        earlier: other names and their rows, by `look_of` of the name.
    """
    if re.fullmatch(r"\[.*\]|\(.*\)|\{.*\}", tag):
        yield f"the tag {tag!r} looks like a list; separate tags with {delimiter!r}"
    elif found := next((mark for mark in _SEPARATORS if mark in tag), None):
        yield f"the tag {tag!r} contains {found!r}; to write several tags, separate them with {delimiter!r}"
    if hidden := [character for character in tag if character not in without_invisible(tag)]:
        yield f"the tag {without_invisible(tag)!r} contains the invisible character U+{ord(hidden[0]):04X}"
    elif look_of(tag) in earlier:
        other, row = earlier[look_of(tag)]
        yield f"the tag {tag!r} looks like {other!r} in row {row}, but is a different dataset"


def look_of(tag: str) -> str:
    """Return a tag without the differences that are easily overlooked: case, spaces, dashes, invisible characters."""
    text = unicodedata.normalize("NFKC", without_invisible(tag)).casefold()
    return re.sub(r"[\s_-]+", " ", text).strip()


def is_phoenix_id(text: str) -> bool:
    """Check whether an ID has the form of the IDs that Phoenix assigns to examples."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    return _PHOENIX_ID.fullmatch(decoded) is not None
