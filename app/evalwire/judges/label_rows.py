"""The rows of a file of labels, changed one at a time without loss of the others."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.judges.labels_file import LABEL_COLUMNS, separator_of
from evalwire.model import Label, label_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Row = dict[str, str]

_FORMULA = re.compile(r"'?[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class _Form:
    """The columns of a file, the separator of its cells, and its byte order mark, or an empty text."""

    columns: Sequence[str]
    separator: str = ","
    mark: str = ""


class LabelRows:
    """A CSV file of labels. Rows of other experiments and people, and unknown columns, are kept.

    Each change reads the file again and replaces it atomically, so that a kill at any time loses no label. Processes
    that change the file at the same time wait for each other.

    Args:
        path: the file; it is created with the first label.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, experiment_id: str, annotator: str) -> list[Row]:
        """Return the rows of an annotator for an experiment; a row without label and score is a skipped output.

        Raises:
            UsageError: the file cannot be read.
        """
        _, rows = self._read()
        return [row for row in rows if row["experiment"] == experiment_id and row["annotator"] == annotator]

    def put(self, changed: Iterable[Row]) -> None:
        """Write rows, each in the place of the row with the same experiment, annotator and run, or at the end.

        Raises:
            UsageError: the file cannot be read or written.
        """
        changed = list(changed)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._path.parent):
                form, rows = self._read()
                for row in changed:
                    kept = [place for place, own in enumerate(rows) if _is_same(own, row)]
                    if kept:
                        rows[kept[0]] |= row
                        rows = [own for place, own in enumerate(rows) if place not in kept[1:]]
                    else:
                        rows.append(row)
                _replace(self._path.resolve(), _csv(form, rows))
        except OSError as error:
            raise UsageError(f"cannot write the labels to {self._path}: {error.strerror or error}.") from error

    def _read(self) -> tuple[_Form, list[Row]]:
        """Return the form and the rows; the known columns of a row are stripped, and never missing."""
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return _Form(LABEL_COLUMNS), []
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the labels in {self._path}: {error}") from error
        mark, text = text[:1] if text.startswith("\ufeff") else "", text.removeprefix("\ufeff")
        separator = separator_of(text)
        reader = csv.DictReader(io.StringIO(text), delimiter=separator, strict=True)
        try:
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            found = [{name: cell or "" for name, cell in row.items() if name in columns} for row in reader]
        except csv.Error as error:
            raise UsageError(f"{self._path}, line {reader.line_num}: is not valid CSV ({error}).") from error
        rows = [{**row, **{name: row.get(name, "").strip() for name in LABEL_COLUMNS}} for row in found]
        for row in rows:
            row["note"] = (
                row["note"][1:] if row["note"].startswith("'") and _FORMULA.match(row["note"]) else row["note"]
            )
        added = [name for name in LABEL_COLUMNS if name not in columns]
        return _Form([*columns, *added], separator, mark), rows


def label_row(label: Label, *, is_skipped: bool = False) -> Row:
    """Return a label as a row; `is_skipped` for an output that has no label."""
    return {
        "experiment": label.experiment_id,
        "run_id": label.run_id,
        "example_id": label.example_id,
        "repetition": "" if label.repetition is None else str(label.repetition),
        "annotator": label.annotator,
        "label": "" if is_skipped else label.word,
        "score": f"{label.value:.17g}" if label.is_score and not is_skipped else "",
        "note": label.note,
    }


def row_value(row: Mapping[str, str]) -> tuple[float, bool] | None:
    """Return the value of a row, and whether it is a score; None for a row with neither, or with an invalid cell."""
    value = label_value(row["label"])
    if value is not None:
        return value, False
    try:
        return (float(row["score"]), True) if row["score"] and not row["label"] else None
    except ValueError:
        return None


def _is_same(own: Row, other: Row) -> bool:
    if own["annotator"] != other["annotator"] or own["experiment"] not in ("", other["experiment"]):
        return False
    if own["run_id"]:
        return own["run_id"] == other["run_id"]
    is_own = bool(own["experiment"]) and own["example_id"] == other["example_id"]
    return is_own and (own["repetition"] or "1") == other["repetition"]


def _csv(form: _Form, rows: Iterable[Row]) -> str:
    text = io.StringIO()
    text.write(form.mark)
    writer = csv.DictWriter(text, form.columns, restval="", delimiter=form.separator, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        note = row["note"]
        writer.writerow({**row, "note": f"'{note}" if _FORMULA.match(note) else note})
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Wait for other processes that change a file in a directory; without effect on a file system without locks."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
