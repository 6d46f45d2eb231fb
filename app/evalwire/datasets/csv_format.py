"""A reader for CSV records from spreadsheets: detects the separator, skips empty records and reports invalid quotes."""

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
    """A record of a CSV file.

    Attributes:
        line: the first line of the record, counted from 1.
        cells: the cells; empty if the record cannot be read.
        problem: the reason why the record cannot be read; empty if it can.
    """

    line: int
    cells: list[str]
    problem: str = ""


def read_records(file: TextIO, columns: Collection[str], separator: str | None) -> Iterator[Record]:
    """Yield the non-empty records; reading ends after a record with a problem.

    Args:
        file: the text, with unchanged line ends.
        columns: the expected columns, used to detect the separator.
        separator: the character between two cells; None to detect it.
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
    """Return the lines from the first non-empty line, and the number of skipped lines."""
    lines = iter(file)
    for skipped, line in enumerate(lines):
        if not all(is_blank(part) for part in re.split("[,;\t]", line)):
            return chain([line], lines), skipped
    return iter(()), 0


def _separator_of(header: str, columns: Collection[str], likely: Sequence[str]) -> str:
    """Return the separator that finds the most columns in a header; the first of several with the same count."""

    def count(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=separator), [])
        return len(set(columns).intersection(cells)), len(cells)

    return max(likely, key=count)


def _problem(error: csv.Error, first_line: int, last_line: int) -> str:
    """Describe a problem with the quotes of a record, given the lines that were read."""
    opened = f"the quote opened in line {first_line} is not closed"
    doubled = 'a quote inside a quoted cell is not doubled: write ""'
    if "unexpected end" in str(error):
        return opened
    if "expected after" not in str(error):
        return f"is not valid CSV ({error})"
    return doubled if first_line == last_line else f"{opened}, or {doubled}"
