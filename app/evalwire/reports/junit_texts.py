"""Build the texts of JUnit cases: names, files, failures and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.text import cut, cut_middle, relative, single_line

if TYPE_CHECKING:
    from evalwire.model import Baseline, Example, ExperimentResult, Failure, Report

_LONGEST_TEXT = 2_000
_LONGEST_MESSAGE = 2_000
_LONGEST_TRACEBACK = 8_000


def case_name(result: ExperimentResult, what: str, example: Example, repetition: int) -> str:
    """Return the name of the case of a run, or of its evaluation."""
    return f"{what}[{example.id}]" + (f" #{repetition}" if result.repetitions > 1 else "")


def file_of(report: Report, result: ExperimentResult, evaluator: str | None = None) -> str:
    """Return the file of an evaluator, or of the task; empty if the experiment's directory is unknown."""
    if not result.path:
        return ""
    stem = evaluator if evaluator in result.evaluator_names else "task"
    return relative(f"{result.path}/{stem}.py", report.directory)


def name_of(baseline: Baseline) -> str:
    """Return the name of a baseline, with the branch and the commit that it ran on."""
    where = " at ".join(filter(None, (baseline.branch, (baseline.commit or "")[:10])))
    name = baseline.recorded_name or baseline.experiment_id or baseline.asked
    return f"{name} ({where})" if where else name


def failure_text(failure: Failure) -> str:
    """Return a failure with its traceback."""
    texts = cut_middle(str(failure), _LONGEST_MESSAGE), cut_middle(failure.traceback, _LONGEST_TRACEBACK)
    return "\n".join(filter(None, texts))


def number_text(value: object) -> str:
    """Return a number with six digits; any other value as text."""
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def shown(value: object) -> str:
    """Return a value on a single line, cut if it is long; empty for None."""
    return cut(single_line(value), _LONGEST_TEXT) if value is not None else ""
