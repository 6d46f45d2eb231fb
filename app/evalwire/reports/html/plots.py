"""Draw plots as inline SVG: distributions, and comparisons with a baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import count, first_of, percentile
from evalwire.reports.html import svg
from evalwire.reports.html.markup import filled
from evalwire.reports.html.numbers import number, percent

if TYPE_CHECKING:
    from markupsafe import Markup

    from evalwire.model import Comparison, Pair

_LEFT, _RIGHT, _BOTTOM = 36, 14, 168  # edges of the plot area of a histogram
_LINE = 13  # height of a line of text
_BINS = 20
_FAR = 3  # times the 95th percentile: larger values share a bar, so the other bars remain visible
_MOST_LABELS = 9
_LONGEST_LABEL = 14
_MOST_NAMED = 8  # examples to list for a mark
_SIDE = 280  # width and height of a scatter plot, with margins
_NEAR = 4.0  # closer marks are merged
_THINNEST = 1.5  # height of the thinnest flow

TOO_FAR_APART = filled('<p class="quiet">The range of the values is too large to draw.</p>')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bins:
    """The number of values in each bin of an axis.

    Attributes:
        ticks: ticks of the axis, from the lower to the upper end.
        sizes: number of values by bin, counted from 0.
        beyond: number of values above the upper end.
    """

    ticks: Sequence[float]
    sizes: Mapping[int, int]
    beyond: int

    @classmethod
    def of(cls, values: Sequence[float], *, is_amount: bool) -> _Bins | None:
        """Divide the axis into bins; return None if the range of the values is too large."""
        lower, upper = min(values), max(values)
        if is_amount:
            lower, usual = 0.0, 1.5 * percentile(values, 0.95)
            upper = usual if upper > 2 * usual > 0 else upper
        elif lower >= 0 and upper <= 1:
            lower, upper = 0.0, 1.0
        ticks = svg.ticks_between(lower, upper)
        if not ticks:
            return None
        lower, upper = ticks[0], ticks[-1]
        width = (upper - lower) / _BINS
        sizes = Counter(min(_BINS - 1, int((value - lower) / width)) for value in values if value <= upper)
        return cls(ticks=ticks, sizes=sizes, beyond=sum(value > upper for value in values))

    @property
    def lower(self) -> float:
        """Return the lower end of the axis."""
        return self.ticks[0]

    @property
    def upper(self) -> float:
        """Return the upper end of the axis."""
        return self.ticks[-1]

    @property
    def width(self) -> float:
        """Return the width of a bin."""
        return (self.upper - self.lower) / _BINS

    def edge(self, number: int) -> float:
        """Return the lower edge of a bin."""
        return self.lower + number * self.width


def histogram(
    values: Sequence[float],
    *,
    caption: str,
    show: Callable[[float], str] = number,
    unit: str = "",
    is_amount: bool = False,
    marks: Mapping[str, float],
) -> Markup:
    """Draw the distribution of the values of runs.

    Args:
        values: the values, which must not be empty.
        caption: caption of the plot.
        show: function that returns a value as text.
        unit: unit of the axis.
        is_amount: whether the axis starts at 0 and ends with a bar for the few values that are much larger.
        marks: values to mark, by name.
    """
    bins = _Bins.of(values, is_amount=is_amount)
    if bins is None:
        return svg.figure(caption, TOO_FAR_APART)
    highest = max([*bins.sizes.values(), bins.beyond])
    step = (svg.WIDTH - _LEFT - _RIGHT) / (_BINS + (2 if bins.beyond else 0))
    top = 8 + _LINE * len(marks)

    def x(value: float) -> float:
        return _LEFT + (value - bins.lower) / bins.width * step

    def bar(left: float, size: int, title: str) -> Markup:
        high = max(1.0, size / highest * (_BOTTOM - top))
        return filled(
            '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
            *map(svg.at, (left + 0.5, _BOTTOM - high, step - 1, high)),
            f"{title}: {count(size, 'run')}",
        )

    bars = [
        bar(x(bins.edge(place)), size, f"{show(bins.edge(place))} to {show(bins.edge(place + 1))}")
        for place, size in sorted(bins.sizes.items())
    ]
    labels = [svg.label(x(tick), _BOTTOM + 15, svg.short(tick) + unit, "middle") for tick in bins.ticks]
    if bins.beyond:
        bars.append(bar(svg.WIDTH - _RIGHT - step, bins.beyond, f"more than {show(bins.upper)}"))
        labels[-1] = svg.label(svg.WIDTH - _RIGHT, _BOTTOM + 15, f"> {svg.short(bins.upper)}{unit}", "end")
    for line, (name, value) in enumerate(marks.items()):
        if value <= bins.upper:
            at, y = x(value), _LINE * (line + 1)
            bars.append(svg.path("mark", at, y - 9, f"V{_BOTTOM}"))
            is_right = at > svg.WIDTH / 2
            labels.append(
                svg.label(at - 4 if is_right else at + 4, y, f"{name} {show(value)}", "end" if is_right else "")
            )
    marked = [f"{name} {show(value)}" for name, value in marks.items()]
    description = ", ".join([f"from {show(min(values))} to {show(max(values))}", *marked])
    axis = [
        svg.path("axis", _LEFT, _BOTTOM, f"H{svg.WIDTH - _RIGHT}"),
        svg.label(_LEFT - 6, top + 9, f"{highest:,}", "end"),
        svg.label(_LEFT - 6, _BOTTOM, "0", "end"),
    ]
    return svg.figure(caption, svg.drawing(f"{count(len(values), 'run')}, {description}", [bars, axis, labels]))


def frequencies(labels: Mapping[str, int], *, caption: str) -> Markup:
    """Draw the frequency of each label, most common first."""
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered if len(ordered) <= _MOST_LABELS else ordered[: _MOST_LABELS - 1]
    rows = [(name, size, name) for name, size in shown]
    if rest := ordered[len(shown) :]:
        rows.append((f"{len(rest)} others", sum(size for _, size in rest), "all other labels"))
    total, most = sum(labels.values()), max(size for _, size, _ in rows)
    left, room, step = 104, 140, min(26.0, (svg.HEIGHT - 8) / len(rows))
    drawn = [
        filled(
            '<g><title>{}</title>{}<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>{}</g>',
            f"{title}: {size:,} of {total:,}",
            svg.label(left - 8, (row + 0.5) * step + 4, _cut(name), "end"),
            *map(svg.at, (left, row * step + 3, max(1.0, size / most * room), step - 6)),
            svg.label(left + size / most * room + 6, (row + 0.5) * step + 4, f"{size:,} ({percent(size / total)})"),
        )
        for row, (name, size, title) in enumerate(rows)
    ]
    description = ", ".join(f"{_cut(name)} {size:,}" for name, size, _ in rows)
    return svg.figure(caption, svg.drawing(description, drawn, height=math.ceil(step * len(rows)) + 4))


def versus(comparison: Comparison) -> Markup:
    """Draw the score of each example against the baseline."""
    scores = (score for pair in comparison.pairs for score in (pair.before, pair.after))
    if comparison.is_bool and all(score in (0.0, 1.0) for score in scores):
        return _flows(comparison)
    return _scatter(comparison)


def _scatter(comparison: Comparison) -> Markup:
    """Draw a mark for each example or group of close examples; marks above the diagonal rose."""
    caption = f"{comparison.name}: this run against the baseline"
    pairs = comparison.pairs
    values = [score for pair in pairs for score in (pair.before, pair.after)]
    lower, upper = min(values), max(values)
    ticks = svg.ticks_between(0.0, 1.0) if lower >= 0 and upper <= 1 else svg.ticks_between(lower, upper)
    if not ticks:
        return svg.figure(caption, TOO_FAR_APART)
    lower, span = ticks[0], ticks[-1] - ticks[0]
    near, far = 40.0, _SIDE - 12.0  # ends of both axes, from the corner where they meet
    scale = (far - near) / span

    def x(value: float) -> float:
        return near + (value - lower) * scale

    def y(value: float) -> float:
        return _SIDE - x(value)

    together: dict[tuple[str, int, int], list[Pair]] = {}
    for pair in pairs:
        place = (_kind(comparison, pair), round(x(pair.before) / _NEAR), round(y(pair.after) / _NEAR))
        together.setdefault(place, []).append(pair)
    order = ("same", "better", "worse")
    marks = [
        _shape(
            kind,
            math.fsum(x(pair.before) for pair in found) / len(found),
            math.fsum(y(pair.after) for pair in found) / len(found),
            min(10.0, 3.6 * len(found) ** 0.25),
            _names(found),
        )
        for (kind, _, _), found in sorted(together.items(), key=lambda item: (order.index(item[0][0]), item[0]))
    ]
    above, below = ("worse", "better") if comparison.direction == "minimize" else ("better", "worse")
    frame = [
        svg.path("axis", near, _SIDE - far, f"V{svg.at(_SIDE - near)}H{svg.at(far)}"),
        svg.path("diagonal", near, _SIDE - near, f"L{svg.at(far)} {svg.at(_SIDE - far)}"),
        svg.label(near + 8, _SIDE - far + 12, above),
        svg.label(far, _SIDE - near - 8, below, "end"),
        [svg.label(x(tick), _SIDE - near + 15, svg.short(tick), "middle") for tick in ticks],
        [svg.label(near - 6, y(tick) + 4, svg.short(tick), "end") for tick in ticks],
        svg.label((near + far) / 2, _SIDE - 6, "baseline", "middle"),
        filled(
            '<text transform="translate({} {}) rotate(-90)" text-anchor="middle">this run</text>',
            *map(svg.at, (10, _SIDE - (near + far) / 2)),
        ),
    ]
    return svg.figure(
        caption, svg.drawing(_tally(comparison), [frame, marks], width=_SIDE, height=_SIDE), _legend(comparison)
    )


def _flows(comparison: Comparison) -> Markup:
    """Draw the changes between True and False as bands, whose height is the number of examples."""
    groups: dict[tuple[float, float], list[Pair]] = {}
    for pair in comparison.pairs:
        groups.setdefault((pair.before, pair.after), []).append(pair)
    left, right, top, gap, bottom = 84.0, 204.0, 22.0, 16.0, svg.HEIGHT - 4.0
    scale = (bottom - top - gap) / len(comparison.pairs)
    drawn, labels = [], []
    place = {}  # start of the next band, by side and value
    for side, edge, away, anchor in ((0, left, -12, "end"), (1, right, 12, "")):
        labels.append(svg.label(edge + away, 11, ("baseline", "this run")[side], anchor))
        begin = top
        for value in (1.0, 0.0):
            size = sum(len(found) for way, found in groups.items() if way[side] == value)
            drawn.append(
                filled(
                    '<rect class="bar" x="{}" y="{}" width="6" height="{}"/>',
                    *map(svg.at, (edge - 3, begin, size * scale)),
                )
            )
            place[side, value] = begin
            begin += size * scale + gap
            line = top + 11 if value else bottom - 20
            labels.append(svg.label(edge + away, line, f"{_truth(value)} {size:,}", anchor))
            if side and (came := groups.get((1 - value, value))):
                labels.append(_shape(_kind(comparison, came[0]), edge + away + 4, line + 12, 3.6))
                labels.append(svg.label(edge + away + 12, line + 16, f"{len(came):,} from {_truth(1 - value)}"))
    for before, after in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)):
        if found := groups.get((before, after)):
            high = len(found) * scale
            path = _band(left, place[0, before], right, place[1, after], max(_THINNEST, high))
            drawn.append(
                filled(
                    '<path class="flow {}" d="{}"><title>{}</title></path>',
                    _kind(comparison, found[0]),
                    path,
                    f"{_truth(before)} to {_truth(after)}: {_names(found)}",
                )
            )
            place[0, before] += high
            place[1, after] += high
    caption = f"{comparison.name}: this run against the baseline"
    return svg.figure(caption, svg.drawing(_tally(comparison), [drawn, labels]))


def _band(left: float, start: float, right: float, end: float, high: float) -> str:
    """Return the outline of a band between heights on the left and on the right."""
    a, b, m = svg.at(left), svg.at(right), svg.at((left + right) / 2)
    top, low, end_top, end_low = map(svg.at, (start, start + high, end, end + high))
    return f"M{a} {top}C{m} {top} {m} {end_top} {b} {end_top}V{end_low}C{m} {end_low} {m} {low} {a} {low}z"


def _kind(comparison: Comparison, pair: Pair) -> str:
    gain = comparison.gain(pair)
    return "worse" if gain < 0 else "better" if gain > 0 else "same"


def _tally(comparison: Comparison) -> str:
    worse, better, pairs = len(comparison.worse), len(comparison.better), len(comparison.pairs)
    return f"{worse:,} worse, {better:,} better, {pairs - worse - better:,} unchanged"


def _names(pairs: Sequence[Pair]) -> str:
    """Return the IDs of examples; for a single example, with the scores before and after."""
    if len(pairs) == 1:
        return f"{pairs[0].example_id}: {number(pairs[0].before)} to {number(pairs[0].after)}"
    return f"{len(pairs):,} examples: {first_of([pair.example_id for pair in pairs], _MOST_NAMED)}"


def _shape(kind: str, x: float, y: float, size: float, title: str = "") -> Markup:
    """Return a triangle that points down for worse and up for better, or a dot, so color is not needed."""
    s, at = size, svg.at
    if kind == "same":
        path = f"M{at(x - s)} {at(y)}a{at(s)} {at(s)} 0 1 0 {at(2 * s)} 0a{at(s)} {at(s)} 0 1 0 {at(-2 * s)} 0z"
    else:
        up = -1 if kind == "better" else 1
        path = f"M{at(x)} {at(y + up * 1.2 * s)}L{at(x - 1.15 * s)} {at(y - up * 0.8 * s)}h{at(2.3 * s)}z"
    inner = filled("<title>{}</title>", title) if title else None
    return filled('<path class="point {}" d="{}">{}</path>', kind, path, inner)


def _legend(comparison: Comparison) -> Markup:
    worse, better = len(comparison.worse), len(comparison.better)
    kinds = (("worse", worse), ("better", better), ("same", len(comparison.pairs) - worse - better))
    items = [
        filled(
            '<span><svg width="14" height="12" viewBox="0 0 14 12" aria-hidden="true">{}</svg>{} {}</span>',
            _shape(kind, 7, 6, 4.2),
            f"{size:,}",
            kind,
        )
        for kind, size in kinds
    ]
    return filled('<p class="legend">{}</p>', items)


def _truth(value: float) -> str:
    return "True" if value else "False"


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
