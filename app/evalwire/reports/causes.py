"""Group the failures of an experiment's runs by what they have in common: one rule for every report."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalwire.model import ExperimentResult, Failure, TaskRun

What = Literal["task", "evaluator", "record"]

# A word with a digit in it: an ID, an address, a time or an amount.
_VARIABLE = re.compile(r"(?<![\w.:/@=+-])[\w.:/@=+-]*\d[\w/@=-]*(?:[.:][\w/@=-]+)*")

_BEFORE_STATUS = ("HTTP ", "status ", "status: ", "code ", "code: ")  # which says what happened

_IDENTIFIER = re.compile(r"(?<![\w-])[0-9a-fA-F]{8,}(?![\w-])")  # of letters alone, too

_MOST = 2_000  # characters of a message by which it is told from others


@dataclass(slots=True, kw_only=True)
class Cause:
    """One kind of failure, with the runs that failed of it.

    Attributes:
        what: which call failed, or the recording.
        name: of the evaluator; None for another call.
        failure: of the first of the runs.
        runs: each with its attempts.
    """

    what: What
    name: str | None
    failure: Failure
    runs: list[tuple[TaskRun, int]] = field(default_factory=list)


def causes_of(result: ExperimentResult, *, counts: Callable[[What], bool] = lambda _: True) -> list[Cause]:
    """Return the kinds of failures of an experiment's runs, the commonest first.

    Failures whose texts differ only in IDs, addresses and numbers are one kind.

    Args:
        result: the experiment.
        counts: whether failures of such calls are meant.
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
    """Return what a message has in common with those that differ in IDs, addresses and numbers only."""

    def common(found: re.Match[str]) -> str:
        is_status = len(found[0]) == 3 and found[0].isdigit()  # noqa: PLR2004 - digits of a status of HTTP
        return found[0] if is_status and found.string[: found.start()].endswith(_BEFORE_STATUS) else "#"

    return _VARIABLE.sub(common, _IDENTIFIER.sub("#", text[:_MOST]))


def _failures(run: TaskRun) -> Iterator[tuple[What, str | None, Failure, int]]:
    if run.failure:
        yield "task", None, run.failure, run.attempts
    if run.record_failure:
        yield "record", None, run.record_failure, 1
    for said in run.evaluations:
        if said.failure:
            yield "evaluator", said.name, said.failure, said.attempts
