"""The table of scores, and the statistics behind its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import change_text, score_text
from evalwire.reports.amounts import change_interval
from evalwire.reports.budget_text import missing_text
from evalwire.reports.highlights import comparison_link
from evalwire.reports.markdown.parts import LONGEST_NAME, omitted
from evalwire.reports.markdown_text import code, link_to, prose
from evalwire.reports.measured import measured, moved_text, size_text
from evalwire.reports.text import without_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Comparison, GateResult, Interval, Report, ScoreSummary
    from evalwire.reports.markdown.parts import Part, Room

_MARKS = {"green": "🟢", "red": "🔴", "": "⚪"}
_MOST_LABELS = 5


def score_table(report: Report, parts: Sequence[Part], room: Room) -> Iterator[str]:
    """Yield a row for each score: before, now, and the change if any experiment has a baseline."""
    has_changes = any(part.baseline and part.baseline.comparisons for part in parts)
    heads = ["experiment", "evaluator", *(["before", "now", "change"] if has_changes else ["score"])]
    size = sum(max(len(part.scores), 1) for part in parts)
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' if head in ('experiment', 'evaluator', 'change') else '--:' for head in heads)} |"
    left = room.rows
    for part in sorted(parts, key=lambda part: part.passed):
        head = _head(part)
        for score in part.scores[:left]:
            name = code(score.name, LONGEST_NAME, in_table=True)
            cells = [head, name, *_cells(report, part, score, has_changes=has_changes)]
            yield f"| {' | '.join(cells)} |"
            head = ""
        if not part.scores and left > 0:
            yield f"| {' | '.join([head, *[''] * (len(heads) - 1)])} |"
        left -= max(len(part.scores), 1)
    yield ""
    yield from omitted(-left, size, "rows of the table")


def _head(part: Part) -> str:
    result = part.result
    name = code(result.name, LONGEST_NAME, in_table=True)
    name = link_to(name, comparison_link(part.baseline, result) or result.url) or name
    size = size_text(result)
    mark = "✅" if part.passed else "❌"
    return f"{mark} {name}<br>{size}{f', {bad}' if (bad := missing_text(result)) else ''}"


def _cells(report: Report, part: Part, score: ScoreSummary, *, has_changes: bool) -> list[str]:
    found = measured(report, part.result, score)
    now = score_text(found.value, is_rate=found.is_rate) if found.value is not None else _labels(score)
    now += without_score(score)
    compared = found.comparison
    if not has_changes:
        return [now]
    if compared is None or compared.change is None:
        return ["", now, "not compared: the evaluator changed" if found.has_changed else ""]
    if found.is_partial:
        now = f"{score_text(compared.after, is_rate=compared.is_bool)}<br>{now} overall"
    change = change_text(compared.change, is_rate=compared.is_bool)
    moved = moved_text(compared)
    before = score_text(compared.before, is_rate=compared.is_bool)
    return [before, now, f"{_MARKS[found.style]} {change}<br>{moved}"]


def _labels(score: ScoreSummary) -> str:
    found = sorted(score.labels.items(), key=lambda item: -item[1])
    text = ", ".join(f"{code(label, 40, in_table=True)} {number}" for label, number in found[:_MOST_LABELS]) or "-"
    return text + (f", {len(found) - _MOST_LABELS} more" if len(found) > _MOST_LABELS else "")


def statistics(parts: Sequence[Part], gates: Sequence[GateResult], room: Room) -> Iterator[str]:
    """Yield the pairs, intervals and p-values of all changes and gates; nothing without changes and intervals."""
    compared = [
        (part, found) for part in parts for found in (part.baseline.comparisons if part.baseline else ()) if found.pairs
    ]
    if compared:
        yield "| experiment | evaluator | pairs | change, 95% interval (two-sided) | p (one-sided) | methods |"
        yield "| --- | --- | --: | --- | --: | --- |"
        for part, found in compared[: room.rows]:
            names = [code(name, LONGEST_NAME, in_table=True) for name in (part.result.name, found.name)]
            yield f"| {' | '.join([*names, *_statistics(found)])} |"
        yield ""
        yield from omitted(len(compared) - room.rows, len(compared), "comparisons")
    limited = [gate for gate in gates if gate.interval is not None and gate.rule != "max_drop"]
    for gate in limited[: room.rows]:
        if gate.interval is not None:
            name = f"{code(gate.experiment, LONGEST_NAME)} {prose(gate.name)}"
            yield f"- {name}: {_interval(gate.interval, is_rate=gate.is_rate)} ({_method(gate.interval)})"
    if limited:
        yield ""


def _statistics(compared: Comparison) -> list[str]:
    change = change_text(compared.change, is_rate=compared.is_bool)
    if compared.interval is not None:
        change += f", {change_interval(compared.interval, is_rate=compared.is_bool)}"
    elif len(compared.pairs) == 1:
        change += ", no interval from a single pair"
    else:
        change += ", the same for all pairs"
    methods = [compared.test, *([compared.interval.method] if compared.interval else [])]
    p_value = "" if compared.p_value is None else f"{compared.p_value:.3g}"
    return [str(len(compared.pairs)), change, p_value, prose(", ".join(methods), in_table=True)]


def _interval(interval: Interval, *, is_rate: bool) -> str:
    return f"{score_text(interval.low, is_rate=is_rate)} to {score_text(interval.high, is_rate=is_rate)}"


def _method(interval: Interval) -> str:
    return f"{interval.confidence * 100:g}% interval, two-sided, {prose(interval.method)}"
