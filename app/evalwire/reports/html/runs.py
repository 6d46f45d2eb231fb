"""Describe the runs for the page: the row of a run, and the tree of the opened run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from evalwire.model import count
from evalwire.reports.highlights import comparison_link, link
from evalwire.reports.html.markup import is_web_address
from evalwire.reports.html.numbers import DASH, duration
from evalwire.reports.html.packing import Book
from evalwire.reports.html.section import answer, evaluation_of, preview, shown_label, shown_score
from evalwire.reports.html.tree import Node, cleaned
from evalwire.reports.html.values import Values
from evalwire.reports.text import cut, cut_middle, relative

if TYPE_CHECKING:
    from evalwire.model import Evaluation, Failure, TaskRun
    from evalwire.reports.html.section import Section

MOST_WITHOUT_SCRIPT = 200  # runs
_BLOCK = 250_000  # characters of runs that are compressed together
_SAMPLES, _SAMPLE = 250, 20_000  # runs from which the common words are known, and characters of each
_LONGEST_TITLE, _LONGEST_ANSWER, _LONGEST_LABEL = 120, 90, 40
_MANY, _MANY_OF_SOME, _FEW = 1_000_000, 100_000, 200  # characters without the script: of all runs, of some, of a value

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Cell(NamedTuple):
    """A cell of the table: its text, its class, smaller text behind it, and the value to sort by (None: the text)."""

    text: str
    kind: str = ""
    small: str = ""
    sort: float | str | None = None


class Row(NamedTuple):
    """The row of a run.

    Attributes:
        cells: cells by column; the first has the question.
        id: ID of the example if its author gave one.
        answer: start of the output.
        kinds: words for the filter: `failed`, `worse`, `better`.
        splits: splits of the example.
    """

    cells: list[Cell]
    id: str
    answer: str
    kinds: str
    splits: tuple[str, ...]


def row(section: Section, run: TaskRun, place: int) -> Row:
    """Return the row of a run, by its position in the experiment."""
    kinds, status = section.status(run)
    cells = [Cell(title(run, _LONGEST_TITLE))]
    if section.result.repetitions > 1:
        cells.append(Cell(str(run.repetition)))
    cells.append(Cell(status, f"is {kinds}".strip()))
    cells += [_score_cell(section, run, score.name) for score in section.scores]
    cells.append(Cell(duration(run.seconds), sort=round(run.seconds, 6)))
    if section.has_tokens:
        tokens = section.tokens[place]
        cells.append(Cell("" if tokens is None else str(tokens)))
    return Row(cells, author_id(run), cut(answer(run), _LONGEST_ANSWER), kinds, run.example.splits)


def title(run: TaskRun, length: int) -> str:
    """Return the question of a run on a single line, or the ID of an example without an input."""
    return cut(preview(run.example.input), length) or run.example.id


def author_id(run: TaskRun) -> str:
    """Return the example's ID if its author gave one; empty for Phoenix's own ID."""
    return "" if run.example.id == run.example.node_id else run.example.id


def _score_cell(section: Section, run: TaskRun, name: str) -> Cell:
    said = evaluation_of(run, name)
    if said is None or said.failure:
        return Cell("failed" if said else DASH, "bad", sort="")
    if said.score is None:
        return Cell("" if said.label is None else cut(said.label, _LONGEST_LABEL))
    kind, change = section.change(run, name)
    small = " ".join(part for part in (cut(shown_label(said), _LONGEST_LABEL), change) if part)
    exact = f"{said.score:.12g}"
    shown = shown_score(said)
    return Cell(shown, kind, small, None if shown == exact else float(exact))


# --- the opened run --------------------------------------------------------------------------------------


def details(section: Section, run: TaskRun, place: int, values: Values) -> Node:
    """Return everything about a run as a tree."""
    found: list[Node] = [_facts(section, run, place)]
    if run.failure:
        found.append(_failure(section, "Task", run.failure, values))
    if run.record_failure:
        found.append(_failure(section, "Not recorded", run.record_failure, values))
    found.append(["div", "texts versus", *_texts(section, run, values)])
    if run.evaluations:
        found.append(["div", "evaluations", *(_evaluation(section, run, each, values) for each in run.evaluations)])
    if run.example.metadata:
        found += [["h4", "", "Example metadata"], *values.shown(run.example.metadata)]
    return ["div", "run", *found]


def _facts(section: Section, run: TaskRun, place: int) -> Node:
    tokens, example = section.tokens[place], run.example
    parts = [
        f"started {run.start_time.strftime('%Y-%m-%d %H:%M:%S')}",
        duration(run.seconds),
        f"{run.attempts} attempts" if run.attempts > 1 else "",
        count(tokens, "token") if tokens else "",
        f"example {example.id}" + ("" if example.id == example.node_id else f" ({example.node_id})"),
        f"split {', '.join(example.splits)}" if example.splits else "",
        f"run {run.id}" if run.id else "",
    ]
    facts: list[Node] = ["p", "quiet", ["bdi", "", " · ".join(filter(None, parts))]]
    earlier, page = section.earlier(run), comparison_link(section.baseline, section.result)
    links = [(link(section.result, run), "trace in Phoenix")]
    if page:
        links += [(link(section.result, earlier), "trace of the baseline")] if earlier else []
        links += [(page, "both experiments in Phoenix")] if section.is_paired(run) else []
    for address, label in links:
        if address and is_web_address(address):
            facts += [" · ", ["a", address, label]]
    return facts


def _texts(section: Section, run: TaskRun, values: Values) -> Iterator[Node]:
    yield ["div", "", ["h4", "", "Input"], *values.shown(run.example.input)]
    yield ["div", "", ["h4", "", "Expected"], *values.shown(run.example.output)]
    before: list[Node] | None = None
    if earlier := section.earlier(run):
        if earlier.error:
            before = [["p", "bad", "failed"], *values.shown(earlier.error)]
        elif run.failure is None and earlier.output == run.output:
            before = [["p", "quiet", "the same output"]]
        else:
            before = values.shown(earlier.output)
    elif section.is_same(run):
        before = [["p", "quiet", "the same output"]]
    if before is not None:
        yield ["div", "then", ["h4", "", "Before"], *before]
    if not run.failure:
        yield ["div", "now", ["h4", "", "Output" if before is None else "Now"], *values.shown(run.output)]
    elif before is not None:
        yield ["div", "", ["h4", "", "Now"], ["p", "bad", "failed"]]


def _evaluation(section: Section, run: TaskRun, evaluation: Evaluation, values: Values) -> Node:
    kind, change = section.change(run, evaluation.name)
    said = " ".join(filter(None, (shown_score(evaluation), shown_label(evaluation))))
    heading: list[Node] = ["h4", "", ["b", "", evaluation.name], " ", ["bdi", "", said]]
    if change:
        heading += [" ", ["span", kind, f"({change})"]]
    found: list[Node] = [heading]
    if evaluation.attempts > 1:
        found.append(["p", "quiet", f"after {evaluation.attempts} attempts"])
    earlier = section.earlier(run)
    before = earlier.explanations.get(evaluation.name) if earlier and kind else None
    if before and before != evaluation.explanation:
        none: list[Node] = [["p", "quiet", "no explanation"]]
        now = values.shown(evaluation.explanation) if evaluation.explanation else none
        then: Node = ["div", "then", ["h5", "", "Before"], *values.shown(before)]
        found.append(["div", "versus", then, ["div", "now", ["h5", "", "Now"], *now]])
    elif evaluation.explanation:
        found += values.shown(evaluation.explanation)
    if evaluation.metadata:
        found += values.shown(evaluation.metadata)
    if evaluation.failure:
        found.append(_failure(section, "Evaluator", evaluation.failure, values))
    return ["div", "evaluation", *found]


def _failure(section: Section, heading: str, failure: Failure, values: Values) -> Node:
    def shown(text: str) -> str:
        return values.count(cut_middle(text, values.longest))

    message = f": {shown(failure.message)}" if failure.message else ""
    cause = f" (from {shown(failure.cause)})" if failure.cause else ""
    what: list[Node] = ["p", "", ["b", "", heading], " ", ["code", "", f"{failure.type}{message}{cause}"]]
    if failure.where:
        what += [" ", ["span", "quiet", relative(failure.where, section.report.directory)]]
    found: list[Node] = ["div", "failure", what]
    if failure.traceback:
        found.append(["details", "", ["summary", "", "Traceback"], ["pre", "", shown(failure.traceback)]])
    return found


# --- all runs --------------------------------------------------------------------------------------------


def book(sections: Sequence[Section]) -> Book:
    """Return the codes of the words that are common in some of the runs."""
    total = sum(len(section.result.runs) for section in sections)
    step = max(1, total // _SAMPLES)
    values = Values()
    return Book(
        _encoded([row(section, run, place), details(section, run, place, values)])[:_SAMPLE]
        for section in sections
        for place, run in enumerate(section.result.runs)
        if place % step == 0
    )


def blocks(section: Section, codes: Book, values: Values) -> Iterator[tuple[str, str]]:
    """Yield the blocks of an experiment, each with its ID: `d0-1` for opened runs, and at last `i0` for all rows.

    The rows come with the position of the first run of each block.
    """
    starts: list[int] = []
    rows: list[str] = []
    opened: list[str] = []
    size = 0
    for place, run in enumerate(section.result.runs):
        if not opened:
            starts.append(place)
        rows.append(_encoded(_plain(row(section, run, place))))
        opened.append(_encoded(details(section, run, place, values)))
        size += len(opened[-1])
        if size >= _BLOCK:
            yield f"d{section.number}-{len(starts) - 1}", codes.packed(f"[{','.join(opened)}]")
            opened, size = [], 0
    if opened:
        yield f"d{section.number}-{len(starts) - 1}", codes.packed(f"[{','.join(opened)}]")
    yield f"i{section.number}", codes.packed(f'{{"starts":{json.dumps(starts)},"rows":[{",".join(rows)}]}}')


def _plain(found: Row) -> list[Any]:
    """Return a row as JSON values; a cell with only a text is the text."""
    return [[cell.text if cell == Cell(cell.text) else cell for cell in found.cells], *found[1:]]


def _encoded(value: Any) -> str:
    """Return JSON, in whose texts control characters are visible."""
    encoded = _ENCODER.encode(value)
    if encoded.isprintable() and "\\u" not in encoded and "\\r" not in encoded:  # as most are
        return encoded
    return _ENCODER.encode(cleaned(value))


def static_rows(sections: Sequence[Section]) -> Mapping[int, list[tuple[int, Row, Node]]]:
    """Return the rows that are shown without the script, by the number of the experiment: failed and worse runs first.

    A row is a position in the experiment, the row and the opened run.
    """
    found = [
        (_urgency(run, regressions), section, place, run)
        for section in sections
        for regressions in [{changed.run.example.id: rank for rank, changed in enumerate(section.regressions)}]
        for place, run in enumerate(section.result.runs)
    ]
    worst = sorted(found, key=lambda item: item[0])[:MOST_WITHOUT_SCRIPT]  # stable: else in the order of the report
    values = Values(_MANY if len(worst) == len(found) else _MANY_OF_SOME, _FEW)
    rows: dict[int, list[tuple[int, Row, Node]]] = {section.number: [] for section in sections}
    for _, section, place, run in found if len(worst) == len(found) else worst:
        opened = cleaned(details(section, run, place, values))
        rows[section.number].append((place, row(section, run, place), opened))
    return rows


def _urgency(run: TaskRun, regressions: Mapping[str, int]) -> tuple[int, int]:
    if run.failures:
        return 0, 0
    rank = regressions.get(run.example.id)
    return (2, 0) if rank is None else (1, rank)
