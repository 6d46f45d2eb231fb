"""A testset file -> its rows, and every problem with its row number; read as a stream, however large.

A problem of the file as a file (a missing column, a ragged row, bytes that are no UTF-8) means that none of it can be
trusted; a problem of a single row leaves that row out; a note leaves nothing out.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from evalwire.errors import TestsetError, TestsetNotFound
from evalwire.model import content_hash

Severity = Literal["file", "row", "note"]

_MOST_SHOWN = 100
_LINES = (".jsonl", ".ndjson")
_OTHER_IDS = 'If that column holds no ids of examples, say so in evalwire.toml: id_column = "" under [dataset].'
_KEYS = ("id", "input", "output", "metadata", "tags", "split")  # of a line of JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a CSV file mean what. A file of JSON lines has its own names and uses `delimiter` alone.

    Attributes:
        inputs: become each example's input.
        outputs: become its expected output.
        tags: names the datasets that a row is in.
        delimiter: separates the tags in one cell, and the items of `lists`.
        lists: outputs that hold several items in one cell.
        id: names the example, over all versions of its dataset, where the file has this column.
        split: the splits of the dataset that the row is in, where the file has this column.
    """

    inputs: Sequence[str] = ("user_query",)
    outputs: Sequence[str] = ("expected_output",)
    tags: str = "tags"
    delimiter: str = "|"
    lists: Sequence[str] = ()
    id: str = "id"
    split: str = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One example of one or more datasets.

    Attributes:
        number: from 1; the header of a CSV file is not counted, an empty line of JSON lines is.
        tags: the datasets it is in, each once.
        splits: None where the file has no splits.
    """

    number: int
    tags: Sequence[str]
    id: str | None
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    metadata: Mapping[str, Any]
    splits: Sequence[str] | None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a file holds, without its rows.

    Attributes:
        sizes: how many examples each dataset has; datasets in the order in which they first appear.
        issues: in the file's order.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    issues: Sequence[Issue] = ()

    def of(self, *severities: Severity) -> list[Issue]:
        """The issues of these severities, else all."""
        return [issue for issue in self.issues if issue.severity in (severities or get_args(Severity))]


def inspect(path: Path, columns: Columns) -> Inspection:
    """Read the whole file once, and hold none of its contents.

    Raises:
        TestsetError: the file is missing, or cannot be read.
    """
    sizes: dict[str, int] = {}
    issues: list[Issue] = []
    ids: dict[tuple[str, str], int] = {}
    contents: dict[tuple[str | None, str, tuple[str, ...]], int] = {}
    for found in _read(path, columns):
        if isinstance(found, Issue):
            issues.append(found)
            continue
        for tag in found.tags:
            sizes[tag] = sizes.get(tag, 0) + 1
            if found.id is not None and (first := ids.setdefault((tag, found.id), found.number)) != found.number:
                message = f"its id {found.id!r} is that of row {first}, in the dataset {tag!r}"
                issues.append(Issue(found.number, message, "file", _OTHER_IDS))
        key = (found.id, found.content_hash, tuple(found.tags))
        if (first := contents.setdefault(key, found.number)) != found.number and found.id is None:
            issues.append(Issue(found.number, f"the same as row {first}", "note"))
    if not sizes and not issues:
        issues.append(Issue(None, "has no rows", "note"))
    return Inspection(sizes=sizes, issues=tuple(issues))


def rows(path: Path, columns: Columns, tag: str) -> Iterator[Row]:
    """The rows of one dataset, in the file's order.

    Raises:
        TestsetError: the file cannot be read, or not as a whole, though it could when it was inspected.
    """
    for found in _read(path, columns):
        if isinstance(found, Row):
            if tag in found.tags:
                yield found
        elif found.severity == "file":
            raise TestsetError(f"{path}: {found}. The file was changed while it was read; try again.")


def check(path: Path, columns: Columns, *, strict: bool = False) -> Inspection:
    """Inspect a file that is to be uploaded.

    Args:
        path: the file.
        columns: what its columns mean.
        strict: whether problems of single rows, and notes, are reasons not to upload it.

    Raises:
        TestsetError: it cannot be uploaded as it is; the message has every problem.
    """
    inspection = inspect(path, columns)
    problems = inspection.issues if strict else inspection.of("file")
    if problems:
        lines = "\n  ".join(listed(problems, is_uploaded=False))
        advice = "".join(f"\n{text}" for text in dict.fromkeys(issue.advice for issue in problems) if text)
        raise TestsetError(f"{path} is not uploaded:\n  {lines}{advice}")
    return inspection


def listed(issues: Sequence[Issue], *, is_uploaded: bool = True) -> Iterator[str]:
    """Issues for people: of very many the first, and how many more there are."""
    for issue in issues[:_MOST_SHOWN]:
        yield f"{issue}, left out" if is_uploaded and issue.severity == "row" else str(issue)
    if len(issues) > _MOST_SHOWN:
        yield f"and {len(issues) - _MOST_SHOWN} more; `evalwire validate` lists all"


def _read(path: Path, columns: Columns) -> Iterator[Row | Issue]:
    try:
        with path.open("rb") as file:
            start = file.read(2)
        # a file in UTF-16 would only be a thousand rows that are not UTF-8
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            yield Issue(None, "is in UTF-16", "file", "Save it as UTF-8.")
            return
        read = _read_lines if path.suffix.lower() in _LINES else _read_csv
        # wrong bytes become lone surrogates, so that each row that has some can be named
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from read(text, columns)
    except OSError as error:
        kind = TestsetNotFound if isinstance(error, FileNotFoundError) else TestsetError
        raise kind(f"the testset {path} cannot be read: {error.strerror or error}.") from error


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- CSV -----------------------------------------------------------------------------------------------


def _read_csv(file: TextIO, columns: Columns) -> Iterator[Row | Issue]:
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
    if not all(map(_is_text, header)):
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
    """What is wrong with a row as a row of a file."""
    if cells and len(cells) != len(header):
        return f"{len(cells)} cells, the header has {len(header)}"
    if not all(map(_is_text, cells)):
        return "is not UTF-8; save the file as UTF-8"
    return None


def _of_record(number: int, record: Mapping[str, str], columns: Columns) -> Iterator[Row | Issue]:
    used = {*columns.inputs, *columns.outputs, columns.tags}
    tags = _unique(_items(record.get(columns.tags, ""), columns.delimiter))
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
            name: _items(record[name], columns.delimiter) if name in columns.lists else record[name]
            for name in columns.outputs
        },
        metadata={},
        splits=_unique(_items(record[columns.split], columns.delimiter)) if has_splits else None,
    )


def _items(cell: str, delimiter: str) -> list[str]:
    """What a cell lists."""
    return [item.strip() for item in cell.split(delimiter) if item.strip()]


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


# --- JSON lines ----------------------------------------------------------------------------------------


def _read_lines(file: TextIO, columns: Columns) -> Iterator[Row | Issue]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield from _of_object(number, _parse(line.rstrip("\r\n")), columns)
        except ValueError as error:
            yield Issue(number, str(error), "file")


def _parse(line: str) -> dict[str, Any]:
    """The object of a line, or a ValueError that says why Phoenix could not hold it."""
    if not _is_text(line):
        raise ValueError("is not UTF-8; save the file as UTF-8")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            twice = next(key for key in made if sum(key == other for other, _ in found) > 1)
            raise ValueError(f"has {twice!r} twice")
        return made

    def refuse(constant: str) -> float:
        raise ValueError(f"has {constant}, which is no JSON")

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text)

    try:
        found = json.loads(line, object_pairs_hook=pairs, parse_constant=refuse, parse_float=number)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    if not _is_text(json.dumps(found, ensure_ascii=False)):
        raise ValueError("has half of a surrogate pair, which is no text")
    return found


def _of_object(number: int, found: Mapping[str, Any], columns: Columns) -> Iterator[Row | Issue]:
    for key in found:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            raise ValueError(
                f"unknown key {key!r}; " + (f"perhaps {close[0]!r}" if close else f"known: {', '.join(_KEYS)}")
            )
    parts = {key: {} if found.get(key) is None else found[key] for key in ("input", "output", "metadata")}
    for key, value in parts.items():
        if not isinstance(value, dict):
            raise ValueError(f"{key!r} is no JSON object")
    tags, splits = (_texts(found, key, columns.delimiter) for key in ("tags", "split"))
    id_ = found.get("id")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise ValueError("'id' is no text")
    problems = [] if tags else ["empty tag in 'tags'"]
    if all(_is_blank(value) for value in parts["output"].values()):
        problems.append("empty expected output in 'output'")
    for message in problems:
        yield Issue(number, message, "row")
    if all(_is_blank(value) for value in parts["input"].values()):
        yield Issue(number, "empty input in 'input'", "note")
    if not problems:
        name = "" if id_ is None else str(id_).strip()
        yield Row(number=number, tags=tags or (), id=name or None, splits=splits, **parts)


def _texts(found: Mapping[str, Any], key: str, delimiter: str) -> tuple[str, ...] | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return _unique(_items(value, delimiter))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key!r} is neither a text nor a list of texts")
    return _unique(item.strip() for item in value if item.strip())


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
