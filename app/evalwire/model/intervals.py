"""Confidence intervals of mean scores, as values for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model.baseline import Interval
from evalwire.model.stats import mean_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence


def interval_of_mean(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of a mean; None for equal values, for which the interval has no meaning.

    The interval of scores from 0 to 1 stays within 0 and 1.
    """
    if len(set(values)) < 2:  # noqa: PLR2004 - two values that differ
        return None
    low, high = mean_interval(values)
    interval = Interval(low=low, high=high, method="t")
    return interval.within(0, 1) if all(0 <= value <= 1 for value in values) else interval


def interval_of_rate(passes: int, size: int) -> Interval:
    """Return Wilson's interval of a rate.

    Raises:
        ValueError: not 0 <= passes <= size, or a size below 1.
    """
    low, high = wilson_interval(passes, size)
    return Interval(low=low, high=high, method="Wilson")
