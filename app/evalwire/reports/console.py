"""Render a report as text for the console: the outcome, a table, failures with their places, and links."""

from __future__ import annotations

import io
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evalwire.model import count, written
from evalwire.reports.baseline_text import drops_without_baseline, rescored_line, scored_again
from evalwire.reports.causes import What, causes_of
from evalwire.reports.digest import Digest
from evalwire.reports.highlights import Highlight, improvements, link, lowest, regressions
from evalwire.reports.text import cut, cut_middle, harmless, plain, single_line, without_score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from evalwire.model import Baseline, ExperimentResult, Failure, GateResult, Report, ScoreSummary

# Limits for each experiment. results.json and Phoenix have the full data.
_MOST_CAUSES = 10
_MOST_EXAMPLES = 3
_LONGEST_MESSAGE = 500
_LONGEST_TRACEBACK = 5_000
_LONGEST_INPUT = 100
_STABLE = 0.005  # smaller spreads are shown as 0.00


def pieces(report: Report) -> list[str]:
    """Return the report as plain text, in a single piece."""
    return [render(report)]


def render(
    report: Report,
    *,
    color: bool = False,
    width: int = 100,
    verbose: bool = False,
) -> str:
    """Return the report as text.

    Args:
        report: report to render.
        color: whether to use terminal colors.
        width: width of the table in characters.
        verbose: whether to show the traceback of every failure.
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
    console.print(Text(headline(report), style=style))
    if report.results:
        console.print()
        console.print(_table(report), soft_wrap=False, crop=False)
    _print_gates(console, report)
    directory = Path(report.directory) if report.directory else None
    for result in report.results:
        lines = [*failures(result, verbose=verbose, directory=directory), *_changes(report, result), *_unstable(result)]
        if lines:
            console.print()
            console.print(Text(f"{plain(result.name)}: {_summary(report, result)}", style="bold"))
            for line in lines:
                console.print(Text(line))
    links = [(plain(result.name), plain(result.url)) for result in report.results if result.url]
    if links:
        console.print()
        longest = max(len(name) for name, _ in links)
        for name, url in links:
            console.print(Text(f"{name:{longest}}  {url}"))
    if retries := sum(run.retries for result in report.results for run in result.runs):
        console.print(f"\nretries: {retries} (rate limits, timeouts)")
    if advice := _to_resume(report):
        console.print()
        console.print(Text(plain(advice), style=style))
    return buffer.getvalue()


def _print_gates(console: Console, report: Report) -> None:
    if report.gates:
        console.print()
    for gate in sorted(report.gates, key=lambda gate: (not gate.is_red, gate.status == "passed")):
        console.print(Text(_gate(gate), style="red" if gate.is_red else ""))


def _to_resume(report: Report) -> str:
    """Return advice for records that did not reach Phoenix or for missing runs; empty if nothing is missing."""
    if report.undelivered and not report.journal:
        return f"{count(report.undelivered, 'record')} did not reach Phoenix, and no journal contains them"
    if report.undelivered:
        return (
            f"{count(report.undelivered, 'record')} did not reach Phoenix, but the journal has them. "
            f"To send them: evalwire resume {shlex.quote(report.journal or '')}"
        )
    if report.journal and any(result.not_run for result in report.results if result.opened):
        return f"To complete the job: evalwire resume {shlex.quote(report.journal)}"
    return ""


def headline(report: Report) -> str:
    """Return the outcome of the job and its size, on a single line."""
    digest = Digest.of(report)
    word: str = digest.word
    if report.scope:
        word += f" ({report.scope})"
    if digest.tolerating:
        word += f" (tolerated: {'; '.join(f'{plain(gate.experiment)}, {gate.text}' for gate in digest.tolerating)})"
    if failed := sum(gate.is_red and gate.source != "default" for gate in report.gates):
        word += f" ({failed} of {count(len(report.gates), 'gate')} failed)"
    elif (passed := _passed_gates(report.gates)) and not digest.failed_experiments:
        word += f" ({passed})"
    word += drops_without_baseline(report)
    parts = [count(len(report.results), "experiment"), _size(report.results)]
    parts += [f"not written: {plain(problem)}" for problem in report.unwritten]
    if digest.failed_experiments:
        parts.append(f"{digest.failed_experiments} of {len(report.results)} experiments failed")
    if digest.failed_runs:
        parts.append(f"{count(digest.failed_runs, _noun(*report.results))} failed")
    elif not digest.failed_experiments:
        parts.append("none failed")
    if digest.not_run:
        parts.append(f"{digest.not_run} not run")
    if digest.has_no_gates:
        parts.append("no gates")
    parts.append(f"{report.seconds:.1f} s")
    return "; ".join(filter(None, (f"{word}: {', '.join(parts)}", scored_again(report))))


def _passed_gates(gates: Sequence[GateResult]) -> str:
    """Return how many gates passed, and how many were inconclusive."""
    passed = sum(gate.status == "passed" for gate in gates)
    parts = [f"{count(passed, 'gate')} passed"] if passed else []
    if inconclusive := sum(gate.status == "inconclusive" for gate in gates):
        parts.append(f"{inconclusive if parts else count(inconclusive, 'gate')} inconclusive")
    return ", ".join(parts)


def _noun(*results: ExperimentResult) -> str:
    """Return the noun to count: `example`, or `run` if an example runs several times."""
    return "run" if any(result.repetitions > 1 for result in results) else "example"


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


def _table(report: Report) -> Table:
    """Return a table with a row for each experiment; names are cut if they do not fit, but numbers are not."""
    scored = [(result, result.scores) for result in report.results]
    is_repeated = any(result.repetitions > 1 for result in report.results)
    means = [len(_mean(score)) for _, scores in scored for score in scores if score.mean is not None]
    tries = {max(score.pass_at) for _, scores in scored for score in scores if score.pass_at}
    k = tries.pop() if len(tries) == 1 else "k" if tries else None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("experiment", min_width=10)
    table.add_column("examples", justify="right", min_width=8, no_wrap=True)
    table.add_column("failed", justify="right", min_width=6, no_wrap=True)
    table.add_column("evaluator", min_width=9)
    table.add_column("mean", min_width=max(means, default=0), no_wrap=True)
    if is_repeated:
        table.add_column("spread", min_width=6, no_wrap=True)
    if k:
        table.add_column(f"pass@{k} / pass^{k}", min_width=15, no_wrap=True)
    table.add_column("seconds", justify="right", min_width=7, no_wrap=True)
    for result, scores in scored:
        bad = result.bad_runs
        table.add_row(
            Text(plain(result.name), style="" if report.passed(result) else "red", no_wrap=True, overflow="ellipsis"),
            f"{result.example_count} x {result.repetitions}" if result.repetitions > 1 else str(result.example_count),
            Text(str(bad), style="red" if bad else ""),
            _lines(score.name for score in scores),
            _lines(map(_mean, scores)),
            *([_lines(map(_spread, scores))] if is_repeated else ()),
            *([_lines(map(_passes, scores))] if k else ()),
            f"{result.seconds:.1f}",
        )
    return table


def _lines(cells: Iterable[str]) -> Text:
    return Text("\n".join(map(plain, cells)), no_wrap=True, overflow="ellipsis")


def _mean(score: ScoreSummary) -> str:
    if score.mean is not None:
        text = written(score.mean)
    elif score.labels:
        text = ", ".join(f"{label} {count}" for label, count in sorted(score.labels.items(), key=lambda item: -item[1]))
    else:
        text = "-"
    return text + without_score(score)


def _spread(score: ScoreSummary) -> str:
    return written(score.spread)


def _passes(score: ScoreSummary) -> str:
    if not score.pass_at:
        return "-"
    k = max(score.pass_at)
    return f"{score.pass_at[k]:.3f} / {score.pass_hat[k]:.3f}"


def _gate(gate: GateResult) -> str:
    """Return a gate on a line, with the state in capitals if the gate fails the job."""
    word = gate.status.upper() if gate.is_red else gate.status
    text = f"  {word:12}  {plain(gate.experiment)}  {plain(gate.text)}"
    if gate.rule == "max_drop" and gate.interval is not None:
        low, high = f"{gate.interval.low:+.3f}", f"{gate.interval.high:+.3f}"
        text += f"; change {low} to {high} (two-sided {gate.interval.confidence:.0%} interval)"
    return text if gate.p_value is None else f"{text}; one-sided p = {gate.p_value:.3g}"


def _changes(report: Report, result: ExperimentResult) -> Iterator[str]:
    """Yield the baseline of an experiment, and the examples that changed most or scored lowest."""
    baseline = report.baseline_of(result.name)
    if baseline is not None and not baseline.note:  # the gates show the note
        yield f"  {_compared(baseline)}"
        yield from (f"  {rescored_line(rescored)}" for rescored in baseline.rescored)
    gates = report.gates_of(result.name)
    worse, better = regressions(report, result), improvements(report, result)
    for name, found in _by_evaluation(worse).items():
        gained = sum(highlight.evaluation == name for highlight in better)
        yield f"  {plain(name)}: {count(len(found), 'example')} worse, {gained} better"
        yield from _shown(result, found)
    for gate in gates:
        if gate.is_red and gate.rule in ("min", "min_pass_rate") and gate.evaluation not in _by_evaluation(worse):
            found = lowest(result, gate.evaluation or "", most=_MOST_EXAMPLES)
            if found:
                yield f"  {plain(gate.evaluation or '')}: lowest scores"
                yield from _shown(result, found)


def _by_evaluation(found: Iterable[Highlight]) -> dict[str, list[Highlight]]:
    groups: dict[str, list[Highlight]] = {}
    for highlight in found:
        groups.setdefault(highlight.evaluation, []).append(highlight)
    return groups


def _shown(result: ExperimentResult, found: Sequence[Highlight]) -> Iterator[str]:
    for highlight in found[:_MOST_EXAMPLES]:
        run = highlight.run
        before = "" if highlight.before is None else f"{written(highlight.before, digits=2)} to "
        yield f"    {plain(run.example.id)}  {before}{written(highlight.after, digits=2)}"
        output = f"task failed: {run.failure}" if run.failure else run.output
        for name, value in (("input", run.example.input), ("expected", run.example.output), ("output", output)):
            yield f"      {name:8}  {cut(plain(single_line(value)), _LONGEST_INPUT)}"
        if url := link(result, run):
            yield f"      {plain(url)}"
    if len(found) > _MOST_EXAMPLES:
        yield f"    and {count(len(found) - _MOST_EXAMPLES, 'more example')}"


def _compared(baseline: Baseline) -> str:
    where = " ".join(filter(None, (baseline.branch, (baseline.commit or "")[:8])))
    numbers = ", ".join(
        f"{len(ids)} {word}"
        for word, ids in (("added", baseline.added), ("removed", baseline.removed), ("changed", baseline.changed))
        if ids
    )
    same = count(baseline.paired, "unchanged example") + (f", {numbers}" if numbers else "")
    name = baseline.recorded_name or baseline.asked
    return f"compared with {plain(name)}{f' ({plain(where)})' if where else ''}: {same}"


def _summary(report: Report, result: ExperimentResult) -> str:
    failed = sum(gate.is_red and gate.source != "default" for gate in report.gates_of(result.name))
    if result.passed and failed:
        return f"{count(failed, 'gate')} failed"
    if result.passed:
        has_gates = report.gates_of(result.name) or report.baseline_of(result.name)
        return "passed" if has_gates else "scores differ between repetitions"
    if result.problems:
        return "cannot run"
    if result.incomplete_scores and not result.failed_runs and not result.failure:
        return f"an evaluator did not return all scores for every {_noun(result)}"
    if result.failed_runs:
        return f"{len(result.failed_runs)} of {count(result.expected_runs, _noun(result))} failed"
    return "did not finish" if result.opened else "did not start"


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
        size = count(len(result.runs), _noun(result))
        yield f"  score {plain(score.name)}: returned for only {score.given} of {size}"


def _unstable(result: ExperimentResult) -> Iterator[str]:
    """Yield the examples with the largest spread over their repetitions, for each evaluator."""
    for score in result.scores:
        spreads = [(found.spread, found) for found in score.per_example if found.spread and found.spread >= _STABLE]
        for spread, found in sorted(spreads, key=lambda item: -item[0])[:_MOST_EXAMPLES]:
            subject = f"{plain(score.name)}  {plain(found.example_id)}"
            numbers = f"{written(found.mean, digits=2)} ± {written(spread, digits=2)} over {count(found.count, 'run')}"
            yield f"  unstable: {subject}  {numbers}"


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
            yield f"    and {count(len(cause.runs) - _MOST_EXAMPLES, f'more {_noun(result)}')}"
    if len(causes) > _MOST_CAUSES:
        yield f"  and {count(len(causes) - _MOST_CAUSES, 'more kind')} of failure"


_WORDS: Mapping[What, str] = {"task": "task", "record": "not recorded", "evaluator": "evaluator"}

_SELF_EXPLAINING = ("MissingCallable", "BindingError", "NoEvaluator")
