"""Format numbers for the page."""

from __future__ import annotations

import math
from functools import lru_cache

DASH, MINUS = "\u2013", "\u2212"


@lru_cache(maxsize=1024)  # scores repeat, and the page shows each of them several times
def number(value: float | None, *, signed: bool = False) -> str:
    """Return a number with three decimals, or three digits if it is very small or large; an en dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    size = abs(value)
    kind = ".3g" if 0 < size < 0.001 or size >= 1e6 else ".3f"  # noqa: PLR2004 - explained in the docstring
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{size:{kind}}"


def signed(value: float | None) -> str:
    """Return a number with its sign."""
    return number(value, signed=True)


def percent(value: float | None) -> str:
    """Return a share as a percentage; an en dash for None."""
    return DASH if value is None else f"{MINUS if value < 0 else ''}{abs(value) * 100:.1f}%"


def points(value: float | None) -> str:
    """Return the change of a share in percentage points; an en dash for None."""
    if value is None:
        return DASH
    return f"{MINUS if value < 0 else '+' if value > 0 else ''}{abs(value) * 100:.1f}\u202fpp"


def p_value(value: float | None) -> str:
    """Return a p-value with three digits; an en dash for None."""
    return DASH if value is None else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return seconds as text: milliseconds below a second, minutes and hours from 60 seconds."""
    if seconds < 0.9995:  # noqa: PLR2004 - rounds to less than a second
        milliseconds = seconds * 1000
        if 0 < milliseconds < 0.095:  # noqa: PLR2004 - rounds to less than 0.1
            return f"{milliseconds:.2g} ms"
        return f"{milliseconds:.1f} ms" if 0 < milliseconds < 9.95 else f"{milliseconds:.0f} ms"  # noqa: PLR2004 - two digits
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - two digits
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def grouped(size: float) -> str:
    """Return a whole number with thousands separators."""
    return f"{size:,}"
