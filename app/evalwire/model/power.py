"""The power of a drop gate: how large a drop it finds with a sample, and the sample that finds a drop (pure)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.numbers import within
from evalwire.model.stats import POWER, SIGNIFICANCE, mcnemar_midp, sample_deviation, student_t_cdf, student_t_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_EXAMPLES = 10_000_000
"""The largest sample that a plan names."""

MOST_REPETITIONS = 100
"""The largest number of runs of an example that a plan names."""

_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTest:
    """The test of a drop gate, on examples that change by chance.

    The mean gain of a sample is compared with a critical value: it is significant, and beyond the tolerance.

    For bools, each example that passes fails with the same probability after the drop, in each run. With f flips and a
    drop d, the variance of a gain is v = (f + d - d²) / R for R runs of an example on each side. The test estimates the
    variance v + d². A drop is found with the power of z if

        d >= max(tolerance, z of 1 - significance * sqrt((v + d²) / n) + c) + z * sqrt(v / n)

    For single runs, c = 0, and this is Connor's formula. The mean of repeated bools has steps, and the sign-flip test
    counts the whole step at the observed mean. Half of a step is 1 / (R n). Simulations fit c = 0.4 / (R n) better,
    because a sum of a few failures is not quite normal.

    For numbers, all scores drop by the same amount, v is deviation² / R, and Student's t replaces the normal
    distribution.

    Source: Connor 1987, "Sample Size for Testing Differences in Proportions for the Paired-Sample Design", Biometrics
    43; for numbers Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640, section 5, one-sided.

    Attributes:
        deviation: the standard deviation of an example's gain between two runs of the same code; for bools, the root
            of the share of flips.
        is_bool: whether the scores are bools.
        significance: the level of the test.
        tolerance: the drop that the gate allows.
        is_strict: whether the gate fails without a significant drop.
    """

    deviation: float
    is_bool: bool
    significance: float = SIGNIFICANCE
    tolerance: float = 0.0
    is_strict: bool = False

    def __post_init__(self) -> None:
        """Check the level.

        Raises:
            ValueError: the significance is not between 0 and 1.
        """
        if not 0 < self.significance < 1:
            raise ValueError(f"a significance level must be between 0 and 1, got {self.significance}")

    def fewest_examples(self, repetitions: int = 1) -> int:
        """Return the smallest number of examples with which the test can be significant."""
        is_mcnemar = self.is_bool and repetitions == 1
        p_values = (mcnemar_midp(k, 0) if is_mcnemar else 0.5**k for k in itertools.count(1))
        return max(2, 1 + next(k for k, p_value in enumerate(p_values) if p_value <= self.significance))

    def power(self, drop: float, *, examples: int, repetitions: int = 1) -> float:
        """Return the probability that the gate finds a true drop."""
        if examples < self.fewest_examples(repetitions):
            return 0.0
        error = self._deviation(drop, repetitions) / math.sqrt(examples)
        beyond = drop - self._critical(drop, examples, repetitions)
        if error == 0:
            return float(beyond > 0)
        if self.is_bool:
            return NormalDist().cdf(beyond / error)
        return student_t_cdf(within(beyond / error), examples - 1)

    def smallest_drop(self, *, examples: int, repetitions: int = 1, power: float = POWER) -> float | None:
        """Return the smallest drop that the gate finds with this power; None if there are too few examples.

        For numbers without noise, the result is None, too: how far such scores vary is not known.
        """
        if not 0 < power < 1:
            raise ValueError(f"a power must be between 0 and 1, got {power}")
        if examples < self.fewest_examples(repetitions):
            return None
        quantile = self._quantile(power, examples)

        def found_from(drop: float) -> float:
            error = quantile * self._deviation(drop, repetitions) / math.sqrt(examples)
            return self._critical(drop, examples, repetitions) + error

        if not self.is_bool:
            return within(found_from(0.0)) if self.deviation else None
        low, high = 0.0, 1.0  # a drop of all examples is the largest
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if middle < found_from(middle) else (low, middle)
        return high

    def examples_for(self, drop: float, *, repetitions: int = 1, power: float = POWER) -> int | None:
        """Return the number of examples that find a drop with this power; None if no number does."""
        fewest = self.fewest_examples(repetitions)
        return _first(
            lambda n: self.power(drop, examples=n, repetitions=repetitions) >= power, fewest, most=MOST_EXAMPLES
        )

    def repetitions_for(self, drop: float, *, examples: int, power: float = POWER) -> int | None:
        """Return the number of runs of each example that find a drop with this power; None if no number does."""
        return _first(
            lambda runs: self.power(drop, examples=examples, repetitions=runs) >= power, 1, most=MOST_REPETITIONS
        )

    def _deviation(self, drop: float, repetitions: int) -> float:
        """Return the standard deviation of an example's mean gain after a drop."""
        added = math.sqrt(max(drop - drop**2, 0.0)) if self.is_bool else 0.0
        return math.hypot(self.deviation, added) / math.sqrt(repetitions)

    def _critical(self, drop: float, examples: int, repetitions: int) -> float:
        """Return the observed drop from which the gate fails."""
        if self.is_strict:
            return self.tolerance
        estimated = math.hypot(self._deviation(drop, repetitions), drop if self.is_bool else 0.0)
        step = 0.4 / (repetitions * examples) if self.is_bool and repetitions > 1 else 0.0
        quantile = self._quantile(1 - self.significance, examples)
        return max(self.tolerance, quantile * estimated / math.sqrt(examples) + step)

    def _quantile(self, probability: float, examples: int) -> float:
        return NormalDist().inv_cdf(probability) if self.is_bool else student_t_quantile(probability, examples - 1)


def minimum_detectable_change(
    gains: Sequence[float],
    *,
    is_bool: bool,
    repetitions: int = 1,
    significance: float = SIGNIFICANCE,
    power: float = POWER,
) -> float | None:
    """Return the smallest true drop of the mean that the test for a regression finds with this power.

    The drop is in the scores' unit. The number of pairs and the noise are taken from the gains, as in `DropTest`.
    Return None if no drop can be found because there are too few pairs. The result is also None if the scores are not
    bools and all gains are equal, which hides the spread of the scores.

    Args:
        gains: the improvement of each example, a mean over its repetitions; above 0 is better.
        is_bool: whether the scores are bools, in all repetitions.
        repetitions: the number of runs of each example.
        significance: the significance level of the test, for example 0.05.
        power: the probability that the test finds the drop, for example 0.8.

    Raises:
        ValueError: not 0 < significance < 1, or not 0 < power < 1.
    """
    deviation = sample_deviation(gains) * math.sqrt(repetitions) if len(gains) > 1 else 0.0
    test = DropTest(deviation=within(deviation), is_bool=is_bool, significance=significance)
    return test.smallest_drop(examples=len(gains), repetitions=repetitions, power=power)


def _first(holds: Callable[[int], bool], least: int, *, most: int) -> int | None:
    """Return the smallest number from `least` for which a condition holds, which then holds for all larger numbers.

    Return None if the condition does not hold for any number up to `most`.
    """
    low, high = least - 1, least
    while not holds(high):
        low, high = high, 2 * high
        if low >= most:
            return None
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high if high <= most else None
