"""Read the records of a CSV file as spreadsheets write it: the separator, empty records, and quotes that are broken."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TextIO

from evalwire.datasets.rows import is_blank

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

_SEPARATORS = (",", ";", "\t")

_EXCEL = re.compile(r'"?sep=(?P<separator>[^\r\n])"?[,;\t\r\n]*', re.IGNORECASE)


class Record(NamedTuple):
    """One record of a CSV file.

    Attributes:
        line: the line of the file in which it begins, from 1.
        cells: empty where it cannot be read.
        problem: why it cannot be read.
    """

    line: int
    cells: list[str]
    problem: str = ""


def read_records(file: TextIO, columns: Collection[str], separator: str | None) -> Iterator[Record]:
    """Read the records that hold anything; the one that cannot be read is the last.

    Args:
        file: the text, with its line ends as they are.
        columns: what the header is expected to have, by which the separator is found.
        separator: what is between two cells; None to find it.
    """
    csv.field_size_limit(2**31 - 1)
    lines, skipped = _after_blank_lines(file)
    first = next(lines, "")
    likely: Sequence[str] = _SEPARATORS
    if found := _EXCEL.fullmatch(first):
        likely, skipped, first = (found["separator"], *likely), skipped + 1, next(lines, "")
    separator = separator or _separator_of(first, columns, likely)
    records = csv.reader(chain([first], lines), strict=True, delimiter=separator)
    while True:
        line = skipped + records.line_num + 1
        try:
            cells = next(records, None)
        except csv.Error as error:  # where the next record begins is unknown
            yield Record(line, [], _problem(error, line, skipped + records.line_num))
            return
        if cells is None:
            return
        if not all(map(is_blank, cells)):
            yield Record(line, cells)


def _after_blank_lines(file: Iterable[str]) -> tuple[Iterator[str], int]:
    """Return the lines from the first one that holds anything, and how many are before it."""
    lines = iter(file)
    for skipped, line in enumerate(lines):
        if not all(is_blank(part) for part in re.split("[,;\t]", line)):
            return chain([line], lines), skipped
    return iter(()), 0


def _separator_of(header: str, columns: Collection[str], likely: Sequence[str]) -> str:
    """Return the separator by which a header has most of the columns; the first where none has more."""

    def count(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=separator), [])
        return len(set(columns).intersection(cells)), len(cells)

    return max(likely, key=count)


def _problem(error: csv.Error, begun: int, reached: int) -> str:
    """Say what is wrong with the quotes of a record, from the line in which it begins to the one that was read last."""
    opened = f"the quote that line {begun} opens is never closed"
    doubled = 'a quote inside of a quoted cell is not doubled: write ""'
    if "unexpected end" in str(error):
        return opened
    if "expected after" not in str(error):
        return f"is not valid CSV ({error})"
    return doubled if begun == reached else f"{opened}, or {doubled}"
