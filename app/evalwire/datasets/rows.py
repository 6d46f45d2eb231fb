"""Rows of a testset, and what is wrong with them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Severity = Literal["file", "row", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a CSV file mean what. A file of JSON lines has its own names and uses `delimiter` alone.

    Attributes:
        inputs: become each example's input.
        outputs: become its expected output.
        tags: names the datasets that a row is in.
        delimiter: separates the tags in one cell, and the items of `lists`.
        lists: outputs that hold several items in one cell. None for each cell that has the delimiter between spaces.
        id: names the example, over all versions of its dataset, where the file has this column.
        split: the splits of the dataset that the row is in, where the file has this column.
        separator: the character between two cells; None to find it by the header.
    """

    inputs: Sequence[str] = ("user_query",)
    outputs: Sequence[str] = ("expected_output",)
    tags: str = "tags"
    delimiter: str = "|"
    lists: Sequence[str] | None = None
    id: str = "id"
    split: str = "split"
    separator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One example of one or more datasets.

    Attributes:
        number: from 1; the header of a CSV file is not counted, an empty line of JSON lines is.
        tags: the datasets it is in, each once.
        splits: None where the file has no splits.
        made_lists: outputs whose text became a list without being asked for.
    """

    number: int
    tags: Sequence[str]
    id: str | None
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    metadata: Mapping[str, Any]
    splits: Sequence[str] | None
    made_lists: Sequence[str] = ()

    @property
    def content_hash(self) -> str:
        """As that of the example that becomes of it."""
        return content_hash(self.input, self.output, self.metadata)


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong with a file; `row` is None where it is wrong as a whole."""

    row: int | None
    message: str
    severity: Severity
    advice: str = ""

    def __str__(self) -> str:
        return self.message if self.row is None else f"row {self.row}: {self.message}"


def is_unicode(value: str) -> bool:
    """Check whether a text can be encoded: no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_blank(value: str) -> bool:
    """Check whether a text shows nothing: neither a space nor a character that has no width."""
    shown = value.strip()
    return not shown or (unicodedata.category(shown[0]) == "Cf" and not without_invisible(shown).strip())


def without_invisible(value: str) -> str:
    """Return a text without the characters that have no width, such as U+200B."""
    return "".join(character for character in value if unicodedata.category(character) != "Cf")


def split_cell(cell: str, delimiter: str) -> list[str]:
    """Return the values that a cell lists."""
    return [item.strip() for item in cell.split(delimiter) if item.strip()]


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Return the items without repeats, in their order."""
    return tuple(dict.fromkeys(items))
