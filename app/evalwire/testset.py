"""A testset file -> the examples of its datasets, or every problem with its row number."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalwire.errors import TestsetError

_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the file mean what.

    Attributes:
        inputs: become each example's input.
        outputs: become its expected output.
        tags: names the datasets that a row is in.
        delimiter: separates the tags in one cell.
    """

    inputs: Sequence[str] = ("user_query",)
    outputs: Sequence[str] = ("expected_output",)
    tags: str = "tags"
    delimiter: str = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Testset:
    """What a file holds.

    Attributes:
        datasets: the examples of each dataset, in the file's order; datasets in the order they first appear.
        notes: rows that were left out, each with its number.
    """

    __test__ = False  # pytest would collect it by its name

    datasets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(path: Path, columns: Columns) -> Testset:
    """Read a CSV testset: UTF-8, a header, one example a row; values are text exactly as written.

    Args:
        path: the file.
        columns: what its columns mean. Other columns are left out.

    Raises:
        TestsetError: the file is missing, is not UTF-8, lacks a column, or has rows of another length. Every
            problem is in the message; rows are counted from 1, the header left out.
    """
    testset = Testset()
    problems: list[str] = []
    csv.field_size_limit(2**31 - 1)
    try:
        # wrong bytes become lone surrogates, so that each row that has some can be named
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            wanted = [*columns.inputs, *columns.outputs, columns.tags]
            missing = [name for name in dict.fromkeys(wanted) if name not in header]
            if repeated := [name for name in dict.fromkeys(wanted) if header.count(name) > 1]:
                raise TestsetError(f"{path}: the header has {', '.join(map(repr, repeated))} more than once.")
            if missing:
                raise TestsetError(
                    f"{path}: no column {', '.join(map(repr, missing))}; it has: {', '.join(header) or 'no header'}.\n"
                    "Rename the columns, or name yours with --input-keys, --output-keys and --tag-column."
                )
            number = 0
            try:
                for number, cells in enumerate(rows, start=1):
                    if problem := _problem(cells, header):
                        problems.append(f"row {number}: {problem}")
                    elif cells:
                        _add(testset, dict(zip(header, cells, strict=True)), number, columns)
            except csv.Error as error:  # what follows cannot be told apart
                problems.append(f"row {number + 1}: is not valid CSV ({error})")
    except csv.Error as error:
        raise TestsetError(f"{path}: the header is not valid CSV ({error}).") from error
    except OSError as error:
        raise TestsetError(f"the testset {path} cannot be read: {error.strerror or error}.") from error
    if problems:
        more = f"\n  and {len(problems) - _MOST_SHOWN} more" if len(problems) > _MOST_SHOWN else ""
        listed = "\n  ".join(problems[:_MOST_SHOWN])
        raise TestsetError(f"{path} is not uploaded:\n  {listed}{more}")
    return testset


def _problem(cells: list[str], header: list[str]) -> str | None:
    """What is wrong with a row as a row of a file; an empty line is none."""
    if cells and len(cells) != len(header):
        return f"{len(cells)} cells, the header has {len(header)}"
    if any("\ud800" <= character <= "\udfff" for cell in cells for character in cell):
        return "is not UTF-8; save the file as UTF-8"
    return None


def _add(testset: Testset, row: dict[str, str], number: int, columns: Columns) -> None:
    tags = dict.fromkeys(tag.strip() for tag in row[columns.tags].split(columns.delimiter) if tag.strip())
    if not tags:
        testset.notes.append(f"row {number} has no tag in {columns.tags!r}, so it is in no dataset")
    for tag in tags:
        testset.datasets.setdefault(tag, []).append(
            {
                "input": {name: row[name] for name in columns.inputs},
                "output": {name: row[name] for name in columns.outputs},
                "metadata": {},
            }
        )
