"""Tables of results for notebooks: the scores as HTML, and the runs as a data frame of pandas."""

from __future__ import annotations

import html
import importlib
from typing import TYPE_CHECKING, Any

from evalwire.model.numbers import count, score_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalwire.model.gates import GateResult
    from evalwire.model.result import ExperimentResult
    from evalwire.model.run import TaskRun
    from evalwire.model.scores import ScoreSummary

RUN_COLUMNS = (
    "example_id",
    "repetition",
    "input",
    "expected",
    "metadata",
    "output",
    "error",
    "latency_seconds",
    "trace_id",
)

_OF_AN_EVALUATION = ("score", "label", "explanation", "error")

_MOST_ROWS = 50  # of a table on a page
_LONGEST_CELL = 300

_HEADS = ("experiment", "evaluator", "score", "scored runs", "failed runs")


def evaluation_columns(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the columns of evaluations in a table of runs, such as `score.NAME`, each with its name and part."""
    return {f"{part}.{name}": (name, part) for name in names for part in _OF_AN_EVALUATION}


class ExperimentResults(list["ExperimentResult"]):
    """The results of a job: a list with a table for notebooks.

    Attributes:
        gates: the results of the gates; empty without gates.
    """

    def __init__(self, results: Iterable[ExperimentResult] = (), *, gates: Sequence[GateResult] = ()) -> None:
        super().__init__(results)
        self.gates = tuple(gates)

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each run, and the columns of `evalwire export`.

        The first column, `experiment`, has the name of the experiment. Runs that were never made have no row.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self)

    def _repr_html_(self) -> str:
        return html_table(self, gates=self.gates)


def data_frame(results: Sequence[ExperimentResult]) -> Any:
    """Return a `pandas.DataFrame` with a row for each run.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ImportError(
            "to_dataframe needs pandas, which is not installed.\nInstall it with: pip install pandas"
        ) from error
    names = {evaluation.name for result in results for run in result.runs for evaluation in run.evaluations}
    columns = evaluation_columns(sorted(names))
    rows = [{"experiment": result.name, **_row(run, columns)} for result in results for run in result.runs]
    return pandas.DataFrame(rows, columns=["experiment", *RUN_COLUMNS, *columns])


def _row(run: TaskRun, columns: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    values: dict[tuple[str, str], Any] = {}
    for evaluation in run.evaluations:
        error = str(evaluation.failure) if evaluation.failure else None
        parts = (evaluation.score, evaluation.label, evaluation.explanation, error)
        values |= {(evaluation.name, part): value for part, value in zip(_OF_AN_EVALUATION, parts, strict=True)}
    own = (
        run.example.id,
        run.repetition,
        run.example.input,
        run.example.output,
        run.example.metadata,
        run.output,
        str(run.failure) if run.failure else None,
        run.seconds,
        run.trace_id,
    )
    scores = {column: values.get(key) for column, key in columns.items()}
    return {**dict(zip(RUN_COLUMNS, own, strict=True)), **scores}


def short_text(result: ExperimentResult) -> str:
    """Return a result on a single line: its name, runs and scores."""
    parts = [f"{len(result.runs)} of {count(result.expected_runs, 'run')}"]
    if result.failed_runs:
        parts.append(f"{len(result.failed_runs)} failed")
    parts += [f"{score.name} {_score(score)}" for score in result.scores]
    return _cut(f"{result.name}: {', '.join([*parts, *_reasons(result)])}")


def html_table(results: Sequence[ExperimentResult], *, gates: Sequence[GateResult] = ()) -> str:
    """Return an HTML table with a row for each score, and a list of the failed gates."""
    rows = [row for result in results for row in _rows(result)]
    if (left := len(rows) - _MOST_ROWS) > 0:
        rows[_MOST_ROWS:] = [(f"and {left} more", "", "", "", "")]
    head = "".join(f"<th>{text}</th>" for text in _HEADS)
    body = "".join(f"<tr>{''.join(f'<td>{_escaped(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    own_gates = [gate for gate in gates if gate.source != "default"]
    if not own_gates:
        return table
    failed = [f"<li>{_escaped(f'{gate.experiment}: {gate.text}')}</li>" for gate in own_gates if gate.is_red]
    listed = f"<ul>{''.join(failed[:_MOST_ROWS])}</ul>" if failed else ""
    return f"{table}<p>{len(failed)} of {count(len(own_gates), 'gate')} failed</p>{listed}"


def _rows(result: ExperimentResult) -> Iterator[tuple[str, ...]]:
    runs, failed = result.expected_runs, f"{result.bad_runs} of {result.expected_runs}"
    rows = [(score.name, _score(score), f"{score.count} of {runs}") for score in result.scores]
    rows += [(reason, "-", "-") for reason in _reasons(result)]
    for row in rows or [("-", "-", "-")]:
        yield result.name, *row, failed


def _reasons(result: ExperimentResult) -> list[str]:
    """Return the errors of an experiment as a whole without their messages, which may contain secrets."""
    failures = [*result.problems, *([result.failure] if result.failure else [])]
    return [f"{failure.type} ({failure.where})" if failure.where else failure.type for failure in failures]


def _score(score: ScoreSummary) -> str:
    is_rate = score.pass_rate is not None
    return score_text(score.pass_rate if is_rate else score.mean, is_rate=is_rate)


def _cut(text: str) -> str:
    """Return text on a line, without characters that a terminal interprets or that are not valid Unicode."""
    line = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))
    return line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 1]}…"


def _escaped(text: str) -> str:
    return html.escape(_cut(text))
