"""Render a report as text for the console: the outcome, scores, gates, examples with both outputs, and links."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from evalwire.model import count, written
from evalwire.reports import trend
from evalwire.reports.baseline_text import drops_without_baseline, scored_again
from evalwire.reports.budget_text import ended_text, resume_command, used_text
from evalwire.reports.calibration_text import calibration_sentences
from evalwire.reports.console.examples import change_lines, not_passed_lines
from evalwire.reports.console.failure_lines import failures, noun_of_runs
from evalwire.reports.console.gates import gate_lines
from evalwire.reports.console.scores import score_lines
from evalwire.reports.console.variants import variant_lines
from evalwire.reports.console.wrapping import Line, print_line
from evalwire.reports.digest import Digest
from evalwire.reports.highlights import comparison_link
from evalwire.reports.measured import not_needed_text
from evalwire.reports.reachable import with_reachable_pages
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalwire.model import ExperimentResult, GateResult, Report

__all__ = ["failures", "headline", "pieces", "render"]

_MOST_UNSTABLE = 3  # examples of an evaluator
_STABLE = 0.005  # smaller spreads are shown as 0.00


def pieces(report: Report) -> list[str]:
    """Return the report as plain text, in a single piece."""
    return [render(report)]


def render(
    report: Report,
    *,
    color: bool = False,
    width: int | None = None,
    verbose: bool = False,
) -> str:
    """Return the report as text.

    Args:
        report: report to render.
        color: whether to use terminal colors.
        width: columns of the terminal, at which lines are wrapped; None for lines of any length.
        verbose: whether to show the traceback of every failure, and passed gates.
    """
    report = with_reachable_pages(report)
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width or 1_000,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        soft_wrap=True,
        legacy_windows=False,
    )
    for line in _lines(report, color=color, width=width, verbose=verbose):
        print_line(console, line, width=width)
    return buffer.getvalue()


def _lines(report: Report, *, color: bool, width: int | None, verbose: bool) -> Iterator[Line]:
    style = "bold red" if report.exit_code else "bold yellow" if report.outcome == "partial" else "bold green"
    yield Line(headline(report), style=style)
    yield from _block(score_lines(report, width=width))
    yield from _block(Line(sentence, style="dim") for sentence in calibration_sentences(report))
    yield from _block(gate_lines(report, verbose=verbose, color=color))
    yield from _block(variant_lines(report))
    directory = Path(report.directory) if report.directory else None
    for result in report.results:
        found = [
            *map(Line.indented, failures(result, verbose=verbose, directory=directory)),
            *change_lines(report, result),
            *not_passed_lines(report, result),
            *map(Line.indented, _unstable(result)),
        ]
        if found:
            yield from _block([Line(f"{plain(result.name)}: {_summary(report, result)}", style="bold"), *found])
    yield from _block(map(Line.indented, trend.console_lines(report)))
    yield from _block(_links(report))
    if retries := sum(run.retries for result in report.results for run in result.runs):
        yield from _block([Line(f"retries: {retries} (rate limits, timeouts)")])
    if advice := _to_resume(report):
        yield from _block([Line(plain(advice), style=style)])
    if report.results:
        yield from _block([Line(headline(report), style=style)])


def _block(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield an empty line and lines; nothing without lines."""
    found = list(lines)
    if found:
        yield Line()
    yield from found


def _links(report: Report) -> Iterator[Line]:
    """Yield the page of each experiment in Phoenix, next to its baseline if it was compared."""
    links = [
        (plain(result.name), plain(comparison_link(report.baseline_of(result.name), result) or result.url))
        for result in report.results
        if result.url
    ]
    longest = max((len(name) for name, _ in links), default=0)
    for name, url in links:
        yield Line(f"{name:{longest}}  {url}")


def _to_resume(report: Report) -> str:
    """Return advice for records that did not reach Phoenix or for missing runs; empty if nothing is missing."""
    if report.undelivered and not report.journal:
        return f"{count(report.undelivered, 'record')} did not reach Phoenix, and no journal contains them"
    if report.undelivered:
        return (
            f"{count(report.undelivered, 'record')} did not reach Phoenix, but the journal has them. "
            f"To send them: evalwire resume {shlex.quote(report.journal or '')}"
        )
    if report.journal and any(result.not_run or result.is_out_of_budget for result in report.results if result.opened):
        return f"To complete the job: {resume_command(report)}"
    return ""


def headline(report: Report) -> str:
    """Return the outcome of the job and its size, on a single line."""
    digest = Digest.of(report)
    word: str = digest.word + ended_text(report)
    if digest.tolerating:
        word += f" (tolerated: {'; '.join(f'{plain(gate.experiment)}, {gate.text}' for gate in digest.tolerating)})"
    set_gates = [gate for gate in report.gates if gate.source != "default"]
    gates = "" if digest.failed_experiments else _passed_gates(report.gates)
    if failed := sum(gate.is_red for gate in set_gates):
        gates = f"{failed} of {count(len(set_gates), 'gate')} failed"
    if notes := "; ".join(filter(None, (gates, plain(report.scope)))):
        word += f" ({notes})"
    word += drops_without_baseline(report)
    parts = [count(len(report.results), "experiment"), _size(report.results)]
    parts += [f"not written: {plain(problem)}" for problem in report.unwritten]
    if digest.failed_experiments and len(report.results) > 1:
        parts.append(f"{digest.failed_experiments} of {len(report.results)} experiments failed")
    if digest.failed_runs:
        parts.append(f"{count(digest.failed_runs, noun_of_runs(*report.results))} failed")
    elif not digest.failed_experiments:
        parts.append("none failed")
    if digest.not_run:
        parts.append(f"{digest.not_run} not run")
    if not_needed := not_needed_text(report):
        parts.append(not_needed)
    if digest.has_no_gates:
        parts.append("no gates")
    parts += filter(None, [used_text(report), f"{report.seconds:.1f} s"])
    return "; ".join(filter(None, (f"{word}: {', '.join(parts)}", scored_again(report))))


def _passed_gates(gates: Sequence[GateResult]) -> str:
    """Return how many gates passed, and how many were inconclusive."""
    passed = sum(gate.status == "passed" for gate in gates)
    parts = [f"{count(passed, 'gate')} passed"] if passed else []
    if inconclusive := sum(gate.status == "inconclusive" for gate in gates):
        parts.append(f"{inconclusive if parts else count(inconclusive, 'gate')} inconclusive")
    return ", ".join(parts)


def _size(results: Iterable[ExperimentResult]) -> str:
    """Return the number of examples and repetitions; if repetitions differ, the number of runs instead."""
    opened = [result for result in results if result.example_count]
    examples = count(sum(result.example_count for result in opened), "example")
    match sorted({result.repetitions for result in opened}):
        case [] | [1]:
            return examples
        case [repetitions]:
            return f"{examples} x {repetitions} repetitions"
    return f"{examples}, {count(sum(result.expected_runs for result in opened), 'run')}"


def _summary(report: Report, result: ExperimentResult) -> str:
    failed = sum(gate.is_red and gate.source != "default" for gate in report.gates_of(result.name))
    if result.passed and failed:
        return f"{count(failed, 'gate')} failed"
    if result.passed and report.partial:
        return "partial run"
    if result.passed:
        has_gates = report.gates_of(result.name) or report.baseline_of(result.name)
        return "passed" if has_gates else "scores differ between repetitions"
    if result.problems:
        return "cannot run"
    if result.incomplete_scores and not result.failed_runs and not result.failure:
        return f"an evaluator did not return all scores for every {noun_of_runs(result)}"
    if result.failed_runs:
        return f"{len(result.failed_runs)} of {count(result.expected_runs, noun_of_runs(result))} failed"
    return "did not finish" if result.opened else "did not start"


def _unstable(result: ExperimentResult) -> Iterator[str]:
    """Yield the examples with the largest spread over their repetitions, for each evaluator."""
    for score in result.scores:
        spreads = [(found.spread, found) for found in score.per_example if found.spread and found.spread >= _STABLE]
        for spread, found in sorted(spreads, key=lambda item: -item[0])[:_MOST_UNSTABLE]:
            subject = f"{plain(score.name)}  {plain(found.example_id)}"
            numbers = f"{written(found.mean, digits=2)} ± {written(spread, digits=2)} over {count(found.count, 'run')}"
            yield f"  unstable: {subject}  {numbers}"
