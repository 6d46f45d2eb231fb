"""A CSV file on which a person labels outputs in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalwire.labeling.outputs import Answer, Field, Output

SHEET_COLUMNS = (
    "label",
    "note",
    "input",
    "expected",
    "output",
    "example_id",
    "repetition",
    "annotator",
    "experiment",
    "run_id",
)

_LONGEST_CELL = 32_000  # characters; spreadsheets allow 32,767
_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def sheet_csv(
    outputs: Iterable[Output], answers: Mapping[str, Answer], *, experiment_id: str, annotator: str
) -> Iterator[str]:
    """Yield the lines of a CSV file with outputs in the order of labeling, with the answers so far.

    A spreadsheet would run a cell that begins with `=`, `+`, `-` or `@` as a formula. Such a cell begins with an
    apostrophe instead. The labels of the file are found by the run's ID, which never begins with these characters.

    Args:
        outputs: the outputs in the order of labeling.
        answers: the answers so far, by the ID of the run.
        experiment_id: Phoenix's ID of the experiment.
        annotator: the name of the person.
    """
    yield "\ufeff" + _line(SHEET_COLUMNS)  # without the mark, Excel takes the file for another encoding than UTF-8
    for output in outputs:
        answer = answers.get(output.run_id)
        cells = (
            answer.word if answer else "",
            answer.note if answer else "",
            _text(output.input),
            _text(output.expected),
            _text(output.output),
            output.example_id,
            str(output.repetition),
            annotator,
            experiment_id,
            output.run_id,
        )
        yield _line(map(inert, cells))


def inert(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _text(fields: Sequence[Field]) -> str:
    text = "\n".join(f"{name}: {text}" if name and len(fields) > 1 else text for name, text in fields)
    more = len(text) - _LONGEST_CELL
    return text if more <= 0 else f"{text[:_LONGEST_CELL]}\n[{more:,} more characters are in Phoenix]"
