"""Statistics for repeated runs, intervals and comparisons; pure functions that need only the standard library."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.numbers import mean, scaled, within

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNIFICANCE = 0.05
"""The highest accepted probability that the comparison of two equal runs reports a regression."""

POWER = 0.8
"""The probability that a regression of the minimum detectable size is found."""

_CONVERGED = 1e-15
_MOST_TERMS = 200  # of the continued fraction, which needs at most 90 for any t and any degrees of freedom

_MOST_FREEDOM = 1e7  # degrees; beyond it, Student's t equals the normal distribution to eight digits


def sample_deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, sqrt(sum((x - mean)²) / (n - 1)), with Bessel's correction.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.6.

    Raises:
        ValueError: there are fewer than two values.
    """
    if len(values) < 2:  # noqa: PLR2004 - the formula's own bound
        raise ValueError(f"a standard deviation needs two values or more, got {len(values)}")
    small, factor = scaled(values)
    shifted = [value - small[0] for value in small]  # keeps rounding errors out for equal values
    middle = mean(shifted)
    return within(math.hypot(*(value - middle for value in shifted)) / math.sqrt(len(shifted) - 1) / factor)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Estimate pass@k, the probability that at least 1 of `k` tries passes, from `c` passes in `n` tries.

    The estimate is 1 - C(n-c, k) / C(n, k).

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return 1 - _share_of_subsets(n, n - c, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Estimate pass^k, the probability that all of `k` tries pass, from `c` passes in `n` tries: C(c, k) / C(n, k).

    Source: Yao et al. 2024, "τ-bench", arXiv 2406.12045.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return _share_of_subsets(n, c, k)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (the nearest rank).

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.6.2, without the interpolation.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile needs at least one value, got 0")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def student_t_cdf(t: float, df: float) -> float:
    """Return the cumulative distribution function of Student's t with `df` degrees of freedom at `t`.

    Source: Abramowitz, Stegun, "Handbook of Mathematical Functions", 26.5.27. The tail beyond |t| is half the
    regularized incomplete beta function of x = df / (df + t²) with a = df / 2 and b = 1 / 2.

    Raises:
        ValueError: `df` is below 1.
    """
    tail = _student_t_tail(abs(t), df)
    return 1 - tail if t > 0 else tail


@functools.lru_cache(maxsize=1_024)  # hundreds of gates over the same examples need the same quantiles
def student_t_quantile(p: float, df: float) -> float:
    """Return the quantile of Student's t distribution with `df` degrees of freedom for the probability `p`.

    The tail is bisected down to adjacent floats.

    Raises:
        ValueError: not 0 < p < 1, or `df` is below 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"the probability of a quantile must be between 0 and 1, got {p}")
    tail = min(p, 1 - p)
    low, high = 0.0, 1.0
    while _student_t_tail(high, df) > tail:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if _student_t_tail(middle, df) > tail:
            low = middle
        else:
            high = middle
    return math.copysign(low, p - 0.5)


def wilson_interval(passes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's two-sided score interval of a rate, from `passes` of `n`; within 0 and 1, with a width above 0.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22(158),
    without a continuity correction, as in NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.4.1.

    Raises:
        ValueError: not 0 <= passes <= n, n below 1, or not 0 < confidence < 1.
    """
    if not 0 <= passes <= n or n < 1:
        raise ValueError(f"{passes} of {n} is not a rate")
    square = NormalDist().inv_cdf(_upper(confidence)) ** 2
    centre = (passes + square / 2) / (n + square)
    half = math.sqrt(square * (passes * (n - passes) / n + square / 4)) / (n + square)
    return (centre - half if passes else 0.0), (centre + half if passes < n else 1.0)


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Student's two-sided t interval of a mean, in the values' unit; for differences, the paired t interval.

    For equal values, the width is 0 and the interval is not informative.

    Source: Student 1908, "The Probable Error of a Mean"; NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2.

    Raises:
        ValueError: fewer than two values, or not 0 < confidence < 1.
    """
    n = len(values)
    values, factor = scaled(values)
    error = sample_deviation(values) / math.sqrt(n)
    half = student_t_quantile(_upper(confidence), n - 1) * error
    middle = values[0] + math.fsum(value - values[0] for value in values) / n
    return within((middle - half) / factor), within((middle + half) / factor)


def mcnemar_midp(worse: int, better: int) -> float:
    """Return the one-sided p-value of McNemar's mid-p test for a regression.

    The value is P(X > worse) + P(X = worse) / 2 for a binomial X of `worse + better` tosses of a fair coin. Unchanged
    pairs carry no information. The value is 0.5 for equal counts, and therefore also if both are 0.

    Source: Fagerland, Lydersen, Laake 2013, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional", BMC Medical Research Methodology 13:91. The value is half of their two-sided value.

    Raises:
        ValueError: a count is below 0.
    """
    if worse < 0 or better < 0:
        raise ValueError(f"counts must not be negative, got {worse} worse and {better} better")
    if worse < better:
        return 1 - mcnemar_midp(better, worse)
    n = worse + better
    term = math.comb(n, worse) / (1 << n)  # a ratio of integers is exact to the last digit for any n
    total = term / 2
    for count in range(worse, n):  # starts with the largest term; no later term is larger
        term *= (n - count) / (count + 1)
        if term <= total * _CONVERGED:
            break
        total += term
    return total


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the given order, which control the family-wise error rate.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6.

    Raises:
        ValueError: a p-value is not between 0 and 1.
    """
    if wrong := [p for p in p_values if not 0 <= p <= 1]:
        raise ValueError(f"a p-value must be between 0 and 1, got {wrong[0]}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def _upper(confidence: float) -> float:
    """Return the probability at the upper end of a two-sided interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence level must be between 0 and 1, got {confidence}")
    return (1 + confidence) / 2


def _student_t_tail(t: float, df: float) -> float:
    """Return the probability of a value above `t`, for `t` of at least 0."""
    if not df >= 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {df}")
    df = min(df, _MOST_FREEDOM)
    square = t * t / df
    if math.isinf(square):
        return 0.0
    x, y = 1 / (1 + square), square / (1 + square)
    a, b = df / 2, 0.5
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - a * math.log1p(square)) * math.sqrt(y)
    if x < (a + 1) / (a + b + 2):
        return scale / a * _beta_fraction(x, a, b) / 2
    return (1 - scale / b * _beta_fraction(y, b, a)) / 2


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function for x < (a + 1) / (a + b + 2), by Lentz's method.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 and 3.10(iii).
    """
    fraction = upper = 1.0
    lower = 0.0
    for step in range(1, _MOST_TERMS):
        m = step // 2
        if step % 2:
            factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + factor * lower)
        upper = 1 + factor / upper
        fraction *= upper * lower
        if abs(upper * lower - 1) < _CONVERGED:
            break
    return 1 / fraction


def _share_of_subsets(n: int, members: int, k: int) -> float:
    """Return the probability that `k` of `n` items, drawn at random, all belong to a subset of `members` items."""
    if not (1 <= k <= n and 0 <= members <= n):
        raise ValueError(f"cannot draw {k} of {n} items, {members} of which belong to the subset")
    return math.comb(members, k) / math.comb(n, k)
