"""The agreement of an evaluator with people."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from evalwire.model.baseline import Interval
from evalwire.model.numbers import mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

_RESAMPLES = 2_000
_BEYOND = 50  # resamples below an interval of 95%, and as many above it
_SMOOTHING = 0.5  # pseudo-observations in each cell of a resampled table
_SHIFTS = 20  # of the scores of one side, to pair scores by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTable:
    """The outputs that people and an evaluator passed and failed.

    Attributes:
        true_passes: outputs that both passed.
        false_failures: outputs that people passed and the evaluator failed.
        false_passes: outputs that people failed and the evaluator passed.
        true_failures: outputs that both failed.
    """

    true_passes: int = 0
    false_failures: int = 0
    false_passes: int = 0
    true_failures: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> AgreementTable:
        """Count outputs, each given by the label of people and the score of the evaluator."""
        found = Counter(pairs)
        return cls(
            true_passes=found[True, True],
            false_failures=found[True, False],
            false_passes=found[False, True],
            true_failures=found[False, False],
        )

    @property
    def size(self) -> int:
        """The number of outputs."""
        return self.passes + self.failures

    @property
    def passes(self) -> int:
        """The number of outputs that people passed."""
        return self.true_passes + self.false_failures

    @property
    def failures(self) -> int:
        """The number of outputs that people failed."""
        return self.false_passes + self.true_failures

    @property
    def true_pass_rate(self) -> float | None:
        """The share of the passes of people that the evaluator passes; None without a pass."""
        return self.true_passes / self.passes if self.passes else None

    @property
    def true_failure_rate(self) -> float | None:
        """The share of the failures of people that the evaluator fails; None without a failure."""
        return self.true_failures / self.failures if self.failures else None

    @property
    def discrimination(self) -> float | None:
        """Youden's J, the sum of both rates minus 1: a change of the true pass rate shows as J times this change.

        This holds if the errors of the evaluator do not depend on the change. None if a rate is unknown.

        Source: Youden 1950, "Index for Rating Diagnostic Tests", Cancer 3(1).
        """
        if self.true_pass_rate is None or self.true_failure_rate is None:
            return None
        return self.true_pass_rate + self.true_failure_rate - 1

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: the agreement beyond chance, from -1 to 1; None if all agree on the only value.

        Source: Cohen 1960, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement.
        """
        cells = (self.true_passes, self.false_failures, self.false_passes, self.true_failures)
        return _kappa(*map(float, cells)) if self.size else None


def _kappa(both: float, missed: float, wrong: float, neither: float) -> float | None:
    size = both + missed + wrong + neither
    by_chance = ((both + missed) * (both + wrong) + (wrong + neither) * (missed + neither)) / size
    return (both + neither - by_chance) / (size - by_chance) if by_chance < size else None


def kappa_interval(tables: Sequence[AgreementTable], *, seed: int = 0) -> Interval:
    """Return a confidence interval of kappa, by a smoothed percentile bootstrap over examples.

    Each resample draws as many examples as there are, from the examples and from half an example in each cell of the
    table, so that a small sample without disagreement does not have an interval without width.

    Source: Efron, Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. Anscombe 1956, "On estimating
    binomial response relations", Biometrika 43, adds half an observation in the same way.

    Args:
        tables: the table of each example, of which several runs may have labels.
        seed: the seed of the resampling.

    Raises:
        ValueError: there are no outputs.
    """
    found = Counter(
        (table.true_passes, table.false_failures, table.false_passes, table.true_failures) for table in tables
    )
    if not any(map(sum, found)):
        raise ValueError("an interval needs at least one output, got 0")
    smoothed = {tuple(map(float, cells)): float(times) for cells, times in found.items()}
    for cell in range(4):
        single = tuple(float(cell == place) for place in range(4))
        smoothed[single] = smoothed.get(single, 0.0) + _SMOOTHING

    def resampled(draw: Mapping[tuple[float, ...], int]) -> float | None:
        return _kappa(*(math.fsum(cells[place] * times for cells, times in draw.items()) for place in range(4)))

    return _bootstrap(smoothed, len(tables), resampled, seed=seed)


def weighted_kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Cohen's kappa with quadratic weights of two lists of scores; None if all scores are equal.

    The squared differences of the scores are the weights, so the value equals Lin's concordance correlation.

    Source: Cohen 1968, "Weighted kappa", Psychological Bulletin 70(4); Fleiss, Cohen 1973, "The Equivalence of Weighted
    Kappa and the Intraclass Correlation Coefficient", Educational and Psychological Measurement 33.

    Args:
        pairs: the scores of people and of the evaluator, at least 1 pair.
    """
    first, second = zip(*pairs, strict=True)
    centre, other = mean(first), mean(second)
    by_chance = mean([(a - centre) ** 2 for a in first]) + mean([(b - other) ** 2 for b in second])
    by_chance += (centre - other) ** 2
    return 1 - mean([(a - b) ** 2 for a, b in pairs]) / by_chance if by_chance else None


def weighted_kappa_interval(examples: Sequence[Sequence[tuple[float, float]]], *, seed: int = 0) -> Interval:
    """Return a confidence interval of the weighted kappa, by a smoothed percentile bootstrap over examples.

    Each resample draws from the examples, and with the weight of two examples from pairs of scores that agree only by
    chance. A small sample without disagreement therefore does not have an interval without width, as in
    `kappa_interval`.

    Args:
        examples: the pairs of scores of each example, at least 1 pair.
        seed: the seed of the resampling.
    """

    def resampled(draw: Mapping[tuple[tuple[float, float], ...], int]) -> float | None:
        return weighted_kappa([pair for pairs, times in draw.items() for pair in pairs * times])

    weights: dict[tuple[tuple[float, float], ...], float] = {}
    for example in map(tuple, examples):
        weights[example] = weights.get(example, 0.0) + 1.0
    by_chance = _pairs_by_chance([pair for example in examples for pair in example])
    for pair in by_chance:
        weights[pair,] = weights.get((pair,), 0.0) + 4 * _SMOOTHING / len(by_chance)
    return _bootstrap(weights, len(examples), resampled, seed=seed)


def _pairs_by_chance(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return pairs of a score by people and a score by the evaluator, evenly spread over all pairs of outputs."""
    first, second = zip(*sorted(pairs), strict=True)
    step = -(-len(first) // _SHIFTS)
    return [
        pair
        for shift in range(0, len(first), step)
        for pair in zip(first, second[shift:] + second[:shift], strict=True)
    ]


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation, with mean ranks of equal scores; None if one side has only equal scores.

    Source: Spearman 1904, "The Proof and Measurement of Association between Two Things", American Journal of
    Psychology 15.

    Args:
        pairs: the scores of people and of the evaluator, at least 1 pair.
    """
    first, second = (_ranks(side) for side in zip(*pairs, strict=True))
    centre = (len(pairs) + 1) / 2
    spread = math.sqrt(sum((a - centre) ** 2 for a in first) * sum((b - centre) ** 2 for b in second))
    covered = sum((a - centre) * (b - centre) for a, b in zip(first, second, strict=True))
    return covered / spread if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    before = 0
    for _, group in groupby(order, key=values.__getitem__):
        equal = list(group)
        for place in equal:
            ranks[place] = before + (len(equal) + 1) / 2
        before += len(equal)
    return ranks


def _bootstrap(
    weights: Mapping[T, float], size: int, statistic: Callable[[Counter[T]], float | None], *, seed: int
) -> Interval:
    """Return the percentile interval of a statistic.

    Args:
        weights: the distinct examples, with the weight of each.
        size: the number of examples in a resample.
        statistic: computes the statistic of a resample; None counts as no agreement.
        seed: the seed of the resampling.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    kinds, shares = list(weights), list(weights.values())
    found = sorted(statistic(Counter(chance.choices(kinds, weights=shares, k=size))) or 0.0 for _ in range(_RESAMPLES))
    return Interval(low=found[_BEYOND], high=found[-_BEYOND - 1], method="bootstrap")
