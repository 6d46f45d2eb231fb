"""Read and write people's labels as CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.model import LABEL_WORDS, Label, label_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

LABEL_COLUMNS = ("experiment", "run_id", "example_id", "repetition", "annotator", "label", "score", "note")
"""The columns of a file of labels. A file needs `example_id` or `run_id`, and `label` or `score`."""


def read_labels(path: Path) -> list[Label]:
    """Return the labels of a CSV file; rows without a label and without a score are left out.

    Cells are separated by commas, semicolons or tabs. Unknown columns are ignored.

    Raises:
        UsageError: the file cannot be read, a column is missing, or a cell is invalid.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the labels in {path}: {error}") from error
    rows = csv.DictReader(io.StringIO(text), delimiter=separator_of(text), strict=True)
    try:
        _check_columns([name.strip() for name in rows.fieldnames or ()], path)
        return list(_labels(rows, path))
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: is not valid CSV ({error}).") from error


def labels_csv(labels: Iterable[Label]) -> Iterator[str]:
    """Yield the lines of a CSV file that `read_labels` reads."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")

    def line(cells: Iterable[object]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(cells)
        return buffer.getvalue()

    yield line(LABEL_COLUMNS)
    for label in labels:
        repetition = "" if label.repetition is None else label.repetition
        place = (label.experiment_id, label.run_id, label.example_id, repetition, label.annotator)
        yield line((*place, label.word, f"{label.value:.17g}" if label.is_score else "", label.note))


def separator_of(text: str) -> str:
    """Return the separator of the cells of a file of labels."""
    header = text.partition("\n")[0]
    return max(",;\t", key=lambda each: len(set(LABEL_COLUMNS).intersection(header.strip().split(each))))


def _check_columns(names: list[str], path: Path) -> None:
    for either in (("example_id", "run_id"), ("label", "score")):
        if not set(either).intersection(names):
            raise UsageError(
                f"{path}: needs a column {either[0]} or {either[1]}. Its columns are: {', '.join(names) or 'none'}."
            )


def _labels(rows: csv.DictReader[str], path: Path) -> Iterator[Label]:
    for row in rows:
        cells = {(name or "").strip(): (cell or "").strip() for name, cell in row.items() if isinstance(cell, str)}
        place = f"{path}, line {rows.line_num}"
        found = _value(cells, place)
        if found is None:
            continue
        value, is_score = found
        if not cells.get("example_id") and not cells.get("run_id"):
            raise UsageError(f"{place}: needs an example_id or a run_id.")
        yield Label(
            value=value,
            example_id=cells.get("example_id", ""),
            repetition=_repetition(cells, place),
            experiment_id=cells.get("experiment", ""),
            run_id=cells.get("run_id", ""),
            annotator=cells.get("annotator", ""),
            is_score=is_score,
            note=cells.get("note", ""),
            place=place,
        )


def _value(cells: Mapping[str, str], place: str) -> tuple[float, bool] | None:
    """Return the value of a row, and whether it is a score; None for a row without a value."""
    word, score = cells.get("label", ""), cells.get("score", "")
    if word:
        value = label_value(word)
        if value is None:
            raise UsageError(
                f"{place}: unknown label {word!r}. Use one of: {', '.join(LABEL_WORDS)}; or leave it empty."
            )
        return value, False
    if not score:
        return None
    try:
        number = float(score)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{place}: the score {score!r} is not a number.")
    return number, True


def _repetition(cells: Mapping[str, str], place: str) -> int | None:
    text = cells.get("repetition", "")
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{place}: the repetition {text!r} is not a number from 1.")
    return int(text)
