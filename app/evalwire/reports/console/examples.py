"""Show the examples to look at first: what changed since the baseline, with both outputs, and the lowest scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from evalwire.model import count, written
from evalwire.reports.baseline_text import rescored_line
from evalwire.reports.console.wrapping import Line
from evalwire.reports.highlights import changed_examples, link, lowest
from evalwire.reports.text import plain, single_line
from evalwire.reports.word_changes import changed_words, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Baseline, BaselineRun, ExperimentResult, Report, TaskRun
    from evalwire.reports.highlights import ChangedExample, ScoreChange
    from evalwire.reports.word_changes import Words

# Limits for each experiment. results.json and Phoenix have the full data.
_MOST_EXAMPLES = 3
_LONGEST_TITLE = 100
_LONGEST_TEXT = 240
_LABEL = 10  # columns of a label such as `expected`


def change_lines(report: Report, result: ExperimentResult) -> Iterator[Line]:
    """Yield the baseline of an experiment, and the examples that changed most or scored lowest."""
    baseline = report.baseline_of(result.name)
    if baseline is not None and not baseline.note:  # the gates show the note
        yield Line(_compared(baseline), 2)
        for rescored in baseline.rescored:
            yield Line(rescored_line(rescored, result), 2)
    examples = changed_examples(baseline, result)
    worse = [example for example in examples if example.is_worse]
    if worse:
        better = len(examples) - len(worse)
        yield Line(f"{count(len(worse), 'example')} worse{f', {better} only better' if better else ''}", 2)
        yield from changed_lines(result, worse, most=_MOST_EXAMPLES)
    shown = {score.evaluation for example in worse for score in example.scores if score.gain < 0}
    for gate in report.gates_of(result.name):
        if gate.is_red and gate.rule in ("min", "min_pass_rate") and gate.evaluation not in shown:
            yield from _lowest(result, gate.evaluation or "")


def not_passed_lines(report: Report, result: ExperimentResult) -> Iterator[Line]:
    """Yield the examples of a partial run that did not pass, which nothing else shows without gates and baseline.

    Examples with failed calls are among the failures.
    """
    if report.partial is None or report.baseline_of(result.name) is not None:
        return
    failing = report.failing.get(result.name) or ()
    runs = {run.example.id: run for run in result.runs if run.example.id in failing and not run.failures}
    if runs:
        yield Line(f"{count(len(runs), 'example')} did not pass", 2)
    for run in list(runs.values())[:_MOST_EXAMPLES]:
        yield _title(run)
        scores = (f"{plain(each.name)} {_value(each.score, is_bool=each.kind == 'bool')}" for each in run.evaluations)
        yield Line("   ".join(scores), 6)
        yield from _outputs(run, None)
        if url := link(result, run):
            yield Line(plain(url), 6)
    if len(runs) > _MOST_EXAMPLES:
        yield Line(f"and {count(len(runs) - _MOST_EXAMPLES, 'more example')}", 4)


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


def changed_lines(result: ExperimentResult, examples: Sequence[ChangedExample], *, most: int) -> Iterator[Line]:
    """Yield examples with all their scores and both outputs, and the number of examples that are left out."""
    for example in examples[:most]:
        yield _title(example.run)
        yield Line(Text("   ").join(map(_score, example.scores)), 6)
        yield from _outputs(example.run, example.baseline_run)
        if url := link(result, example.run):
            yield Line(plain(url), 6)
    if len(examples) > most:
        yield Line(f"and {count(len(examples) - most, 'more example')}", 4)


def _score(score: ScoreChange) -> Text:
    style = "red" if score.gain < 0 else "green" if score.gain > 0 else "dim"
    before, after = (_value(value, is_bool=score.is_bool) for value in (score.before, score.after))
    return Text(f"{plain(score.evaluation)} {before}").append(f" → {after}" if before != after else "", style=style)


def _value(value: float | None, *, is_bool: bool) -> str:
    return str(value == 1) if is_bool else written(value, digits=2)


def _lowest(result: ExperimentResult, name: str) -> Iterator[Line]:
    found = lowest(result, name, most=_MOST_EXAMPLES)
    if found:
        yield Line(f"{plain(name)}: lowest scores", 2)
    for highlight in found:
        yield _title(highlight.run)
        yield Line(f"{plain(name)} {written(highlight.after, digits=2)}", 6)
        yield from _outputs(highlight.run, None)
        if url := link(result, highlight.run):
            yield Line(plain(url), 6)


def _title(run: TaskRun) -> Line:
    """Return the input of an example and its ID."""
    asked = Text(plain(single_line(run.example.input)), style="bold")
    asked.truncate(_LONGEST_TITLE, overflow="ellipsis")
    return Line(asked.append(f"  ({plain(run.example.id)})", style="not bold dim"), 4)


def _outputs(run: TaskRun, before: BaselineRun | None) -> Iterator[Line]:
    """Yield the expected output, and the output before and now; words that differ are colored."""
    now = f"task failed: {run.failure}" if run.failure else single_line(run.output)
    if run.example.output:
        yield _text("expected", [(plain(single_line(run.example.output)), False)], "")
    if before is None:
        yield _text("output", [(plain(now), False)], "")
        return
    then = f"task failed: {before.error}" if before.error else single_line(before.output)
    old, new = changed_words(plain(then), plain(now))
    if plain(then) == plain(now):
        yield _text("output", new, "")
        return
    yield _text("before", old, "red")
    yield _text("now", new, "green")


def _text(label: str, words: Words, style: str) -> Line:
    text = Text()
    for piece, is_changed in excerpt(words, _LONGEST_TEXT):
        text.append(piece, style=style if is_changed else "")
    return Line(text, 6, Text(f"{label:{_LABEL}}", style="dim"))
