"""List the experiments with their scores, before and now if they were compared with a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from evalwire.model import change_text, score_text, written
from evalwire.reports.budget_text import missing_text
from evalwire.reports.console.wrapping import Line
from evalwire.reports.measured import measured, moved_text, size_text
from evalwire.reports.text import cut, plain, without_score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalwire.model import ExperimentResult, Report, ScoreSummary

_LONGEST_NAME = 40
_SHORTEST_NAME = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A score in columns; all but the name and the notes are numbers, which are never cut."""

    name: str
    before: str = ""
    now: str
    change: str = ""
    moved: str = ""
    notes: str = ""
    style: str = ""


def score_lines(report: Report, *, width: int | None) -> Iterator[Line]:
    """Yield a line for each experiment, then a line for each of its scores.

    Args:
        report: report to show.
        width: columns of the terminal, to cut long names; None without a limit.
    """
    groups = [(result, [_row(report, result, score) for score in result.scores]) for result in report.results]
    rows = [row for _, found in groups for row in found]
    sizes = [_longest(getattr(row, column) for row in rows) for column in ("before", "now", "change", "moved")]
    taken = sum(size + 2 for size in sizes if size) + 4
    most = _LONGEST_NAME if width is None else max(_SHORTEST_NAME, min(_LONGEST_NAME, width - taken))
    longest = min(most, _longest(row.name for row in rows))
    for result, found in groups:
        yield Line(_head(report, result))
        for row in found:
            yield _line(row, [longest, *sizes])


def _head(report: Report, result: ExperimentResult) -> Text:
    bad = missing_text(result)
    parts = list(filter(None, [size_text(result), bad, f"{result.seconds:.1f} s"]))
    has_passed = report.passed(result)
    name = Text(plain(result.name), style="bold" if has_passed else "bold red")
    return name.append("  ").append(", ".join(parts), style="not bold" if not bad else "not bold red")


def _line(row: _Row, sizes: Sequence[int]) -> Line:
    name, before, now, change, moved = sizes
    text = Text(set_cell_size(cut(row.name, name), name)).append("  ")
    if before:
        text.append(f"{row.before:>{before}}{' → ' if row.before else '   '}")
    text.append(f"{row.now:>{now}}" if before else row.now)
    if row.change:
        text.append("  ").append(f"{row.change:>{change}}", style=row.style).append(f"  {row.moved:{moved}}")
    if row.notes:
        text.append("  " if row.now or before else "").append(row.notes, style="dim")
    text.rstrip()
    return Line(text, indent=2)


def _row(report: Report, result: ExperimentResult, score: ScoreSummary) -> _Row:
    found = measured(report, result, score)
    notes = [", ".join(_notes(score)), without_score(score).strip()]
    compared = found.comparison
    if compared is None or compared.change is None:
        now = "" if found.value is None and score.labels else score_text(found.value, is_rate=found.is_rate)
        notes += ["(not compared: the evaluator changed)"] if found.has_changed else []
        return _Row(name=plain(score.name), now=now, notes=" ".join(filter(None, notes)))
    if found.is_partial:
        overall = score_text(found.value, is_rate=found.is_rate)
        notes.insert(0, f"({overall} overall)")
    return _Row(
        name=plain(score.name),
        before=score_text(compared.before, is_rate=compared.is_bool),
        now=score_text(compared.after, is_rate=compared.is_bool),
        change=change_text(compared.change, is_rate=compared.is_bool),
        moved=moved_text(compared),
        notes=" ".join(filter(None, notes)),
        style=found.style,
    )


def _notes(score: ScoreSummary) -> Iterator[str]:
    if score.mean is None:
        yield from (f"{plain(label)} {size}" for label, size in sorted(score.labels.items(), key=lambda item: -item[1]))
    if score.spread is not None:
        yield f"spread {written(score.spread)}"
    if score.pass_at:
        k = max(score.pass_at)
        yield f"pass@{k} {score_text(score.pass_at[k], is_rate=True)}"
        yield f"pass^{k} {score_text(score.pass_hat[k], is_rate=True)}"


def _longest(cells: Iterable[str]) -> int:
    return max(map(cell_len, cells), default=0)
