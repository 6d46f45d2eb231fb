"""Note tags and ids that are probably not meant as they are written."""

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
    """Say what is odd in the name of a dataset.

    Args:
        tag: the name.
        delimiter: what separates several tags in a cell.
        earlier: other names and their rows, by how they look: see `look_of`.
    """
    if re.fullmatch(r"\[.*\]|\(.*\)|\{.*\}", tag):
        yield f"the tag {tag!r} is written like a list; separate tags by {delimiter!r}"
    elif found := next((mark for mark in _SEPARATORS if mark in tag), None):
        yield f"the tag {tag!r} has {found!r} in it; if it is meant as several tags, separate them by {delimiter!r}"
    if hidden := [character for character in tag if character not in without_invisible(tag)]:
        yield f"the tag {without_invisible(tag)!r} has a character that is not shown, U+{ord(hidden[0]):04X}"
    elif look_of(tag) in earlier:
        other, row = earlier[look_of(tag)]
        yield f"the tag {tag!r} looks like {other!r} of row {row}, and is another dataset"


def look_of(tag: str) -> str:
    """Return what people see of a tag: neither case nor kind of space, dash or character without width."""
    text = unicodedata.normalize("NFKC", without_invisible(tag)).casefold()
    return re.sub(r"[\s_-]+", " ", text).strip()


def is_phoenix_id(text: str) -> bool:
    """Check whether an ID is one that Phoenix itself gives to examples."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    return _PHOENIX_ID.fullmatch(decoded) is not None
