"""Group the failures of an experiment's runs by cause, for every report format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalwire.model import ExperimentResult, Failure, TaskRun

What = Literal["task", "evaluator", "record"]

# A word that contains a digit: an ID, an address, a time or an amount.
_VARIABLE = re.compile(r"(?<![\w.:/@=+-])[\w.:/@=+-]*\d[\w/@=-]*(?:[.:][\w/@=-]+)*")

_BEFORE_STATUS = ("HTTP ", "status ", "status: ", "code ", "code: ")  # HTTP statuses identify the cause

_IDENTIFIER = re.compile(r"(?<![\w-])[0-9a-fA-F]{8,}(?![\w-])")  # also without a digit

_MOST = 2_000  # characters of a message to compare with other messages


@dataclass(slots=True, kw_only=True)
class Cause:
    """A cause of failures, with the runs that failed for it.

    Attributes:
        what: the call that failed, or `record`.
        name: name of the evaluator; None for another call.
        failure: failure of the first run.
        runs: runs with the cause, each with its number of attempts.
    """

    what: What
    name: str | None
    failure: Failure
    runs: list[tuple[TaskRun, int]] = field(default_factory=list)


def causes_of(result: ExperimentResult, *, counts: Callable[[What], bool] = lambda _: True) -> list[Cause]:
    """Return the causes of failures of an experiment's runs, most common first.

    Failures whose texts differ only in IDs, addresses and numbers have the same cause.

    Args:
        result: the experiment.
        counts: function that returns whether to include the failures of a call.
    """
    causes: dict[tuple[object, ...], Cause] = {}
    for run in result.failed_runs:
        for what, name, failure, attempts in _failures(run):
            if counts(what):
                key = (what, name, failure.type, failure.where, pattern(failure.message), pattern(failure.cause or ""))
                cause = causes.setdefault(key, Cause(what=what, name=name, failure=failure))
                cause.runs.append((run, attempts))
    return sorted(causes.values(), key=lambda cause: -len(cause.runs))


def pattern(text: str) -> str:
    """Return a message with `#` for IDs, addresses and numbers."""

    def common(found: re.Match[str]) -> str:
        is_status = len(found[0]) == 3 and found[0].isdigit()  # noqa: PLR2004 - digits of an HTTP status
        return found[0] if is_status and found.string[: found.start()].endswith(_BEFORE_STATUS) else "#"

    return _VARIABLE.sub(common, _IDENTIFIER.sub("#", text[:_MOST]))


def _failures(run: TaskRun) -> Iterator[tuple[What, str | None, Failure, int]]:
    if run.failure:
        yield "task", None, run.failure, run.attempts
    if run.record_failure:
        yield "record", None, run.record_failure, 1
    for evaluation in run.evaluations:
        if evaluation.failure:
            yield "evaluator", evaluation.name, evaluation.failure, evaluation.attempts
