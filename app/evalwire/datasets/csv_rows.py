"""A reader for the rows of a CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from evalwire.datasets.csv_format import read_records
from evalwire.datasets.rows import Columns, Issue, Row, is_blank, is_unicode, split_cell, unique, without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def read_csv(file: TextIO, columns: Columns) -> Iterator[Row | Issue]:
    """Yield the rows of a CSV file, and each problem with its row."""
    wanted = unique([*columns.inputs, *columns.outputs, columns.tags])
    records = read_records(file, wanted, columns.separator)
    first = next(records, None)
    if first is None or first.problem:
        yield Issue(None, f"the header cannot be read: {first.problem}" if first else "is empty", "file")
        return
    header = first.cells
    yield from _problems_of_header(header, wanted, columns)
    for number, record in enumerate(records, start=1):
        cells = record.cells
        if all(map(is_blank, cells[len(header) :])):  # spreadsheets add separators after the last column
            cells = cells[: len(header)]
        if problem := record.problem or _problem(cells, header):
            yield Issue(number, problem, "file")
        else:
            yield from _of_record(number, dict(zip(header, cells, strict=True)), columns)


def _problems_of_header(header: Sequence[str], wanted: Sequence[str], columns: Columns) -> Iterator[Issue]:
    usual = Columns()
    asked = {columns.id, columns.split} - {"", usual.id, usual.split}
    for name in unique([*wanted, *sorted(asked)]):
        if name not in header:
            yield Issue(None, f"missing column: {name}", "file", _advice(header, name, columns))
    for name in columns.lists or ():
        if name not in columns.outputs:
            yield Issue(None, f"split_columns has a name that is not an output column: {name}", "file")
    for name in unique([*wanted, columns.id, columns.split]):
        if header.count(name) > 1:
            yield Issue(None, f"duplicate column: {name}", "file")


def _advice(header: Sequence[str], missing: str, columns: Columns) -> str:
    if not all(map(is_unicode, header)):
        return "Its header is not UTF-8; save the file as UTF-8."
    if like := [name for name in header if _plain(name) == _plain(missing)]:
        return f"{like[0]!r} is not {missing!r}: case, spaces and dashes matter."
    advice = f"The file's columns are: {', '.join(header)}. Rename them, or name yours with --input-keys, "
    advice += "--output-keys and --tag-column."
    if missing in columns.outputs and {*columns.inputs, columns.tags}.issubset(header):
        advice += " If no row has an expected output, write output_keys = [] under [dataset] in evalwire.toml."
    return advice


def _plain(name: str) -> str:
    return without_invisible(name).strip().casefold().replace(" ", "_").replace("-", "_")


def _problem(cells: Sequence[str], header: Sequence[str]) -> str | None:
    """Return the problem that makes a row unreadable, or None."""
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
    is_tagged = bool(tags) or columns.tags not in record
    if not is_tagged:
        yield Issue(number, f"empty tag in column {columns.tags!r}", "row")
    for name in _blank(columns.outputs, record):
        yield Issue(number, f"empty expected output in column {name!r}", "note")
    for name in _blank(columns.inputs, record):
        yield Issue(number, f"empty input in column {name!r}", "note")
    if not is_tagged or not used.issubset(record):
        return
    id_ = "" if columns.id in used else record.get(columns.id, "")
    has_splits = columns.split in record and columns.split not in used
    output = {name: _output(name, record[name], columns) for name in columns.outputs}
    yield Row(
        number=number,
        tags=tags,
        id=id_.strip() or None,
        input={name: record[name] for name in columns.inputs},
        output=output,
        metadata={},
        splits=unique(split_cell(record[columns.split], columns.delimiter)) if has_splits else None,
        made_lists=[name for name in output if columns.lists is None and isinstance(output[name], list)],
    )


def _blank(names: Sequence[str], record: Mapping[str, str]) -> list[str]:
    return [name for name in names if is_blank(record.get(name, "-"))]


def _output(name: str, cell: str, columns: Columns) -> str | list[str]:
    """Return an expected output, as a list if the column is in `lists` or the cell looks like a list."""
    if columns.lists is not None:
        return split_cell(cell, columns.delimiter) if name in columns.lists else cell
    items = split_cell(cell, f" {columns.delimiter.strip()} ")
    return items if len(items) > 1 else cell
