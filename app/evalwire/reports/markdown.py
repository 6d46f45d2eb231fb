"""Render `summary.md`: the report as GitHub Markdown, for a step summary or a comment on a pull request.

Texts of users and models are in code spans, so nothing in them is Markdown, HTML, a mention or a link. Lists are cut
until the text is short enough for a comment, and show how many entries they omit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING

from evalwire.model import count, token_count, total_usage, usage_cost_usd, written
from evalwire.reports.baseline_text import drops_without_baseline, rescored_line, scored_again
from evalwire.reports.causes import Cause, causes_of
from evalwire.reports.digest import REASONS, Digest
from evalwire.reports.highlights import link, lowest, regressions
from evalwire.reports.markdown_text import code, link_to, prose, score_in_table
from evalwire.reports.text import gate_sentence, relative, single_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalwire.model import Baseline, Direction, ExperimentResult, Failure, GateResult, Report, ScoreSummary
    from evalwire.reports.highlights import Highlight

MOST_BYTES = 60_000  # GitHub limits a comment to 65,536 characters
_LONGEST_NAME = 120
_ELSEWHERE = "see results.json"


@dataclass(frozen=True, slots=True)
class _Room:
    """The size limits: rows of tables and gates, items of a list, and characters of a text."""

    rows: int
    items: int
    length: int


_ROOMS = (
    _Room(500, 10, 300),
    _Room(500, 10, 150),
    _Room(300, 5, 150),
    _Room(200, 3, 100),
    _Room(100, 1, 80),
    _Room(50, 0, 80),
    _Room(20, 0, 40),
    _Room(5, 0, 20),
)


def pieces(report: Report) -> list[str]:
    """Return the report as Markdown, in a single piece."""
    return [render(report)]


def render(report: Report) -> str:
    """Return the report as Markdown of at most 60,000 bytes."""
    parts = [_Part.of(report, result) for result in report.results]
    for room in _ROOMS:
        text = "\n".join(_Summary(report, room, parts).lines())
        if len(text.encode()) <= MOST_BYTES:
            return text
    return f"## {_headline(report)}\n\nThe rest is too long to show here; {_ELSEWHERE}.\n"


def _headline(report: Report) -> str:
    """Return the outcome of the job and its numbers, on a single line."""
    digest = Digest.of(report)
    word = f"{digest.word} ({report.scope})" if report.scope else digest.word
    if not report.results:
        return f"{word}: {REASONS.get(report.outcome, 'no experiment was run')}"
    experiments = count(len(report.results), "experiment")
    parts = [
        f"{digest.failed_experiments} of {experiments} failed" if digest.failed_experiments else experiments,
        f"{count(digest.failed_gates, 'gate')} failed" if digest.failed_gates else "",
        *(f"not written: {prose(problem)}" for problem in report.unwritten),
        _failed(digest),
        f"{digest.not_run} not run" if digest.not_run else "",
        "no gates" if digest.has_no_gates else "",
        f"{report.seconds:.1f} s",
    ]
    line = f"{word}{drops_without_baseline(report)}: {', '.join(filter(None, parts))}"
    return f"{line}; {prose(again)}" if (again := scored_again(report)) else line


def _failed(digest: Digest) -> str:
    """Return how many runs failed, and how many of the failures a gate tolerated."""
    runs, tolerated = count(digest.expected_runs, "run"), digest.tolerated_runs
    if not digest.failed_runs:
        return runs
    text = f"{digest.failed_runs} of {runs} failed"
    if tolerated == digest.failed_runs:
        return f"{text} (tolerated by max_error_rate)"
    return f"{text} ({tolerated} tolerated by max_error_rate)" if tolerated else text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The data to show for an experiment, computed once.

    Attributes:
        result: the experiment.
        passed: whether it passed, including its gates.
        scores: summaries of its scores.
        worse: examples that became worse.
        causes: causes of failed runs, most common first.
    """

    result: ExperimentResult
    passed: bool
    scores: list[ScoreSummary]
    worse: list[Highlight]
    causes: list[Cause]

    @classmethod
    def of(cls, report: Report, result: ExperimentResult) -> _Part:
        """Compute the data of an experiment."""
        return cls(
            result=result,
            passed=report.passed(result),
            scores=result.scores,
            worse=regressions(report, result),
            causes=causes_of(result),
        )


class _Summary:
    """The text within given size limits."""

    def __init__(self, report: Report, room: _Room, parts: Sequence[_Part]) -> None:
        self._report = report
        self._room = room
        self._parts = parts

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text."""
        yield f"## {_headline(self._report)}"
        yield ""
        if about := self._about():
            yield about
            yield ""
        if self._parts:
            yield from self._table()
        yield from self._gates()
        yield from self._errors()
        yield from self._baselines()
        yield from self._lowest()

    def _about(self) -> str:
        ci = self._report.ci
        parts = []
        if commit := ci.get("commit"):
            parts.append(f"Commit {code(str(commit)[:10])}")
        if branch := ci.get("branch"):
            parts.append(f"{'on' if parts else 'On'} {code(str(branch), _LONGEST_NAME)}")
        if page := link_to("CI job", str(ci.get("job_url", ""))):
            parts.append(f"({page})")
        usage = total_usage(result.usage or () for result in self._report.results)
        if used := token_count(usage):
            cost, unknown = usage_cost_usd(usage, self._report.prices)
            money = f", {cost:.2f} USD{' or more' if unknown else ''}" if cost else ""
            parts.append(f"{'· ' if parts else ''}{used:,} tokens{money}")
        return " ".join(parts)

    # --- tables ---

    def _table(self) -> Iterator[str]:
        has_changes = any(baseline.comparisons for baseline in self._report.baselines)
        heads = ["experiment", "", "runs", "failed", "evaluation", "score"]
        if has_changes:
            heads += ["baseline", "change", "95% interval of the change (two-sided)", "better", "worse"]
        yield f"| {' | '.join(heads)} |"
        yield f"| {' | '.join('---' if head in ('experiment', '', 'evaluation') else '--:' for head in heads)} |"
        left = self._room.rows
        for part in sorted(self._parts, key=lambda part: part.passed) if self._rows > left else self._parts:
            head = self._head(part)
            for score in part.scores[:left]:
                change = self._change(part.result, score) if has_changes else []
                name = code(score.name, _LONGEST_NAME, in_table=True)
                yield f"| {' | '.join([*head, name, score_in_table(score), *change])} |"
                head = [""] * len(head)
            if not part.scores and left > 0:
                yield f"| {' | '.join([*head, *[''] * (len(heads) - len(head))])} |"
            left -= max(len(part.scores), 1)
        yield ""
        yield from self._more(-left, self._rows, "rows of the table")

    @property
    def _rows(self) -> int:
        return sum(max(len(part.scores), 1) for part in self._parts)

    @staticmethod
    def _head(part: _Part) -> list[str]:
        result = part.result
        name = code(result.name, _LONGEST_NAME, in_table=True)
        bad = result.bad_runs
        word = "passed" if part.passed else "**failed**"
        return [link_to(name, result.url) or name, word, str(result.expected_runs), str(bad)]

    def _change(self, result: ExperimentResult, score: ScoreSummary) -> list[str]:
        baseline = self._report.baseline_of(result.name)
        found = baseline.comparison(score.name) if baseline else None
        if found is None or found.change is None:
            return [""] * 5
        before = written(found.before) if found.before is not None else ""
        interval = f"{found.interval.low:+.3f} to {found.interval.high:+.3f}" if found.interval else "too few pairs"
        return [before, f"{found.change:+.3f}", interval, str(len(found.better)), str(len(found.worse))]

    # --- lists ---

    def _gates(self) -> Iterator[str]:
        failed = [gate for gate in self._report.gates if gate.is_red]
        others = [gate for gate in self._report.gates if not gate.is_red]
        if failed:
            yield "### Failed gates"
            yield ""
            yield from self._list(map(_gate, failed), self._room.rows, len(failed), "failed gates")
        if others:
            states = [
                f"{number} {status}"
                for status in ("passed", "inconclusive", "no baseline")
                if (number := sum(gate.status == status for gate in others))
            ]
            title = f"{'Other gates' if failed else 'Gates'}: {', '.join(states)}"
            items = self._list(map(_gate, others), min(self._room.rows, 50), len(others), "gates")
            yield from _folded(title, items)

    def _errors(self) -> Iterator[str]:
        found = [(part, list(self._own_failures(part.result))) for part in self._parts]
        found = [(part, own) for part, own in found if own or part.causes]
        if found:
            yield "### Errors"
            yield ""
        for part, own in found[: self._room.rows]:
            yield f"{code(part.result.name, _LONGEST_NAME)}:"
            yield ""
            of_runs = (f"{count(len(cause.runs), 'run')}, {self._cause(cause)}" for cause in part.causes)
            number = len(own) + len(part.causes)
            yield from self._list(chain(own, of_runs), max(self._room.items, 1), number, "kinds of error")
        yield from self._more(len(found) - self._room.rows, len(found), "experiments with errors")

    def _own_failures(self, result: ExperimentResult) -> Iterator[str]:
        for problem in result.problems:
            yield self._failure(problem)
        if result.failure:
            yield self._failure(result.failure)
        for score in result.incomplete_scores:
            yield f"{code(score.name, _LONGEST_NAME)} was returned for only {score.count} of {len(result.runs)} runs"

    def _cause(self, cause: Cause) -> str:
        stage = f"{cause.what} {code(cause.name, _LONGEST_NAME)}" if cause.name is not None else cause.what
        return f"{stage}: {self._failure(cause.failure)}"

    def _failure(self, failure: Failure) -> str:
        text = f"{failure.type}: {failure.message}" if failure.message else failure.type
        if failure.cause:
            text += f" (from {failure.cause})"
        place = relative(failure.where or "", self._report.directory)
        return code(text, self._room.length) + (f" at {code(place, _LONGEST_NAME)}" if place else "")

    def _baselines(self) -> Iterator[str]:
        found = [(part, self._report.baseline_of(part.result.name)) for part in self._parts]
        known = [(part, baseline) for part, baseline in found if baseline]
        if known:
            yield "### Comparison with the baseline"
            yield ""
        for part, baseline in known[: self._room.rows]:
            again = (prose(f"{rescored_line(rescored)}.") for rescored in baseline.rescored)
            yield " ".join([_baseline(baseline), *again])
            yield ""
            number = len({highlight.run.example.id for highlight in part.worse})
            if number and not self._room.items:
                yield f"{count(number, 'example')} became worse; {_ELSEWHERE}."
                yield ""
            elif number:
                yield from _folded(f"{count(number, 'example')} became worse", self._regressions(part))
        yield from self._more(len(known) - self._room.rows, len(known), "baselines")

    def _regressions(self, part: _Part) -> Iterator[str]:
        for name, group in groupby(part.worse, key=lambda highlight: highlight.evaluation):
            found = list(group)
            yield f"{code(name, _LONGEST_NAME)}: {len(found)} worse"
            yield ""
            shown = (self._example(part.result, highlight) for highlight in found)
            yield from self._list(shown, self._room.items, len(found), "examples")

    def _lowest(self) -> Iterator[str]:
        """Yield the worst examples of failed gates, unless a comparison with the baseline shows them."""
        for part in self._parts if self._room.items else ():
            shown_already = {highlight.evaluation for highlight in part.worse}
            gates = self._report.gates_of(part.result.name)
            gates = [gate for gate in gates if gate.label is None]  # a low score may not have the label
            for name in sorted({gate.evaluation for gate in gates if gate.is_red and gate.evaluation} - shown_already):
                direction = self._direction(part.result, name, [gate for gate in gates if gate.evaluation == name])
                found = lowest(part.result, name, direction=direction, most=self._room.items)
                if found:
                    yield f"{code(part.result.name, _LONGEST_NAME)}, {code(name, _LONGEST_NAME)}:"
                    yield ""
                    shown = (self._example(part.result, highlight) for highlight in found)
                    word = "Highest" if direction == "minimize" else "Lowest"
                    yield from _folded(f"{word} scores", self._list(shown, len(found), len(found), "examples"))

    def _direction(self, result: ExperimentResult, name: str, gates: Sequence[GateResult]) -> Direction:
        baseline = self._report.baseline_of(result.name)
        found = baseline.comparison(name) if baseline else None
        if found is not None:
            return found.direction
        return "minimize" if any(gate.is_red and gate.rule.startswith("max") for gate in gates) else "maximize"

    def _example(self, result: ExperimentResult, highlight: Highlight) -> str:
        """Return an example with its texts, as a list item with an inner list."""
        run, length = highlight.run, self._room.length
        after = "no score" if highlight.after is None else written(highlight.after)
        scores = f"{written(highlight.before)} to {after}" if highlight.before is not None else after
        head = f"{code(run.example.id, _LONGEST_NAME)}: {scores}"
        if page := link_to("trace", link(result, run)):
            head += f", {page}"
        lines = [head, f"  - input {code(single_line(dict(run.example.input)), length)}"]
        if run.example.output:
            lines.append(f"  - expected {code(single_line(dict(run.example.output)), length)}")
        lines.append(f"  - output {code(single_line(run.output), length)}")
        explanations = (found.explanation for found in run.evaluations if found.name == highlight.evaluation)
        if explanation := next(filter(None, explanations), None):
            lines.append(f"  - explanation {code(explanation, length)}")
        return "\n".join(lines)

    def _list(self, items: Iterable[str], most: int, count: int, noun: str) -> Iterator[str]:
        for item in islice(items, most):
            yield f"- {item}"
        yield ""
        yield from self._more(count - most, count, noun)

    @staticmethod
    def _more(number: int, count: int, noun: str) -> Iterator[str]:
        """Yield how many entries a list omits, and where they are."""
        if number > 0:
            yield f"Not shown: {number:,} of {count:,} {noun}; {_ELSEWHERE}."
            yield ""


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield "<details>"
    yield f"<summary>{title}</summary>"
    yield ""
    yield from lines
    yield "</details>"
    yield ""


def _gate(gate: GateResult) -> str:
    state = gate_sentence(gate).removesuffix(gate.text)
    text = f"{code(gate.experiment, _LONGEST_NAME)}: {state}{prose(gate.text)}"
    if gate.interval:
        bounds = f"{written(gate.interval.low)} to {written(gate.interval.high)}"
        manner = f"two-sided, {prose(gate.interval.method)}"
        if bounds in gate.text:
            return f"{text} (the interval is {manner})"
        measure = "change" if gate.rule == "max_drop" else "value"
        text += f"; {gate.interval.confidence * 100:g}% interval of the {measure} ({manner}): {bounds}"
    return text


def _baseline(baseline: Baseline) -> str:
    name = code(baseline.experiment, _LONGEST_NAME)
    if baseline.note:
        return f"{name} has no baseline: {prose(baseline.note)}"
    recorded = code(baseline.recorded_name or baseline.experiment_id or baseline.asked, _LONGEST_NAME)
    text = f"{name} compared with {link_to(recorded, baseline.url) or recorded}"
    if baseline.branch:
        text += f" on {code(baseline.branch, _LONGEST_NAME)}"
    if baseline.commit:
        text += f" at {code(baseline.commit[:10])}"
    lists = (("added", baseline.added), ("removed", baseline.removed), ("changed", baseline.changed))
    changes = [f"{len(ids)} {word}" for word, ids in lists if ids]
    text += f": {count(baseline.paired, 'unchanged example')}"
    return f"{text}, {', '.join(changes)}." if changes else f"{text}."
