"""Rows of a testset, and issues with them."""

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
    """The meaning of the columns of a CSV file. JSON Lines files have fixed keys and use only `delimiter`.

    Attributes:
        inputs: columns for the input of an example.
        outputs: columns for the expected output of an example.
        tags: column with the datasets of a row.
        delimiter: text between the tags in a cell, and between the items of `lists`.
        lists: output columns with several items in a cell; None to split every cell with the delimiter between spaces.
        id: optional column with the ID of the example, stable across dataset versions.
        split: optional column with the dataset splits of a row.
        separator: character between two cells; None to detect it from the header.
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
    """An example from a testset.

    Attributes:
        number: row number from 1, without a CSV header; empty lines count in JSON Lines.
        tags: the datasets of the row, without repeats.
        splits: the dataset splits of the row; None if the file has no splits.
        made_lists: output columns whose text became a list although `Columns.lists` is not set.
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
        """The content hash of the resulting example."""
        return content_hash(self.input, self.output, self.metadata)


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem with a row, or with the whole file if `row` is None."""

    row: int | None
    message: str
    severity: Severity
    advice: str = ""

    def __str__(self) -> str:
        return self.message if self.row is None else f"row {self.row}: {self.message}"


def is_unicode(value: str) -> bool:
    """Check whether a text can be encoded as UTF-8, which half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_blank(value: str) -> bool:
    """Check whether a text has only spaces and invisible characters."""
    shown = value.strip()
    return not shown or (unicodedata.category(shown[0]) == "Cf" and not without_invisible(shown).strip())


def without_invisible(value: str) -> str:
    """Return a text without invisible characters, such as U+200B."""
    return "".join(character for character in value if unicodedata.category(character) != "Cf")


def split_cell(cell: str, delimiter: str) -> list[str]:
    """Return the values that a cell lists."""
    return [item.strip() for item in cell.split(delimiter) if item.strip()]


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Return the items without repeats, in the order of first appearance."""
    return tuple(dict.fromkeys(items))
