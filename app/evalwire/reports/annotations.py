"""Workflow commands for GitHub: what failed, on the lines of the user's files in the view of a change."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from evalwire.reports.causes import causes_of
from evalwire.reports.digest import REASONS
from evalwire.reports.text import (
    CONTROLS,
    DIRECTIONS,
    LINE_SEPARATORS,
    WHITE_CONTROLS,
    cut,
    in_one_line,
    relative,
    replace_unsafe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import ExperimentResult, Failure, GateResult, Report

MOST = 10  # of one experiment
_LONGEST_TITLE = 120
_LONGEST_MESSAGE = 800

_UNSAFE = re.compile(f"[{WHITE_CONTROLS}{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}]")
_OTHER_COMMAND = re.compile(r"##(?=\w*\[)")  # `##[...]` and `##vso[...]` are commands wherever they stand


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotation:
    level: Literal["error", "warning"]
    title: str
    message: str
    file: str = ""
    line: int | None = None


def pieces(report: Report) -> list[str]:
    """Return the commands, each with its line's end."""
    return [f"{line}\n" for line in lines(report)]


def lines(report: Report) -> list[str]:
    """One command for each line; none for what held.

    GitHub shows ten errors of a step, so the first ones of all experiments come before the second ones.
    """
    found = [_at_most(result, list(_of(report, result))) for result in report.results]
    ordered = [one for row in zip_longest(*found) for one in row if one]
    names = {result.name for result in report.results}
    ordered += [_gate(report, None, gate) for gate in report.gates if gate.is_red and gate.experiment not in names]
    if report.exit_code != 0 and not any(one.level == "error" for one in ordered):
        reason = REASONS.get(report.outcome, "the job failed")
        ordered.insert(0, _Annotation(level="error", title="evalwire", message=reason))
    return list(map(_command, ordered))


def _at_most(result: ExperimentResult, found: list[_Annotation]) -> list[_Annotation]:
    """The first ones; where there are more, the last says how many."""
    if len(found) <= MOST:
        return found
    left = found[MOST - 1 :]
    level: Literal["error", "warning"] = "error" if any(one.level == "error" for one in left) else "warning"
    more = _Annotation(level=level, title=result.name, message=f"and {len(left)} more; all are in results.json")
    return [*found[: MOST - 1], more]


def _of(report: Report, result: ExperimentResult) -> Iterator[_Annotation]:
    gates = report.gates_of(result.name)
    for failure in (*result.problems, *((result.failure,) if result.failure else ())):
        yield _failure(report, result, failure)
    for gate in gates:
        if gate.is_red:
            yield _gate(report, result, gate)
    yield from _of_runs(report, result, tolerated=report.tolerates(result))
    for score in result.incomplete_scores:
        message = f"{score.name} was given for {score.given} of {len(result.runs)} runs only"
        yield _Annotation(level="error", title=result.name, message=message, file=_file(report, result, score.name))
    for gate in gates:
        if gate.status in ("inconclusive", "no baseline") and not gate.is_red:
            yield _gate(report, result, gate)


def _of_runs(report: Report, result: ExperimentResult, *, tolerated: bool) -> Iterator[_Annotation]:
    """List the causes of failures, each once, the commonest first; of tolerated failures only those of recording."""
    for cause in causes_of(result, counts=lambda what: what == "record" or not tolerated):
        example = cause.runs[0][0].example.id
        much = f"in {len(cause.runs)} of {result.expected_runs} runs, such as that of example {example}"
        yield _failure(report, result, cause.failure, much)


def _failure(report: Report, result: ExperimentResult, failure: Failure, much: str = "") -> _Annotation:
    path, _, line = (failure.where or "").rpartition(":")
    place = relative(path, report.directory) if path else ""
    if not place and failure.stage in ("import", "task", "evaluator"):
        place = _file(report, result, None)
    return _Annotation(
        level="error",
        title=f"{result.name}: {failure.type}",
        message=f"{replace(failure, where=None)} {much}",
        file=place,
        line=int(line) if path and line.isascii() and line.isdigit() else None,
    )


def _gate(report: Report, result: ExperimentResult | None, gate: GateResult) -> _Annotation:
    state = "" if gate.status in ("passed", "failed") else f"{gate.status}: "
    return _Annotation(
        level="error" if gate.is_red else "warning",
        title=f"{gate.experiment}: {gate.name}",
        message=state + gate.text,
        file=_file(report, result, gate.evaluation) if result else "",
    )


def _file(report: Report, result: ExperimentResult, evaluation: str | None) -> str:
    """The file of an evaluator, else of the task; empty where the folder is not known."""
    if not result.path:
        return ""
    stem = evaluation if evaluation in result.evaluator_names else "task"
    return relative(f"{result.path}/{stem}.py", report.directory)


def _command(one: _Annotation) -> str:
    properties = []
    if one.file:
        properties = [f"file={_property(_plain(one.file))}", f"line={one.line or 1}"]
    properties.append(f"title={_property(cut(_plain(one.title), _LONGEST_TITLE))}")
    return f"::{one.level} {','.join(properties)}::{_data(cut(_plain(one.message), _LONGEST_MESSAGE))}"


def _plain(text: str) -> str:
    return _OTHER_COMMAND.sub("## ", in_one_line(replace_unsafe(_UNSAFE, text)))


def _data(text: str) -> str:
    """Text as GitHub reads it behind the second `::`."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Text as GitHub reads it in `name=value`."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
