"""Draw the parts of plots as inline SVG: axes, labels and figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from evalwire.reports.html.markup import filled

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT = 320, 190


def ticks_between(lower: float, upper: float) -> list[float]:
    """Return about five round numbers from below `lower` to above `upper`; an empty list if no axis can have both."""
    if upper <= lower:
        lower, upper = lower - abs(lower) / 2, upper + (abs(upper) / 2 or 1.0)
    rough = (upper - lower) / 4
    if not (math.isfinite(rough) and rough > 1e-300):  # noqa: PLR2004 - smaller floats lose their precision
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 2.5, 5, 10, 20) if times * power >= rough * 0.999)
    first, last = math.floor(lower / step + 1e-9), math.ceil(upper / step - 1e-9)
    ticks = [position * step for position in range(first, last + 1)]
    is_drawn = len(ticks) > 1 and ticks[0] < ticks[-1] and all(map(math.isfinite, ticks))
    return ticks if is_drawn and math.isfinite(ticks[-1] - ticks[0]) else []


def figure(caption: str, *content: Markup) -> Markup:
    """Return a figure with a caption."""
    return filled("<figure><figcaption>{}</figcaption>{}</figure>", caption, content)


def drawing(description: str, content: Iterable[object], *, width: int = WIDTH, height: int = HEIGHT) -> Markup:
    """Return an SVG drawing with a description for screen readers."""
    return filled(
        '<svg class="plot" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>',
        *(width, height) * 2,
        description,
        content,
    )


def path(name: str, x: float, y: float, rest: str) -> Markup:
    """Return a path that starts at a point."""
    return filled('<path class="{}" d="M{} {}{}"/>', name, at(x), at(y), rest)


def label(x: float, y: float, text: str, anchor: str = "") -> Markup:
    """Return a text at a point."""
    end = filled(' text-anchor="{}"', anchor) if anchor else None
    return filled('<text x="{}" y="{}"{}>{}</text>', at(x), at(y), end, text)


def at(value: float) -> str:
    """Return a coordinate, rounded to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def short(value: float) -> str:
    """Return a number with at most four digits."""
    return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:.3g}"  # noqa: PLR2004
