"""Average and subtract scores of any size: a result that floats cannot hold is the largest that they can."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGE = 1e100  # sums and squares of so many values as there are stay within floats

_HUGE = 1e9  # digits before the point that nobody reads

_SCALE = 2.0**-700  # a power of two, so that no digit is lost


def within(value: float) -> float:
    """Return a number that is not beyond the largest that floats can hold."""
    return max(-sys.float_info.max, min(sys.float_info.max, value))


def mean(values: Sequence[float]) -> float:
    """Return the mean of one value or more."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return within(2 * math.fsum(value / (2 * len(values)) for value in values))


def difference(after: float, before: float) -> float:
    """Return how much larger one number is than another."""
    return within(after - before)


def scaled(values: Sequence[float]) -> tuple[Sequence[float], float]:
    """Return values whose squares can be added, and the factor by which they are smaller."""
    if max(map(abs, values), default=0.0) <= _LARGE:
        return values, 1.0
    return [value * _SCALE for value in values], _SCALE


def written(value: float | None, *, digits: int = 3) -> str:
    """Return a score with these digits behind the point; a huge one with a power of ten, a dash for none."""
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if abs(value) < _HUGE else f"{value:.{digits}e}"
