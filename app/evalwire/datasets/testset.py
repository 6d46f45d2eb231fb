"""A testset file -> its rows, and every problem with its row number; read as a stream, however large.

A problem of the file as a file (a missing column, a ragged row, bytes that are no UTF-8) means that none of it can be
trusted; a problem of a single row leaves that row out; a note leaves nothing out.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from evalwire.datasets.csv_rows import read_csv
from evalwire.datasets.json_lines import read_json_lines
from evalwire.datasets.rows import Columns, Issue, Row, Severity
from evalwire.errors import TestsetError, TestsetNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_MOST_SHOWN = 100

_LINES = (".jsonl", ".ndjson")

_OTHER_IDS = 'If that column holds no ids of examples, say so in evalwire.toml: id_column = "" under [dataset].'


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


def inspect_testset(path: Path, columns: Columns) -> Inspection:
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


def read_rows(path: Path, columns: Columns, tag: str) -> Iterator[Row]:
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


def check_testset(path: Path, columns: Columns, *, strict: bool = False) -> Inspection:
    """Inspect a file that is to be uploaded.

    Args:
        path: the file.
        columns: what its columns mean.
        strict: whether problems of single rows, and notes, are reasons not to upload it.

    Raises:
        TestsetError: it cannot be uploaded as it is; the message has every problem.
    """
    inspection = inspect_testset(path, columns)
    problems = inspection.issues if strict else inspection.of("file")
    if problems:
        lines = "\n  ".join(describe_issues(problems, is_uploaded=False))
        advice = "".join(f"\n{text}" for text in dict.fromkeys(issue.advice for issue in problems) if text)
        raise TestsetError(f"{path} is not uploaded:\n  {lines}{advice}")
    return inspection


def describe_issues(issues: Sequence[Issue], *, is_uploaded: bool = True) -> Iterator[str]:
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
        read = read_json_lines if path.suffix.lower() in _LINES else read_csv
        # wrong bytes become lone surrogates, so that each row that has some can be named
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from read(text, columns)
    except OSError as error:
        kind = TestsetNotFound if isinstance(error, FileNotFoundError) else TestsetError
        raise kind(f"the testset {path} cannot be read: {error.strerror or error}.") from error
