"""Read the rows of a CSV file."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, TextIO

from evalwire.datasets.rows import Columns, Issue, Row, is_unicode, split_cell, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def read_csv(file: TextIO, columns: Columns) -> Iterator[Row | Issue]:
    """Read the rows of a CSV file, and every problem with its row."""
    csv.field_size_limit(2**31 - 1)
    records = csv.reader(file, strict=True)
    try:
        header = next(records, [])
    except csv.Error as error:
        yield Issue(None, f"the header is not valid CSV ({error})", "file")
        return
    yield from _problems_of_header(header, columns)
    number = 0
    try:
        for number, cells in enumerate(filter(None, records), start=1):  # an empty line is no row
            if problem := _problem(cells, header):
                yield Issue(number, problem, "file")
            else:
                yield from _of_record(number, dict(zip(header, cells, strict=True)), columns)
    except csv.Error as error:  # what follows cannot be told apart
        yield Issue(number + 1, f"is not valid CSV ({error})", "file")


def _problems_of_header(header: Sequence[str], columns: Columns) -> Iterator[Issue]:
    wanted = list(dict.fromkeys([*columns.inputs, *columns.outputs, columns.tags]))
    advice = f"Its columns are: {', '.join(header) or 'none'}. Rename them, or name yours with --input-keys, "
    advice += "--output-keys and --tag-column."
    if not all(map(is_unicode, header)):
        advice = "Its header is not UTF-8; save the file as UTF-8."
    elif len(header) == 1 and (other := next((mark for mark in ";\t" if mark in header[0]), None)):
        advice = f"Its columns are separated by {other!r}; save the file with commas."
    usual = Columns()
    asked = {columns.id, columns.split} - {"", usual.id, usual.split}
    for name in dict.fromkeys([*wanted, *sorted(asked)]):
        if name not in header:
            yield Issue(None, f"missing column: {name}", "file", advice)
    for name in columns.lists:
        if name not in columns.outputs:
            yield Issue(None, f"split_columns names no output column: {name}", "file")
    for name in dict.fromkeys([*wanted, columns.id, columns.split]):
        if header.count(name) > 1:
            yield Issue(None, f"more than one column: {name}", "file")


def _problem(cells: Sequence[str], header: Sequence[str]) -> str | None:
    """Return the problem of a row as a row of a file, if it has one."""
    if cells and len(cells) != len(header):
        return f"{len(cells)} cells, the header has {len(header)}"
    if not all(map(is_unicode, cells)):
        return "is not UTF-8; save the file as UTF-8"
    if any("\0" in cell for cell in cells):
        return "has a text with a NUL character, which Phoenix does not store on PostgreSQL; remove it"
    return None


def _of_record(number: int, record: Mapping[str, str], columns: Columns) -> Iterator[Row | Issue]:
    used = {*columns.inputs, *columns.outputs, columns.tags}
    tags = unique(split_cell(record.get(columns.tags, ""), columns.delimiter))
    is_tagged = tags or columns.tags not in record
    problems = [] if is_tagged else [f"empty tag in column {columns.tags!r}"]
    blank = [name for name in columns.outputs if name in record and not record[name].strip()]
    without_output = [f"empty expected output in column {name!r}" for name in blank]
    if len(blank) == len(columns.outputs):
        problems += without_output
        without_output = []
    for message in problems:
        yield Issue(number, message, "row")
    for message in [
        *without_output,
        *(f"empty input in column {n!r}" for n in columns.inputs if not record.get(n, "-").strip()),
    ]:
        yield Issue(number, message, "note")
    if problems or not used.issubset(record):
        return
    id_ = "" if columns.id in used else record.get(columns.id, "")
    has_splits = columns.split in record and columns.split not in used
    yield Row(
        number=number,
        tags=tags,
        id=id_.strip() or None,
        input={name: record[name] for name in columns.inputs},
        output={
            name: split_cell(record[name], columns.delimiter) if name in columns.lists else record[name]
            for name in columns.outputs
        },
        metadata={},
        splits=unique(split_cell(record[columns.split], columns.delimiter)) if has_splits else None,
    )
