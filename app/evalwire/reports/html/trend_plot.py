"""Draw the trend of an evaluation as inline SVG: the earlier means with their intervals as a band, then this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import score_text
from evalwire.reports.html import svg
from evalwire.reports.html.markup import filled
from evalwire.reports.html.numbers import percent
from evalwire.reports.html.plots import TOO_FAR_APART
from evalwire.reports.text import cut
from evalwire.reports.trend import Trend, trends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from evalwire.model import ExperimentResult, HistoryEntry, Report, ScoreMean

_LEFT, _RIGHT = 46.0, svg.WIDTH - 10.0  # edges of the plot area
_TOP, _BOTTOM, _HEIGHT = 26.0, 126.0, 146
_RADIUS = 2.8
_CURRENT_RADIUS = 4.8
_LONGEST_SPAN = 34  # characters


def trend_figures(report: Report, result: ExperimentResult) -> list[Markup]:
    """Return a figure for each evaluation of an experiment that has a history."""
    return [_figure(trend) for trend in trends(report, result)]


def _figure(trend: Trend) -> Markup:
    ends = [_ends(score) for score in trend.scores]
    lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
    ticks = svg.ticks_between(lowest, highest)
    if not ticks:
        return svg.figure(trend.name, TOO_FAR_APART)
    lower, span = ticks[0], ticks[-1] - ticks[0]
    step = (_RIGHT - _LEFT) / len(ends)

    def y(value: float) -> float:
        return _BOTTOM - (value - lower) / span * (_BOTTOM - _TOP)

    def places(values: Sequence[float]) -> list[str]:
        return [f"{svg.at(_x(place, step))} {svg.at(y(value))}" for place, value in enumerate(values)]

    means = [score.mean for score in trend.scores]
    band = [*places([high for _, high in ends]), *reversed(places([low for low, _ in ends]))]
    frame = [
        [svg.path("grid", _LEFT, y(tick), f"H{svg.at(_RIGHT)}") for tick in ticks],
        [svg.label(_LEFT - 6, y(tick) + 4, _tick(tick, trend.current), "end") for tick in ticks],
    ]
    lines = [
        filled('<path class="band" d="M{}z"/>', "L".join(band)),
        filled('<path class="trend" d="M{}"/>', "L".join(places(means))),
    ]
    points = [
        _point(_x(place, step), y(point.score.mean), _kind(point.entry), _about(point.entry, point.score))
        for place, point in enumerate(trend.earlier)
    ]
    current = _point(_x(len(trend.earlier), step), y(means[-1]), "current", f"this run: {_value(trend.current)}")
    description = f"{trend.values}, {trend.span}"
    content = [frame, lines, points, current, _labels(trend)]
    return svg.figure(trend.name, svg.drawing(description, content, height=_HEIGHT))


def _ends(score: ScoreMean) -> tuple[float, float]:
    interval = score.interval
    return (min(interval.low, score.mean), max(interval.high, score.mean)) if interval else (score.mean, score.mean)


def _x(place: int, step: float) -> float:
    return _LEFT + (place + 0.5) * step


def _labels(trend: Trend) -> list[Markup]:
    """Return this run's value above the plot, and below it the time of the first run and the number of runs."""
    value = score_text(trend.current.mean, is_rate=trend.current.is_rate)
    return [
        filled('<text class="now" x="{}" y="12" text-anchor="end">this run {}</text>', svg.at(_RIGHT), value),
        svg.label(_LEFT, _BOTTOM + 16, trend.earlier[0].entry.time_text.partition(" ")[0]),
        svg.label(_RIGHT, _BOTTOM + 16, cut(trend.span, _LONGEST_SPAN), "end"),
    ]


def _point(x: float, y: float, kind: str, about: str) -> Markup:
    place = svg.at(x), svg.at(y), svg.at(_CURRENT_RADIUS if kind == "current" else _RADIUS)
    return filled('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>', kind, *place, about)


def _kind(entry: HistoryEntry) -> str:
    return "earlier" if entry.outcome == "passed" else "earlier failed"


def _tick(value: float, score: ScoreMean) -> str:
    return percent(value).replace(".0%", "%") if score.is_rate else svg.short(value)


def _about(entry: HistoryEntry, score: ScoreMean) -> str:
    """Return the time, branch, commit, mean and outcome of an earlier experiment."""
    where = " ".join(filter(None, (entry.time_text, "UTC", entry.branch, entry.commit_text)))
    return f"{where}: {_value(score)}, {entry.outcome_text}"


def _value(score: ScoreMean) -> str:
    text = score_text(score.mean, is_rate=score.is_rate)
    if score.interval is None:
        return text
    low, high = (score_text(end, is_rate=score.is_rate) for end in (score.interval.low, score.interval.high))
    return f"{text} ({score.interval.confidence:.0%} interval {low} to {high})"
