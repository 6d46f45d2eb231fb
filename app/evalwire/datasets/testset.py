"""Read and check testset files of any size, as a stream.

A `file` issue (a missing column, a ragged row, invalid UTF-8) rejects the whole file. A `row` issue skips that row. A
`note` skips nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from evalwire.datasets.csv_rows import read_csv
from evalwire.datasets.file_kind import is_json_lines, problem_of_kind
from evalwire.datasets.json_lines import read_json_lines
from evalwire.datasets.notes import is_phoenix_id, look_of, notes_on_tag
from evalwire.datasets.rows import Columns, Issue, Row, Severity
from evalwire.errors import TestsetError, TestsetNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_MOST_SHOWN = 100

_MOST_ROWS = 5

_PHOENIX_IDS = (
    "If the dataset does not contain these examples, the column does not have their IDs: "
    'write id_column = "" under [dataset] in evalwire.toml.'
)

_OTHER_IDS = 'If that column does not have IDs of examples, write id_column = "" under [dataset] in evalwire.toml.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A summary of a file, without the rows.

    Attributes:
        sizes: number of examples by dataset, in order of first appearance.
        issues: the issues, in the file's order.
        made_lists: numbers of the rows whose text became a list although `Columns.lists` is not set, by column.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    issues: Sequence[Issue] = ()
    made_lists: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def of(self, *severities: Severity) -> list[Issue]:
        """Return the issues with these severities; all issues without arguments."""
        return [issue for issue in self.issues if issue.severity in (severities or get_args(Severity))]


def inspect_testset(path: Path, columns: Columns) -> Inspection:
    """Read the whole file once, without keeping rows in memory.

    Raises:
        TestsetError: the file is missing, or cannot be read.
    """
    seen = _Seen(columns)
    for found in _read(path, columns):
        if isinstance(found, Issue):
            seen.issues.append(found)
        else:
            seen.add(found)
    if not seen.sizes and not seen.issues:
        seen.issues.append(Issue(None, "has no rows", "note"))
    return Inspection(sizes=seen.sizes, issues=tuple(seen.issues), made_lists=seen.made_lists)


class _Seen:
    """A collector for the sizes, IDs and issues of a file, fed row by row without keeping the rows."""

    def __init__(self, columns: Columns) -> None:
        self.sizes: dict[str, int] = {}
        self.issues: list[Issue] = []
        self.made_lists: dict[str, list[int]] = {}
        self._columns = columns
        self._looks: dict[str, tuple[str, int]] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._contents: dict[tuple[str | None, str, tuple[str, ...]], int] = {}
        self._has_phoenix_ids = False

    def add(self, row: Row) -> None:
        for tag in row.tags:
            if tag not in self.sizes:
                for note in notes_on_tag(tag, self._columns.delimiter, self._looks):
                    self.issues.append(Issue(row.number, note, "note"))
                self._looks.setdefault(look_of(tag), (tag, row.number))
            self.sizes[tag] = self.sizes.get(tag, 0) + 1
        for name in row.made_lists:
            self.made_lists.setdefault(name, []).append(row.number)
        if row.id is not None:
            self._check_id(row.id, row)
        key = (row.id, row.content_hash, tuple(row.tags))
        if (first := self._contents.setdefault(key, row.number)) != row.number and row.id is None:
            self.issues.append(Issue(row.number, f"duplicate of row {first}", "note"))

    def _check_id(self, name: str, row: Row) -> None:
        for tag in row.tags:
            if (first := self._ids.setdefault((tag, name), row.number)) != row.number:
                message = f"its ID {name!r} is also the ID of row {first} in the dataset {tag!r}"
                self.issues.append(Issue(row.number, message, "file", _OTHER_IDS))
        if not self._has_phoenix_ids and is_phoenix_id(name):
            self._has_phoenix_ids = True
            message = f"its ID {name!r} was assigned by Phoenix, as in an export"
            self.issues.append(Issue(row.number, message, "note", _PHOENIX_IDS))


def read_rows(path: Path, columns: Columns, tag: str) -> Iterator[Row]:
    """Yield the rows of a dataset, in the file's order.

    Raises:
        TestsetError: the file cannot be read, or changed since it was inspected.
    """
    for found in _read(path, columns):
        if isinstance(found, Row):
            if tag in found.tags:
                yield found
        elif found.severity == "file":
            raise TestsetError(f"{path}: {found}. The file changed while it was read. Try again.")


def check_testset(path: Path, columns: Columns, *, strict: bool = False) -> Inspection:
    """Inspect a file before an upload.

    Args:
        path: the file.
        columns: the meaning of the columns.
        strict: whether `row` issues and notes also prevent the upload.

    Raises:
        TestsetError: the file cannot be uploaded; the message lists every problem.
    """
    inspection = inspect_testset(path, columns)
    problems = inspection.issues if strict else inspection.of("file")
    if problems:
        lines = "\n  ".join(describe_issues(problems, is_uploaded=False))
        advice = "".join(f"\n{text}" for text in dict.fromkeys(issue.advice for issue in problems) if text)
        raise TestsetError(f"{path} is not uploaded:\n  {lines}{advice}")
    return inspection


def describe_issues(issues: Sequence[Issue], *, is_uploaded: bool = True) -> Iterator[str]:
    """Yield lines that describe the first issues, with rows grouped by note, and the number of further lines."""
    rows: dict[str, list[int]] = {}
    for issue in issues:
        if issue.severity == "note" and issue.row is not None:
            rows.setdefault(issue.message, []).append(issue.row)
    lines: dict[str, None] = {}
    for issue in issues:
        noted = rows.get(issue.message, ()) if issue.severity == "note" else ()
        line = f"{_rows(noted)}: {issue.message}" if len(noted) > 1 else str(issue)
        lines[f"{line}, left out" if is_uploaded and issue.severity == "row" else line] = None
    yield from list(lines)[:_MOST_SHOWN]
    if len(lines) > _MOST_SHOWN:
        yield f"and {len(lines) - _MOST_SHOWN} more; `evalwire validate` lists all"


def describe_upload(inspection: Inspection, columns: Columns) -> Iterator[str]:
    """Yield lines that describe a file before its upload: issues, and cells that became lists."""
    yield from describe_issues(inspection.issues)
    yield from describe_lists(inspection, columns)


def _rows(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_ROWS])) + (", ..." if len(numbers) > _MOST_ROWS else "")
    return f"{len(numbers)} rows ({shown})" if len(numbers) > 1 else f"row {shown}"


def describe_lists(inspection: Inspection, columns: Columns) -> Iterator[str]:
    """Yield a line for each column in which cells became lists although `Columns.lists` is not set."""
    for name, rows in inspection.made_lists.items():
        yield (
            f"{name} became a list in {_rows(rows)}, split at ' {columns.delimiter.strip()} '. "
            f"To confirm, write split_columns = [{json.dumps(name)}] under [dataset] in evalwire.toml; "
            "to keep the text, write split_columns = []."
        )


def _read(path: Path, columns: Columns) -> Iterator[Row | Issue]:
    try:
        if problem := problem_of_kind(path):
            yield problem
            return
        read = read_json_lines if is_json_lines(path) else read_csv
        # invalid bytes become lone surrogates, so that messages can name their rows
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from read(text, columns)
    except OSError as error:
        kind = TestsetNotFound if isinstance(error, FileNotFoundError) else TestsetError
        raise kind(f"the testset {path} cannot be read: {error.strerror or error}.") from error
