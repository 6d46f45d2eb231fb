"""Find the failures of a report, with the lines of the user's files to show them at, for all report formats."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from evalwire.model import written
from evalwire.reports.causes import causes_of
from evalwire.reports.digest import REASONS
from evalwire.reports.highlights import changed_examples
from evalwire.reports.text import cut, gate_sentence, relative, single_line
from evalwire.reports.word_changes import changed_words, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import ExperimentResult, Failure, GateResult, Report

Level = Literal["error", "warning", "notice"]

MOST = 10  # annotations of an experiment
_MOST_EXAMPLES = 2  # regressions to show with a gate
_LONGEST_INPUT = 100
_LONGEST_OUTPUT = 160

_SOURCE = re.compile(r"(?!--)(?P<file>.+?):(?P<line>\d+): \[")  # of a gate in a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A failure or a note, with its place in the project.

    Attributes:
        level: the level, as GitHub names it.
        title: the experiment, and its gate or type of failure.
        message: the failure in a sentence.
        details: further lines.
        file: the file, relative to the directory of the job; empty without a file.
        line: the line in the file; None if it is unknown.
    """

    level: Level
    title: str
    message: str
    details: tuple[str, ...] = ()
    file: str = ""
    line: int | None = None


def annotations_of(report: Report) -> list[Annotation]:
    """Return the annotations of everything that failed or needs attention.

    GitHub shows ten errors of a step, so the first annotations of all experiments come before the second annotations.
    """
    found = [_at_most(result, list(_of(report, result))) for result in report.results]
    ordered = [annotation for row in zip_longest(*found) for annotation in row if annotation]
    names = {result.name for result in report.results}
    ordered += [_gate(report, None, gate) for gate in report.gates if gate.is_red and gate.experiment not in names]
    if report.exit_code != 0 and not any(annotation.level == "error" for annotation in ordered):
        reason = REASONS.get(report.outcome, "the job failed")
        ordered.insert(0, Annotation(level="error", title="evalwire", message=reason))
    if report.early_note:
        ordered.append(Annotation(level="notice", title="evalwire", message=report.early_note))
    if report.partial is not None:
        ordered.append(Annotation(level="warning", title="evalwire", message=f"PARTIAL: {report.partial}"))
    return ordered


def _at_most(result: ExperimentResult, found: list[Annotation]) -> list[Annotation]:
    """Return the first annotations; if there are more, the last annotation says how many."""
    if len(found) <= MOST:
        return found
    left = found[MOST - 1 :]
    has_error = any(annotation.level == "error" for annotation in left)
    level: Literal["error", "warning"] = "error" if has_error else "warning"
    more = Annotation(level=level, title=result.name, message=f"and {len(left)} more; see results.json")
    return [*found[: MOST - 1], more]


def _of(report: Report, result: ExperimentResult) -> Iterator[Annotation]:
    gates = report.gates_of(result.name)
    for failure in (*result.problems, *((result.failure,) if result.failure else ())):
        yield _failure(report, result, failure)
    for gate in gates:
        if gate.is_red:
            yield _gate(report, result, gate)
    yield from _of_runs(report, result, tolerated=report.tolerates(result))
    for score in result.incomplete_scores:
        message = f"{score.name} was returned for only {score.given} of {len(result.runs)} runs"
        yield Annotation(level="error", title=result.name, message=message, file=_file(report, result, score.name))
    for gate in gates:
        if gate.status in ("inconclusive", "no baseline") and not gate.is_red:
            yield _gate(report, result, gate)


def _of_runs(report: Report, result: ExperimentResult, *, tolerated: bool) -> Iterator[Annotation]:
    """Yield an annotation for each cause of failures, most common first; tolerated failures are left out.

    Failures to record are never tolerated.
    """
    for cause in causes_of(result, counts=lambda stage: stage == "record" or not tolerated):
        example = cause.runs[0][0].example.id
        extent = f"in {len(cause.runs)} of {result.expected_runs} runs, such as example {example}"
        yield _failure(report, result, cause.failure, extent)


def _failure(report: Report, result: ExperimentResult, failure: Failure, extent: str = "") -> Annotation:
    path, _, line = (failure.where or "").rpartition(":")
    place = relative(path, report.directory) if path else ""
    if not place and failure.kind != "budget" and failure.stage in ("import", "task", "evaluator"):
        place = _file(report, result, None)
    return Annotation(
        level="error",
        title=f"{result.name}: {failure.type}",
        message=f"{replace(failure, where=None)} {extent}",
        file=place,
        line=int(line) if path and line.isascii() and line.isdigit() else None,
    )


def _gate(report: Report, result: ExperimentResult | None, gate: GateResult) -> Annotation:
    """Return the annotation of a gate, at its line in `evalwire.toml` or else at the file of the evaluator."""
    written = _SOURCE.match(gate.source)
    own_file = _file(report, result, gate.evaluation) if result else ""
    return Annotation(
        level="error" if gate.is_red else "warning",
        title=f"{gate.experiment}: {gate.name}",
        message=gate_sentence(gate),
        details=tuple(_examples(report, result, gate)) if result and gate.rule == "max_drop" and gate.is_red else (),
        file=relative(written["file"], report.directory) if written else own_file,
        line=int(written["line"]) if written else None,
    )


def _examples(report: Report, result: ExperimentResult, gate: GateResult) -> Iterator[str]:
    """Yield the largest regressions of a score, each with the output before and now."""
    found = [
        (example, score)
        for example in changed_examples(report.baseline_of(result.name), result)
        for score in example.scores
        if score.evaluation == gate.evaluation and score.gain < 0
    ]
    for example, score in found[:_MOST_EXAMPLES]:
        run, before = example.run, example.baseline_run
        asked = cut(single_line(run.example.input), _LONGEST_INPUT)
        yield f"{asked} ({run.example.id}): {written(score.before, digits=2)} to {written(score.after, digits=2)}"
        now = str(run.failure) if run.failure else single_line(run.output)
        then = now if before is None else before.error or single_line(before.output)
        if then != now:
            for word, words in zip(("before", "now"), changed_words(then, now), strict=True):
                yield f"{word}: {''.join(text for text, _ in excerpt(words, _LONGEST_OUTPUT))}"


def _file(report: Report, result: ExperimentResult, evaluation: str | None) -> str:
    """Return the file of an evaluator, or else of the task; empty if the experiment's directory is unknown."""
    if not result.path:
        return ""
    stem = evaluation if evaluation in result.evaluator_names else "task"
    return relative(f"{result.path}/{stem}.py", report.directory)
