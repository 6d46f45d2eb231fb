"""Describe the runs for the page: the row of a run, and the tree of the opened run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from evalwire.model import count
from evalwire.reports.highlights import link
from evalwire.reports.html.markup import is_web_address
from evalwire.reports.html.numbers import DASH, duration
from evalwire.reports.html.packing import Book, Pack
from evalwire.reports.html.section import (
    evaluation_of,
    shown_label,
    shown_score,
    start_of_answer,
    start_of_preview,
)
from evalwire.reports.html.tree import Node, cleaned
from evalwire.reports.html.values import Values
from evalwire.reports.text import cut, cut_middle, relative

if TYPE_CHECKING:
    from evalwire.model import BaselineRun, Evaluation, Failure, TaskRun
    from evalwire.reports.html.section import Section

MOST_WITHOUT_SCRIPT = 200  # runs
_BLOCK = 250_000  # characters of runs that are compressed together
_SAMPLES, _SAMPLE = 250, 20_000  # runs from which the common words are known, and characters of each
_SHORT, _SMALL = 4_000, 40_000_000  # bytes of a run and of all runs, of which Deflate alone makes a page of 8 MB
_LONGEST_TITLE, _LONGEST_ANSWER, _LONGEST_LABEL = 120, 90, 40
_MANY, _MANY_OF_SOME, _FEW = 1_000_000, 100_000, 200  # characters without the script: of all runs, of some, of a value

_ENCODER = msgspec.json.Encoder()
_DOT = "\xb7".encode()  # the page's own separator
_ESCAPED = re.compile(rb"\\[bfru]")  # perhaps a control character, which is made visible


class Cell(NamedTuple):
    """A cell of the table: its text, its class, smaller text behind it, and the value to sort by (None: the text)."""

    text: str
    kind: str = ""
    small: str = ""
    sort: float | str | None = None


_ONLY_TEXT = Cell("")[1:]


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
    shown = cut(start_of_answer(run, _LONGEST_ANSWER), _LONGEST_ANSWER)
    return Row(cells, author_id(run), shown, kinds, run.example.splits)


def title(run: TaskRun, length: int) -> str:
    """Return the question of a run on a single line, or the ID of an example without an input."""
    return cut(start_of_preview(run.example.input, length), length) or run.example.id


def author_id(run: TaskRun) -> str:
    """Return the example's ID if its author gave one; empty for Phoenix's own ID."""
    return "" if run.example.id == run.example.node_id else run.example.id


def _score_cell(section: Section, run: TaskRun, name: str) -> Cell:
    said = evaluation_of(run, name)
    if said is None or said.failure:
        return Cell("failed" if said else DASH, "bad", sort="")
    if said.score is None:
        return Cell("" if said.label is None else cut(said.label, _LONGEST_LABEL))
    return _scored(said.score, shown_score(said), cut(shown_label(said), _LONGEST_LABEL), *section.change(run, name))


@lru_cache(maxsize=4096)
def _scored(score: float, shown: str, label: str, kind: str, change: str) -> Cell:
    exact = f"{score:.12g}"
    small = " ".join(filter(None, (label, change)))
    return Cell(shown, kind, small, None if shown == exact else float(exact))


# --- the opened run --------------------------------------------------------------------------------------


def details(section: Section, run: TaskRun, place: int, values: Values) -> Node:
    """Return everything about a run as a tree."""
    earlier = section.earlier(run)
    found: list[Node] = [_facts(section, run, place, earlier)]
    if run.failure:
        found.append(_failure(section, "Task", run.failure, values))
    if run.record_failure:
        found.append(_failure(section, "Not recorded", run.record_failure, values))
    found.append(["div", "texts versus", *_texts(section, run, earlier, values)])
    if run.evaluations:
        said = [_evaluation(section, run, each, earlier, values) for each in run.evaluations]
        found.append(["div", "evaluations", *said])
    if run.example.metadata:
        found += [["h4", "", "Example metadata"], *values.shown(run.example.metadata)]
    return ["div", "run", *found]


def _facts(section: Section, run: TaskRun, place: int, earlier: BaselineRun | None) -> Node:
    tokens, example = section.tokens[place], run.example
    parts = [
        f"started {run.start_time.isoformat(' ', 'seconds')[:19]}",
        duration(run.seconds),
        f"{run.attempts} attempts" if run.attempts > 1 else "",
        count(tokens, "token") if tokens else "",
        f"example {example.id}" + ("" if example.id == example.node_id else f" ({example.node_id})"),
        f"split {', '.join(example.splits)}" if example.splits else "",
        f"run {run.id}" if run.id else "",
    ]
    facts: list[Node] = ["p", "quiet", ["bdi", "", " · ".join(filter(None, parts))]]
    page = section.comparison_page
    links = [(link(section.result, run), "trace in Phoenix")]
    if page:
        links += [(link(section.result, earlier), "trace of the baseline")] if earlier else []
        links += [(page, "both experiments in Phoenix")] if section.is_paired(run) else []
    for address, label in links:
        if address and _is_web_address(section, address):
            facts += [" · ", ["a", address, label]]
    return facts


def _is_web_address(section: Section, address: str) -> bool:
    """Check whether the address of a trace is a web address; an ID of letters and digits needs no parser."""
    id_ = address.rpartition("/")[2]
    return (section.has_web_address and id_.isalnum() and id_.isascii()) or is_web_address(address)


def _texts(section: Section, run: TaskRun, earlier: BaselineRun | None, values: Values) -> Iterator[Node]:
    yield ["div", "", ["h4", "", "Input"], *values.shown(run.example.input)]
    yield ["div", "", ["h4", "", "Expected"], *values.shown(run.example.output)]
    before: list[Node] | None = None
    if earlier:
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


def _evaluation(
    section: Section, run: TaskRun, evaluation: Evaluation, earlier: BaselineRun | None, values: Values
) -> Node:
    kind, change = section.change(run, evaluation.name)
    said = " ".join(filter(None, (shown_score(evaluation), shown_label(evaluation))))
    heading: list[Node] = ["h4", "", ["b", "", evaluation.name], " ", ["bdi", "", said]]
    if change:
        heading += [" ", ["span", kind, f"({change})"]]
    found: list[Node] = [heading]
    if evaluation.attempts > 1:
        found.append(["p", "quiet", f"after {evaluation.attempts} attempts"])
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
    """Return the codes of the words that are common in some of the runs; no codes if the runs are short and few."""
    total = sum(len(section.result.runs) for section in sections)
    step = max(1, total // _SAMPLES)
    values = Values()
    samples = [
        _encoded([row(section, run, place), details(section, run, place, values)])
        for section in sections
        for place, run in enumerate(section.result.runs)
        if place % step == 0
    ]
    mean = sum(map(len, samples)) / len(samples)
    return Book(() if mean < _SHORT and mean * total < _SMALL else map(_start, samples))


def _start(sample: bytes) -> bytes:
    """Return the start of a long text, up to a space."""
    return sample if len(sample) <= _SAMPLE else sample[: max(0, sample.rfind(b" ", 0, _SAMPLE))]


def blocks(section: Section, codes: Book, values: Values) -> Iterator[tuple[str, str]]:
    """Yield the blocks of an experiment, each with its ID: `d0-1` for opened runs, and at last `i0` for all rows.

    The rows come with the position of the first run of each block.
    """
    starts: list[int] = []
    rows = Pack(codes)
    opened, size = Pack(codes), 0
    for place, run in enumerate(section.result.runs):
        if not size:
            starts.append(place)
        rows.add((b"," if place else b'{"rows":[') + _encoded(_plain(row(section, run, place))))
        encoded = _encoded(details(section, run, place, values))
        opened.add((b"," if size else b"[") + encoded)
        size += len(encoded)
        if size >= _BLOCK:
            opened.add(b"]")
            yield f"d{section.number}-{len(starts) - 1}", opened.text()
            opened, size = Pack(codes), 0
    if size:
        opened.add(b"]")
        yield f"d{section.number}-{len(starts) - 1}", opened.text()
    rows.add((b"" if starts else b'{"rows":[') + b'],"starts":' + _ENCODER.encode(starts) + b"}")
    yield f"i{section.number}", rows.text()


def _plain(found: Row) -> list[Any]:
    """Return a row as JSON values; a cell with only a text is the text."""
    return [[cell.text if cell[1:] == _ONLY_TEXT else cell for cell in found.cells], *found[1:]]


def _encoded(value: Any) -> bytes:
    """Return JSON, in whose texts control characters are visible."""
    try:
        encoded = _ENCODER.encode(value)
    except UnicodeEncodeError:  # half of a surrogate pair
        return _ENCODER.encode(cleaned(value))
    is_ascii = encoded.translate(None, _DOT).isascii()
    if _ESCAPED.search(encoded) or b"\x7f" in encoded or not (is_ascii or encoded.decode().isprintable()):
        return _ENCODER.encode(cleaned(value))
    return encoded


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
    if run.has_failed:
        return 0, 0
    rank = regressions.get(run.example.id)
    return (2, 0) if rank is None else (1, rank)
