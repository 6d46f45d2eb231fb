"""Render the output of `evalwire compare`: changes of the scores, and examples that became worse or better."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, assert_never

from evalwire.model import written
from evalwire.reports.highlights import link
from evalwire.reports.text import cut, plain, single_line

if TYPE_CHECKING:
    from evalwire.model import Baseline, Comparison, ExperimentResult, Pair

Form = Literal["text", "markdown", "json"]
Compared = tuple["Baseline", "ExperimentResult", "ExperimentResult"]  # the comparison, the run and its baseline

_MOST_EXAMPLES = 20
_LONGEST_INPUT = 80
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+.!|~@:&-])")
_HEADS = ("evaluation", "before", "after", "change", "95% interval (two-sided)", "p (one-sided)", "worse", "better")


def render(compared: Sequence[Compared], form: Form) -> str:
    """Return comparisons in the given form."""
    match form:
        case "json":
            return json.dumps([_as_json(*parts) for parts in compared], ensure_ascii=False, indent=2) + "\n"
        case "markdown":
            return "\n".join(line for parts in compared for line in _lines(*parts, row=_markdown_row, plain=_markdown))
        case "text":
            return "\n".join(line for parts in compared for line in _lines(*parts, row=None, plain=plain))
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
    }


Row = Callable[[Sequence[str]], str]


def _lines(
    baseline: Baseline,
    new: ExperimentResult,
    old: ExperimentResult,
    *,
    row: Row | None,
    plain: Callable[[str], str],
) -> Iterator[str]:
    is_markdown = row is not None
    yield f"{'## ' if is_markdown else ''}{plain(new.name)}"
    yield ""
    for word, side in (("before", old), ("after", new)):
        name = plain(side.opened.recorded_name if side.opened else side.name)
        failed = f", {len(side.failed_runs)} of {len(side.runs)} runs failed" if side.failed_runs else ""
        failed += f", {side.not_run} not run" if side.not_run else ""
        yield f"{'- ' if is_markdown else ''}{word}: {name}  {_url(side.url, is_markdown=is_markdown)}{failed}"
    numbers = [f"{baseline.paired} unchanged {'example' if baseline.paired == 1 else 'examples'}"]
    for word, ids in (("added", baseline.added), ("removed", baseline.removed), ("changed", baseline.changed)):
        if ids:
            more = ", ..." if len(ids) > _MOST_EXAMPLES else ""
            numbers.append(f"{len(ids)} {word} ({', '.join(map(plain, ids[:_MOST_EXAMPLES]))}{more})")
    yield f"{'- ' if is_markdown else ''}{'; '.join(numbers)}"
    for word, names in _unpaired_evaluations(new, old).items():
        if names:
            yield f"{'- ' if is_markdown else ''}only {word}: {', '.join(map(plain, names))}"
    yield ""
    yield from _table([_cells(comparison, plain) for comparison in baseline.comparisons], row)
    for comparison in baseline.comparisons:
        yield from _flips(comparison, new, plain, is_markdown=is_markdown)
    yield ""


def _unpaired_evaluations(new: ExperimentResult, old: ExperimentResult) -> dict[str, list[str]]:
    """Return the names of the evaluations that only the old run has, and that only the new run has."""
    here, there = ({score.name for score in side.scores} for side in (new, old))
    return {"before": sorted(there - here), "after": sorted(here - there)}


def _cells(compared: Comparison, plain: Callable[[str], str]) -> list[str]:
    if compared.change is None:
        return [plain(compared.name), "-", "-", "-", "-", "-", "0", "0"]
    interval = f"{compared.interval.low:+.3f} to {compared.interval.high:+.3f}" if compared.interval else "-"
    return [
        plain(compared.name),
        written(compared.before),
        written(compared.after),
        f"{compared.change:+.3f}",
        interval,
        f"{compared.p_value:.3g}",
        str(len(compared.worse)),
        str(len(compared.better)),
    ]


def _table(rows: Sequence[Sequence[str]], row: Row | None) -> Iterator[str]:
    if row is not None:
        yield row(_HEADS)
        yield row(["---"] * len(_HEADS))
        yield from map(row, rows)
        return
    widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
    for cells in (_HEADS, *rows):
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _flips(
    comparison: Comparison, new: ExperimentResult, plain: Callable[[str], str], *, is_markdown: bool
) -> Iterator[str]:
    runs = {run.example.id: run for run in reversed(new.runs)}
    for word, pairs in (("worse", comparison.worse), ("better", comparison.better)):
        if not pairs:
            continue
        yield ""
        yield f"{'### ' if is_markdown else ''}{plain(comparison.name)}: {len(pairs)} {word}"
        if is_markdown:
            yield ""
        for pair in pairs[:_MOST_EXAMPLES]:
            yield _flip(pair, new, runs, plain, is_markdown=is_markdown)
        if len(pairs) > _MOST_EXAMPLES:
            yield f"{'- ' if is_markdown else '  '}and {len(pairs) - _MOST_EXAMPLES} more"


def _flip(
    pair: Pair, new: ExperimentResult, runs: dict[str, Any], plain: Callable[[str], str], *, is_markdown: bool
) -> str:
    run = runs.get(pair.example_id)
    text = f"{'- ' if is_markdown else '  '}{plain(pair.example_id)}  {written(pair.before)} to {written(pair.after)}"
    if run is None:
        return text
    asked = plain(cut(single_line(run.example.input), _LONGEST_INPUT))
    return f"{text}  {asked}  {_url(link(new, run), is_markdown=is_markdown)}".rstrip()


def _url(url: str | None, *, is_markdown: bool) -> str:
    if not url or not url.startswith(("http://", "https://")):
        return ""
    safe = plain(url).replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    return f"<{safe}>" if is_markdown else safe


def _markdown(text: str) -> str:
    return _MARKUP.sub(r"\\\1", plain(text))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
