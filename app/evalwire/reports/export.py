"""Export a recorded experiment as a table (`csv`) or an object (`json`) for other programs, piece by piece.

Recorded values are not changed. In particular, a cell of the table may begin with `=`. A spreadsheet takes it for a
formula if the file is opened instead of imported as text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from evalwire.model import RUN_COLUMNS, evaluation_columns

Rows = Iterable[Mapping[str, Any]]

Format = Callable[[Mapping[str, Any], Sequence[str], Rows], Iterator[str]]


def csv_pieces(experiment: Mapping[str, Any], evaluations: Sequence[str], rows: Rows) -> Iterator[str]:
    """Yield a CSV table as in RFC 4180: a header, then a line for each run.

    Text is written unchanged, None as an empty cell, and any other value as JSON.

    Args:
        experiment: record of the experiment; the table does not use it.
        evaluations: names of the evaluations, which have the columns `score.NAME`, `label.NAME`, `explanation.NAME`
            and `error.NAME`.
        rows: the runs.
    """
    del experiment
    columns = evaluation_columns(evaluations)
    yield _line([*RUN_COLUMNS, *columns])
    for row in rows:
        recorded = {evaluation["name"]: evaluation for evaluation in row["evaluations"]}
        cells = [row[column] for column in RUN_COLUMNS]
        cells += [recorded.get(name, {}).get(part) for name, part in columns.values()]
        yield _line(map(_cell, cells))


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def json_pieces(experiment: Mapping[str, Any], evaluations: Sequence[str], rows: Rows) -> Iterator[str]:
    """Yield a JSON object, `{"experiment": {...}, "evaluations": [...], "runs": [...]}`, with each run on its own line.

    Args:
        experiment: record of the experiment.
        evaluations: names of all evaluations.
        rows: the runs.
    """
    yield f'{{"experiment": {_json(experiment)},\n "evaluations": {_json(list(evaluations))},\n "runs": ['
    before = "\n  "
    for row in rows:
        yield before + _json(row)
        before = ",\n  "
    yield "\n ]}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=dict)


EXPORT_FORMATS: Mapping[str, Format] = {"csv": csv_pieces, "json": json_pieces}
