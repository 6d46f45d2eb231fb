"""Render the output of `evalwire compare`: changes of the scores, and examples that changed, with both outputs."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, assert_never

from rich.console import Console
from rich.text import Text

from evalwire.model import change_text, count, score_text
from evalwire.reports.amounts import change_interval
from evalwire.reports.console.examples import changed_lines
from evalwire.reports.console.wrapping import Line, print_line
from evalwire.reports.highlights import changed_examples, comparison_link
from evalwire.reports.markdown.examples import changed_example
from evalwire.reports.markdown.parts import ROOMS, listed
from evalwire.reports.markdown_text import code, link_to
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalwire.model import Baseline, Comparison, ExperimentResult
    from evalwire.reports.highlights import ChangedExample

Form = Literal["text", "markdown", "json"]
Compared = tuple["Baseline", "ExperimentResult", "ExperimentResult"]  # the comparison, the run and its baseline

_MOST_EXAMPLES = 20
_HEADS = ("evaluation", "before", "after", "change", "95% interval (two-sided)", "p (one-sided)", "worse", "better")


def render(compared: Sequence[Compared], form: Form, *, color: bool = False, width: int | None = None) -> str:
    """Return comparisons in the given form.

    Args:
        compared: comparisons with both sides.
        form: text, Markdown or JSON.
        color: whether text has terminal colors.
        width: columns of the terminal, at which text is wrapped; None for lines of any length.
    """
    match form:
        case "json":
            return json.dumps([_as_json(*parts) for parts in compared], ensure_ascii=False, indent=2) + "\n"
        case "markdown":
            return "\n".join(line for parts in compared for line in _markdown(*parts))
        case "text":
            buffer = io.StringIO()
            console = Console(file=buffer, width=width or 1_000, force_terminal=color, highlight=False, soft_wrap=True)
            for parts in compared:
                for line in _text(*parts):
                    print_line(console, line, width=width)
            return buffer.getvalue()
        case _ as unknown:
            assert_never(unknown)


def _as_json(baseline: Baseline, new: ExperimentResult, old: ExperimentResult) -> dict[str, Any]:
    comparisons = [
        {
            **asdict(comparison),
            "worse": [pair.example_id for pair in comparison.worse],
            "better": [pair.example_id for pair in comparison.better],
        }
        for comparison in baseline.comparisons
    ]
    return {
        "experiment": new.name,
        "before": {"experiment_id": old.experiment_id, "name": baseline.recorded_name, "url": old.url},
        "after": {
            "experiment_id": new.experiment_id,
            "name": new.opened.recorded_name if new.opened else "",
            "url": new.url,
        },
        "comparison_url": comparison_link(baseline, new),
        "paired": baseline.paired,
        "added": baseline.added,
        "removed": baseline.removed,
        "changed": baseline.changed,
        "failed_before": len(old.failed_runs),
        "failed_after": len(new.failed_runs),
        "not_run_before": old.not_run,
        "not_run_after": new.not_run,
        **{f"only_{word}": names for word, names in _unpaired_evaluations(new, old).items()},
        "comparisons": comparisons,
        "examples": [_example_as_json(example) for example in changed_examples(baseline, new)],
    }


def _example_as_json(example: ChangedExample) -> dict[str, Any]:
    run, before = example.run, example.baseline_run
    return {
        "id": run.example.id,
        "repetition": run.repetition,
        "input": dict(run.example.input),
        "expected": dict(run.example.output),
        "before": {"output": before.output, "error": before.error or None} if before else None,
        "after": {"output": run.output, "error": str(run.failure) if run.failure else None},
        "scores": [
            {"name": score.evaluation, "before": score.before, "after": score.after} for score in example.scores
        ],
    }


# --- text ---


def _text(baseline: Baseline, new: ExperimentResult, old: ExperimentResult) -> Iterator[Line]:
    yield Line(plain(new.name), style="bold")
    yield Line()
    for word, side in (("before", old), ("after", new)):
        yield Line(f"{plain(_recorded_name(side))}{_problems(side)}", label=Text(f"{word:8}"))
    if page := comparison_link(baseline, new):
        yield Line(plain(page), label=Text(f"{'page':8}"))
    yield from (Line(plain(note)) for note in _sizes(baseline, new, old))
    yield Line()
    rows = [_cells(comparison) for comparison in baseline.comparisons]
    widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
    for cells in (_HEADS, *rows):
        yield Line("  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    for title, examples in _groups(baseline, new):
        yield Line()
        yield Line(title, style="bold")
        yield from changed_lines(new, examples, most=_MOST_EXAMPLES)
    yield Line()


def _recorded_name(side: ExperimentResult) -> str:
    return side.opened.recorded_name if side.opened else side.name


def _problems(side: ExperimentResult) -> str:
    failed = f", {len(side.failed_runs)} of {len(side.runs)} runs failed" if side.failed_runs else ""
    return failed + (f", {side.not_run} not run" if side.not_run else "")


def _sizes(baseline: Baseline, new: ExperimentResult, old: ExperimentResult) -> Iterator[str]:
    """Yield the numbers of examples, and the evaluations that only a single side has."""
    numbers = [count(baseline.paired, "unchanged example")]
    for word, ids in (("added", baseline.added), ("removed", baseline.removed), ("changed", baseline.changed)):
        if ids:
            more = ", ..." if len(ids) > _MOST_EXAMPLES else ""
            numbers.append(f"{len(ids)} {word} ({', '.join(ids[:_MOST_EXAMPLES])}{more})")
    yield "; ".join(numbers)
    for word, names in _unpaired_evaluations(new, old).items():
        if names:
            yield f"only {word}: {', '.join(names)}"


def _unpaired_evaluations(new: ExperimentResult, old: ExperimentResult) -> dict[str, list[str]]:
    """Return the names of the evaluations that only the old run has, and that only the new run has."""
    here, there = ({score.name for score in side.scores} for side in (new, old))
    return {"before": sorted(there - here), "after": sorted(here - there)}


def _cells(compared: Comparison) -> list[str]:
    if compared.change is None:
        return [plain(compared.name), "-", "-", "-", "-", "-", "0", "0"]
    interval, is_rate = compared.interval, compared.is_bool
    return [
        plain(compared.name),
        score_text(compared.before, is_rate=is_rate),
        score_text(compared.after, is_rate=is_rate),
        change_text(compared.change, is_rate=is_rate),
        change_interval(interval, is_rate=is_rate) if interval else "-",
        f"{compared.p_value:.3g}",
        str(len(compared.worse)),
        str(len(compared.better)),
    ]


def _groups(baseline: Baseline, new: ExperimentResult) -> Iterator[tuple[str, list[ChangedExample]]]:
    """Yield the examples that became worse, then the examples that only became better, each with a title."""
    examples = changed_examples(baseline, new)
    for word, found in (
        ("worse", [example for example in examples if example.is_worse]),
        ("better", [example for example in examples if not example.is_worse]),
    ):
        if found:
            yield f"{count(len(found), 'example')} {word}", found


# --- Markdown ---


def _markdown(baseline: Baseline, new: ExperimentResult, old: ExperimentResult) -> Iterator[str]:
    yield f"## {code(new.name)}"
    yield ""
    for word, side in (("before", old), ("after", new)):
        name = code(_recorded_name(side), 120)
        yield f"- {word}: {link_to(name, side.url) or name}{_problems(side)}"
    if page := link_to("both next to each other", comparison_link(baseline, new)):
        yield f"- {page}"
    for note in _sizes(baseline, new, old):
        yield f"- {note if note.replace(' ', '').isalnum() else code(note, 500)}"
    yield ""
    rows = [_cells(comparison) for comparison in baseline.comparisons]
    yield from (_row(cells) for cells in (_HEADS, ["---"] * len(_HEADS)))
    yield from (_row([code(name, in_table=True), *cells]) for name, *cells in rows)
    for title, examples in _groups(baseline, new):
        yield ""
        yield f"### {title}"
        yield ""
        items = (changed_example(new, example, ROOMS[0]) for example in examples)
        yield from listed(items, _MOST_EXAMPLES, len(examples), "examples")
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
