"""Arithmetic on scores of any size, where results stay in the range of floats; numbers as text."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGE = 1e100  # sums and squares of values up to this limit stay within the range of floats

_HUGE = 1e9  # from here on, scientific notation is easier to read

_SCALE = 2.0**-700  # a power of two, which keeps all digits


def within(value: float) -> float:
    """Limit a number to the range of floats."""
    if -sys.float_info.max <= value <= sys.float_info.max:
        return value
    return max(-sys.float_info.max, min(sys.float_info.max, value))


def mean(values: Sequence[float]) -> float:
    """Return the mean of values, at least 1."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return within(2 * math.fsum(value / (2 * len(values)) for value in values))


def difference(after: float, before: float) -> float:
    """Return `after - before`, within the range of floats."""
    return within(after - before)


def scaled(values: Sequence[float]) -> tuple[Sequence[float], float]:
    """Scale values down until their squares can be added; return them with the factor."""
    if max(map(abs, values), default=0.0) <= _LARGE:
        return values, 1.0
    return [value * _SCALE for value in values], _SCALE


def written(value: float | None, *, digits: int = 3) -> str:
    """Format a score with a number of decimals: huge scores in scientific notation, None as a dash."""
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if abs(value) < _HUGE else f"{value:.{digits}e}"


def percentage(share: float | None) -> str:
    """Return a share as a percentage, None as a dash.

    The number has one decimal, or more if the text of another share would be 0.0% or 100.0%.
    """
    if share is None:
        return "-"
    is_whole = share in (0.0, 1.0)
    digits = next((digits for digits in (1, 2, 3, 4) if is_whole or f"{share:.{digits}%}" not in _WHOLE[digits]), 5)
    return f"{share:.{digits}%}"


_WHOLE = {digits: (f"{0:.{digits}%}", f"{1:.{digits}%}") for digits in (1, 2, 3, 4)}


def score_text(value: float | None, *, is_rate: bool) -> str:
    """Return a mean score as text: a percentage for a pass rate, else a number with three decimals."""
    return percentage(value) if is_rate else written(value)


def change_text(change: float | None, *, is_rate: bool, is_signed: bool = True) -> str:
    """Return the change of a mean score as text: percentage points for a pass rate, else a number."""
    if change is None:
        return "-"
    sign = "+" if is_signed and change > 0 else ""
    return f"{sign}{change * 100:.1f} points" if is_rate else f"{sign}{written(change)}"


def first_of(names: Sequence[str], most: int) -> str:
    """Return the first names of a list, and the number of the others: `a, b and 3 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def count(size: int, noun: str) -> str:
    """Return a number and a noun, in the plural unless the number is 1."""
    return f"{size:,} {noun}" if size == 1 else f"{size:,} {noun}s"
