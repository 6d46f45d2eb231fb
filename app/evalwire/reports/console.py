"""The end of a run as text: the verdict, a table, what failed and where, and the links."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from evalwire.model import ExperimentResult, Failure, Report, ScoreSummary, TaskRun

# Shown of one experiment; everything is in results.json and in Phoenix.
_MOST_CAUSES = 10
_MOST_EXAMPLES = 3
_LONGEST_MESSAGE = 500
_LONGEST_INPUT = 100
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render(
    report: Report,
    *,
    color: bool = False,
    width: int = 100,
    verbose: bool = False,
    mask: Callable[[str], str] = str,
    folder: Path | None = None,
) -> str:
    """The report as text.

    Args:
        report: what is told.
        color: with a terminal's colours.
        width: of the table, in characters.
        verbose: with the traceback of every failure.
        mask: takes secrets out of each text before it is shortened.
        folder: paths below it are shown relative to it.
    """
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        soft_wrap=True,
        legacy_windows=False,
    )
    style = "bold green" if report.exit_code == 0 else "bold red"
    console.print(Text(verdict(report), style=style))
    if report.results:
        console.print()
        console.print(_table(report), soft_wrap=False)
    for result in report.results:
        lines = [*failures(result, verbose=verbose, mask=mask, folder=folder)]
        if lines:
            console.print()
            console.print(Text(f"{_plain(result.name)}: {_summary(result)}", style="bold"))
            for line in lines:
                console.print(Text(line))
    links = [(_plain(result.name), _plain(result.url)) for result in report.results if result.url]
    if links:
        console.print()
        longest = max(len(name) for name, _ in links)
        for name, url in links:
            console.print(Text(f"{name:{longest}}  {url}"))
    return buffer.getvalue()


def verdict(report: Report) -> str:
    """One line: how it went, and over how much."""
    failed = sum(len(result.failed_runs) for result in report.results)
    not_run = sum(result.not_run for result in report.results)
    examples = sum(result.example_count for result in report.results)
    red = sum(not result.passed for result in report.results)
    word = {"passed": "PASSED", "interrupted": "INTERRUPTED"}.get(report.outcome, "FAILED")
    if report.dry_run:
        word += " (dry run, nothing recorded)"
    parts = [_count(len(report.results), "experiment"), _count(examples, "example")]
    if red:
        parts.append(f"{red} of {len(report.results)} experiments failed")
    if failed or not red:
        parts.append(f"{_count(failed, 'example')} failed" if failed else "none failed")
    if not_run:
        parts.append(f"{not_run} not run")
    parts.append(f"{report.seconds:.1f} s")
    return f"{word}: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("experiment", no_wrap=True)
    table.add_column("examples", justify="right")
    table.add_column("failed", justify="right")
    table.add_column("evaluator", no_wrap=True)
    table.add_column("mean", no_wrap=True)
    table.add_column("seconds", justify="right")
    for result in report.results:
        bad = len(result.failed_runs) + result.not_run
        scores = result.scores
        table.add_row(
            Text(_plain(result.name), style="" if result.passed else "red"),
            str(result.example_count),
            Text(str(bad), style="red" if bad else ""),
            Text("\n".join(_plain(score.name) for score in scores)),
            Text("\n".join(_plain(_mean(score)) for score in scores)),
            f"{result.seconds:.1f}",
        )
    return table


def _mean(score: ScoreSummary) -> str:
    if score.mean is not None:
        text = f"{score.mean:.3f}"
    elif score.labels:
        text = ", ".join(f"{label} {count}" for label, count in sorted(score.labels.items(), key=lambda item: -item[1]))
    else:
        text = "-"
    return f"{text} ({score.missing} missing)" if score.missing else text


def _summary(result: ExperimentResult) -> str:
    if result.problems:
        return "it cannot run"
    if result.incomplete_scores and not result.failed_runs and not result.failure:
        return "an evaluator did not judge every example in the same way"
    if result.failed_runs:
        return f"{len(result.failed_runs)} of {_count(result.example_count, 'example')} failed"
    return "it did not finish" if result.opened else "it did not start"


def failures(
    result: ExperimentResult,
    *,
    verbose: bool = False,
    mask: Callable[[str], str] = str,
    folder: Path | None = None,
) -> Iterator[str]:
    """Every failure of an experiment in lines: example, stage, exception, and the line of the user's code."""

    def line(failure: Failure) -> str:
        kind = "" if failure.type in _SELF_EXPLAINING else f"{failure.type}: "
        cause = f" (from {failure.cause})" if failure.cause else ""
        text = _plain(mask(f"{kind}{failure.message}{cause}"))
        place = failure.where.removeprefix(f"{folder}{os.sep}") if failure.where and folder else failure.where
        return _cut(text, _LONGEST_MESSAGE) + (f"  ({_plain(mask(place))})" if place else "")

    def trace(failure: Failure, *, shown: bool) -> Iterator[str]:
        for one in mask(failure.traceback).splitlines() if shown else ():
            yield f"      {_CONTROL.sub(' ', one).encode(errors='replace').decode()}"

    for problem in result.problems:
        yield f"  {line(problem)}"
        yield from trace(problem, shown=verbose or problem.type not in _SELF_EXPLAINING)
    if result.failure:
        yield f"  {line(result.failure)}"
        yield from trace(result.failure, shown=verbose)
    yield from _causes(result, line, trace, verbose=verbose, mask=mask)
    for score in result.incomplete_scores:
        yield f"  score {_plain(score.name)}: given for {score.count} of {_count(len(result.runs), 'example')} only"


def _causes(
    result: ExperimentResult,
    line: Callable[[Failure], str],
    trace: Callable[..., Iterator[str]],
    *,
    verbose: bool,
    mask: Callable[[str], str],
) -> Iterator[str]:
    """What runs failed of, each with the first examples."""
    groups = _by_cause(result, line)
    for (what, text), found in list(groups.items())[:_MOST_CAUSES]:
        yield f"  {_plain(what)}: {text}"
        yield from trace(found[0][1], shown=verbose)
        for run, _ in found[:_MOST_EXAMPLES]:
            shown = _plain(mask(json.dumps(run.example.input, ensure_ascii=False, default=str)))
            yield f"    example {_plain(run.example.id)}  input {_cut(shown, _LONGEST_INPUT)}"
        if len(found) > _MOST_EXAMPLES:
            yield f"    and {_count(len(found) - _MOST_EXAMPLES, 'more example')}"
    if len(groups) > _MOST_CAUSES:
        yield f"  and {_count(len(groups) - _MOST_CAUSES, 'more kind')} of failure"


def _by_cause(
    result: ExperimentResult, line: Callable[[Failure], str]
) -> dict[tuple[str, str], list[tuple[TaskRun, Failure]]]:
    """The failed runs under what they failed of, so that one broken line is said once; the commonest first."""
    groups: dict[tuple[str, str], list[tuple[TaskRun, Failure]]] = {}
    for run in result.failed_runs:
        causes = [("task", run.failure), ("not recorded", run.record_failure)]
        causes += [(f"evaluator {evaluation.name}", evaluation.failure) for evaluation in run.evaluations]
        for what, failure in causes:
            if failure:
                groups.setdefault((what, line(failure)), []).append((run, failure))
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


_SELF_EXPLAINING = ("MissingCallable", "BindingError", "NoEvaluator")


def _plain(text: str) -> str:
    """Text of the user's or a model's as one line that a terminal shows and any encoding can write."""
    return " ".join(_CONTROL.sub(" ", text).encode(errors="replace").decode().split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
