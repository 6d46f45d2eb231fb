"""List the failures of an experiment by cause, with the line of the user's code and the first examples."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from evalwire.model import count
from evalwire.reports.causes import What, causes_of
from evalwire.reports.text import cut, cut_middle, harmless, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from evalwire.model import ExperimentResult, Failure

_MOST_CAUSES = 10
_MOST_EXAMPLES = 3
_LONGEST_MESSAGE = 500
_LONGEST_TRACEBACK = 5_000
_LONGEST_INPUT = 100
_SELF_EXPLAINING = ("MissingCallable", "BindingError", "NoEvaluator")
_WORDS: Mapping[What, str] = {"task": "task", "record": "not recorded", "evaluator": "evaluator"}


def noun_of_runs(*results: ExperimentResult) -> str:
    """Return the noun to count: `example`, or `run` if an example runs several times."""
    return "run" if any(result.repetitions > 1 for result in results) else "example"


def failures(
    result: ExperimentResult,
    *,
    verbose: bool = False,
    mask: Callable[[str], str] = str,
    directory: Path | None = None,
) -> Iterator[str]:
    """Yield the failures of an experiment, with the stage, the exception, the line of the user's code and examples."""

    def line(failure: Failure) -> str:
        kind = "" if failure.type in _SELF_EXPLAINING else f"{failure.type}: "
        cause = f" (from {failure.cause})" if failure.cause else ""
        text = plain(mask(f"{kind}{failure.message}{cause}"))
        place = failure.where.removeprefix(f"{directory}{os.sep}") if failure.where and directory else failure.where
        return cut(text, _LONGEST_MESSAGE) + (f"  ({plain(mask(place))})" if place else "")

    def trace(failure: Failure, *, shown: bool) -> Iterator[str]:
        for text in cut_middle(mask(failure.traceback), _LONGEST_TRACEBACK).splitlines() if shown else ():
            yield f"      {harmless(text)}"

    for problem in result.problems:
        yield f"  {line(problem)}"
        yield from trace(problem, shown=verbose or problem.type not in _SELF_EXPLAINING)
    if result.failure:
        yield f"  {line(result.failure)}"
        yield from trace(result.failure, shown=verbose)
    yield from _causes(result, line, trace, verbose=verbose, mask=mask)
    for score in result.incomplete_scores:
        size = count(len(result.runs), noun_of_runs(result))
        yield f"  score {plain(score.name)}: returned for only {score.given} of {size}"


def _causes(
    result: ExperimentResult,
    line: Callable[[Failure], str],
    trace: Callable[..., Iterator[str]],
    *,
    verbose: bool,
    mask: Callable[[str], str],
) -> Iterator[str]:
    """Yield the causes of failed runs, each with the first examples."""
    causes = causes_of(result)
    for cause in causes[:_MOST_CAUSES]:
        yield f"  {plain(_WORDS[cause.what])}{f' {plain(cause.name)}' if cause.name else ''}: {line(cause.failure)}"
        yield from trace(cause.failure, shown=verbose)
        for run, attempts in cause.runs[:_MOST_EXAMPLES]:
            which = f", repetition {run.repetition}" if result.repetitions > 1 else ""
            tried = f" (after {attempts} attempts)" if attempts > 1 else ""
            shown = plain(mask(json.dumps(dict(run.example.input), ensure_ascii=False, default=str)))
            yield f"    example {plain(run.example.id)}{which}{tried}  input {cut(shown, _LONGEST_INPUT)}"
        if len(cause.runs) > _MOST_EXAMPLES:
            yield f"    and {count(len(cause.runs) - _MOST_EXAMPLES, f'more {noun_of_runs(result)}')}"
    if len(causes) > _MOST_CAUSES:
        yield f"  and {count(len(causes) - _MOST_CAUSES, 'more kind')} of failure"
