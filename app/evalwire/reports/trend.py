"""The trend of each evaluation over the earlier experiments of the base branch, as data and as lines of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import count, difference, score_means, score_text
from evalwire.reports.markdown_text import code
from evalwire.reports.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import ExperimentResult, HistoryEntry, Report, ScoreMean

_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 24  # in a line of 80 characters
_LONGEST_NAME = 24
_MOST_LINES = 20  # evaluations of an experiment in a comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The mean of an evaluation in an earlier experiment."""

    entry: HistoryEntry
    score: ScoreMean


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The trend of an evaluation.

    Attributes:
        branch: the branch of the earlier experiments; empty if they ran without a branch.
        earlier: the earlier means, oldest first; at least one.
        current: the mean in this run.
    """

    branch: str
    earlier: tuple[Point, ...]
    current: ScoreMean

    @property
    def name(self) -> str:
        """The name of the evaluation."""
        return self.current.name

    @property
    def scores(self) -> list[ScoreMean]:
        """The earlier means and the mean in this run, oldest first."""
        return [*(point.score for point in self.earlier), self.current]

    @property
    def sparkline(self) -> str:
        """The means as bars, the last of which is this run.

        The scale is at least as wide as the interval of this run, so that chance does not look like a change.
        """
        interval = self.current.interval
        values = [score.mean for score in self.scores]
        return sparkline(values[-_MOST_BARS:], least_span=difference(interval.high, interval.low) if interval else 0.0)

    @property
    def values(self) -> str:
        """The mean in this run and the range of the earlier means, such as `91.7% (earlier 88.3% to 93.3%)`."""
        earlier = [point.score.mean for point in self.earlier]
        lowest, highest = self._text(min(earlier)), self._text(max(earlier))
        return f"{self._text(self.current.mean)} (earlier {lowest}{'' if lowest == highest else f' to {highest}'})"

    @property
    def span(self) -> str:
        """The number of the earlier experiments and their branch, such as `12 earlier runs on main`."""
        return f"{count(len(self.earlier), 'earlier run')}{f' on {self.branch}' if self.branch else ''}"

    def _text(self, mean: float) -> str:
        return score_text(mean, is_rate=self.current.is_rate)


def trends(report: Report, result: ExperimentResult) -> list[Trend]:
    """Return the trends of an experiment, sorted by evaluation; empty without a history.

    A pass rate and a mean of numbers are not in the same trend.
    """
    history = report.history_of(result.name)
    if history is None:
        return []
    found = []
    for current in score_means(result):
        scores = ((entry, entry.score(current.name)) for entry in history.entries)
        earlier = tuple(
            Point(entry=entry, score=score)
            for entry, score in scores
            if score is not None and score.is_rate == current.is_rate
        )
        if earlier:
            found.append(Trend(branch=history.branch, earlier=earlier, current=current))
    return found


def sparkline(values: Sequence[float], *, least_span: float = 0.0) -> str:
    """Return values as bars from the lowest to the highest value.

    Args:
        values: the values; at least one.
        least_span: the smallest difference that the lowest and the highest bar stand for.
    """
    low, high, top = min(values), max(values), len(_BARS) - 1
    half = max(high / 2 - low / 2, least_span / 2)  # half, because the difference of huge values is not a float
    if not half:
        return _BARS[round(top / 2)] * len(values)  # as with a margin
    margin = (half - (high / 2 - low / 2)) / 2
    return "".join(_BARS[round((value / 2 - low / 2 + margin) / half * top)] for value in values)


def console_lines(report: Report) -> Iterator[str]:
    """Yield the trends as text of at most 80 columns: a line for each evaluation, after a heading."""
    for result in report.results:
        found = trends(report, result)
        if not found:
            continue
        yield f"history of {plain(result.name)}: {_heading(found, plain(found[0].branch))}"
        longest = max(len(cut(plain(trend.name), _LONGEST_NAME)) for trend in found)
        widest = max(len(trend.sparkline) for trend in found)
        for trend in found:
            name = cut(plain(trend.name), _LONGEST_NAME)
            yield f"  {name:{longest}}  {trend.sparkline:>{widest}}  {trend.values}"


def markdown_lines(report: Report) -> Iterator[str]:
    """Yield the trends as Markdown: a list with a line for each evaluation; nothing without a history."""
    for result in report.results:
        found = trends(report, result)
        if not found:
            continue
        yield f"{code(result.name)}: {_heading(found, code(found[0].branch) if found[0].branch else '')}"
        yield ""
        yield from (f"- {code(trend.name)} {trend.sparkline} {trend.values}" for trend in found[:_MOST_LINES])
        if len(found) > _MOST_LINES:
            yield f"- {count(len(found) - _MOST_LINES, 'more evaluation')} in results.json"
        yield ""


def _heading(found: Sequence[Trend], branch: str) -> str:
    earlier = max(len(trend.earlier) for trend in found)
    return f"{count(earlier, 'earlier run')}{f' on {branch}' if branch else ''}, then this run"
