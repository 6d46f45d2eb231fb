"""The formulas behind repeated runs, intervals and comparisons; pure, and of the standard library alone."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import random
import sys
from bisect import bisect_right
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.numbers import mean, scaled, within

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNIFICANCE = 0.05

"""How likely a comparison of two runs of the same may at most come out as a change for the worse."""

POWER = 0.8

"""How likely a change for the worse of the minimum detectable size is found."""

DRAWS = 10_000

"""Of signs, where there are too many gains for all of their signs: a p-value of 0.05 is then within ±0.004."""

_ENUMERATED = 24  # gains: two tables of 2¹² sums, a few milliseconds

_CHUNK = 8  # gains: the signs of that many are a random byte, which is a place in a table of their 256 sums

_ROUNDS = 20  # times as many draws where none of the first round is as low
_FAR = 1e-6  # a tail whose bound is at most this needs no more draws
_FLAT = 20.0  # beyond, tanh is 1

_ROUNDING = 1e-12  # of the difference of two scores around 1

_TIE = 1e-9  # of the sum of all magnitudes: far above what adding rounds, far below what a draw could show

_CONVERGED = 1e-15

_MOST_TERMS = 200  # of the continued fraction: at most 90 are needed, for any t and any number of degrees

_MOST_FREEDOM = 1e7  # degrees; from there on Student's t is the normal distribution to eight digits


def sample_deviation(values: Sequence[float]) -> float:
    """The sample standard deviation, sqrt(sum((x - mean)²) / (n - 1)), with Bessel's correction.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.6.

    Raises:
        ValueError: fewer than two values have none.
    """
    if len(values) < 2:  # noqa: PLR2004 - the formula's own bound
        raise ValueError(f"a deviation needs two values or more, not {len(values)}")
    small, factor = scaled(values)
    shifted = [value - small[0] for value in small]  # so that equal values have none, not even by a rounding
    middle = mean(shifted)
    return within(math.hypot(*(value - middle for value in shifted)) / math.sqrt(len(shifted) - 1) / factor)


def pass_at_k(n: int, c: int, k: int) -> float:
    """pass@k: how likely one of `k` tries passes at least, by `c` passes in `n` tries: 1 - C(n-c, k) / C(n, k).

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return 1 - _share_of_subsets(n, n - c, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """pass^k: how likely all of `k` tries pass, by `c` passes in `n` tries: C(c, k) / C(n, k).

    Source: Yao et al. 2024, "τ-bench", arXiv 2406.12045.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return _share_of_subsets(n, c, k)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed: the nearest rank, with nothing between.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.6.2, without its interpolation.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values have no percentile")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def student_t_cdf(t: float, df: float) -> float:
    """Return the probability that a value of Student's t distribution with `df` degrees of freedom is `t` or less.

    Source: Abramowitz, Stegun, "Handbook of Mathematical Functions", 26.5.27: the tail beyond |t| is half the
    regularised incomplete beta function of x = df / (df + t²) with a = df / 2 and b = 1 / 2.

    Raises:
        ValueError: below one degree of freedom.
    """
    tail = _student_t_tail(abs(t), df)
    return 1 - tail if t > 0 else tail


@functools.lru_cache(maxsize=1_024)  # hundreds of gates over the same examples ask for the same ones
def student_t_quantile(p: float, df: float) -> float:
    """The value that one of Student's t distribution with `df` degrees of freedom does not exceed with probability `p`.

    By bisection of the tail, down to neighbouring floats.

    Raises:
        ValueError: not 0 < p < 1; below one degree of freedom.
    """
    if not 0 < p < 1:
        raise ValueError(f"no quantile of probability {p}: it is to be between 0 and 1")
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
    """The two-sided score interval of a rate of which `passes` of `n` were seen; within 0 and 1, and never of no width.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22(158);
    without a continuity correction, as in NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.4.1.

    Raises:
        ValueError: not 0 <= passes <= n, n below 1, or not 0 < confidence < 1.
    """
    if not 0 <= passes <= n or n < 1:
        raise ValueError(f"{passes} of {n} is no rate")
    square = NormalDist().inv_cdf(_upper(confidence)) ** 2
    centre = (passes + square / 2) / (n + square)
    half = math.sqrt(square * (passes * (n - passes) / n + square / 4)) / (n + square)
    return (centre - half if passes else 0.0), (centre + half if passes < n else 1.0)


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Student's two-sided t interval of a mean, in the values' unit; of paired differences, the paired t interval.

    Equal values give one of no width: then it says nothing.

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
    """McNemar's mid-p, one-sided: how surprising so many that became worse are, if becoming better was as likely.

    That is P(X > worse) + P(X = worse) / 2 of a binomial X of `worse + better` throws of a coin. Pairs that stayed as
    they were say nothing. As many worse as better is 0.5, none of either included: so says the formula.

    Source: Fagerland, Lydersen, Laake 2013, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional", BMC Medical Research Methodology 13:91; half of their two-sided value.

    Raises:
        ValueError: a count is below 0.
    """
    if worse < 0 or better < 0:
        raise ValueError(f"{worse} worse and {better} better are no counts")
    if worse < better:
        return 1 - mcnemar_midp(better, worse)
    n = worse + better
    term = math.comb(n, worse) / (1 << n)  # of integers, so that it is right to the last digit whatever n is
    total = term / 2
    for count in range(worse, n):  # from the largest term on: each next one is at most as large
        term *= (n - count) / (count + 1)
        if term <= total * _CONVERGED:
            break
        total += term
    return total


def sign_flip(gains: Sequence[float], *, draws: int = DRAWS, seed: int = 0) -> float:
    """The sign-flip permutation test, one-sided: how surprising so low a mean gain is, if its negative was as likely.

    A gain is how much better one example became. If nothing changed, the two runs could as well be exchanged in any
    example, which turns its sign. So the p-value is the share of all ways to choose signs of which the sum is as low as
    the one seen, ties included: exact for up to 24 gains that are not 0, beyond that by seeded random signs, as
    (1 + hits) / (1 + draws), which is never 0, and valid for any number of draws. Neither gains of 0 nor the order
    matter. A gain of at most 1e-12 is a rounding error of scores around 1, and counts as 0; with no other, it is 1.

    Where no draw is as low, a p-value of 1 / (1 + draws) could never be significant among hundreds of gates. Then
    there are 20 times as many draws, and if none of those is as low either, the exact p-value's upper bound counts
    where it is smaller. It decides only below every p-value that draws can have, so the test keeps its level.

    Source: Fisher 1935, "The Design of Experiments", section 21; Phipson, Smyth 2010, "Permutation P-values Should
    Never Be Zero", arXiv 1603.05766, for the random signs; Besag, Clifford 1991, "Sequential Monte Carlo p-values",
    Biometrika 78, for drawing on.

    Args:
        gains: in the scores' unit; above 0 is better.
        draws: random choices of signs in the first round.
        seed: of the draws.

    Raises:
        ValueError: fewer than one draw.
    """
    if draws < 1:
        raise ValueError(f"a p-value cannot be had by {draws} draws")
    changed, _ = scaled([gain for gain in gains if abs(gain) > _ROUNDING])
    sizes = sorted(map(abs, changed))
    limit = math.fsum(changed) + math.fsum(sizes) * _TIE
    if len(sizes) <= _ENUMERATED:
        half = len(sizes) // 2
        ends = sorted(_signed_sums(sizes[half:]))
        hits = sum(bisect_right(ends, limit - start) for start in _signed_sums(sizes[:half]))
        return hits / (1 << len(sizes))
    chance = random.Random(seed)  # noqa: S311 - no secret
    hits = _drawn_hits(sizes, limit, draws, chance)
    if hits:
        return (1 + hits) / (1 + draws)
    bound = _tail_bound(sizes, -limit)
    if bound > _FAR:
        hits = _drawn_hits(sizes, limit, draws * (_ROUNDS - 1), chance)
        draws *= _ROUNDS
    return (1 + hits) / (1 + draws) if hits else min(1 / (1 + draws), bound)


def _drawn_hits(sizes: list[float], limit: float, draws: int, chance: random.Random) -> int:
    """Return how many random choices of signs have a sum of at most `limit`."""
    sizes = sizes + [0.0] * (-len(sizes) % _CHUNK)
    totals = [0.0] * draws
    for start in range(0, len(sizes), _CHUNK):
        table = _signed_sums(sizes[start : start + _CHUNK])
        totals = list(map(operator.add, totals, map(table.__getitem__, chance.randbytes(draws))))
    return sum(total <= limit for total in totals)


def _tail_bound(sizes: Sequence[float], excess: float) -> float:
    """Return an upper bound, above 0, of the chance that random signs sum to `excess` or more.

    That is the least exp(sum of log cosh(r * size) - r * excess) over all r above 0; any r gives a bound.

    Source: Chernoff 1952, "A Measure of Asymptotic Efficiency for Tests of a Hypothesis Based on the Sum of
    Observations", Annals of Mathematical Statistics 23.
    """
    low, high = 0.0, 1 / max(sizes)
    while math.fsum(size * math.tanh(high * size) for size in sizes) < excess and high * min(sizes) < _FLAT:
        low, high = high, 2 * high
    rate = high
    for _ in range(50):
        rate = (low + high) / 2
        is_below = math.fsum(size * math.tanh(rate * size) for size in sizes) < excess
        low, high = (rate, high) if is_below else (low, rate)
    exponents = (rate * size + math.log1p(math.exp(-2 * rate * size)) - math.log(2) for size in sizes)
    return min(1.0, max(math.exp(math.fsum(exponents) - rate * excess), sys.float_info.min))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: those below a level stand all together at that level.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6.

    Raises:
        ValueError: one is not within 0 and 1.
    """
    if wrong := [p for p in p_values if not 0 <= p <= 1]:
        raise ValueError(f"{wrong[0]} is no p-value")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def minimum_detectable_change(
    gains: Sequence[float], *, is_bool: bool, significance: float = SIGNIFICANCE, power: float = POWER
) -> float | None:
    """The smallest true drop of the mean that the one-sided test would mostly find: above 0, in the scores' unit.

    It is for as many pairs as these, and noise of the spread of these gains, besides which all scores drop by the same:
    (t of 1 - significance + t of power) * deviation / sqrt(n), with n - 1 degrees of freedom. For bools it is k / n for
    the smallest number k of examples that fail for good while the others go on changing at random:
    k >= z of 1 - significance * sqrt(noise + k) + z of power * sqrt(noise), with noise = deviation² * (n - k), and no
    fewer than are significant when nothing else changes. It is never above 1 then.

    None if there is no such drop: pairs so few that not even all of them would be significant, or scores that are no
    bools and of which all gains are equal, which say nothing of how far scores are spread.

    Source: Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640, section 5, solved for the difference,
    one-sided, and with Student's t in place of the normal distribution; for bools Connor 1987, "Sample Size for Testing
    Differences in Proportions for the Paired-Sample Design", Biometrics 43, with the variances that such a drop has.

    Args:
        gains: how much better each example became; above 0 is better.
        is_bool: whether they are of one pass or failure each, and so tested by `mcnemar_midp`; else by `sign_flip`.
        significance: of the test, such as 0.05.
        power: in which share of the cases it would be found, such as 0.8.

    Raises:
        ValueError: not 0 < significance < 1, or not 0 < power < 1.
    """
    if not 0 < significance < 1:
        raise ValueError(f"a significance of {significance} is not between 0 and 1")
    if not 0 < power < 1:
        raise ValueError(f"a power of {power} is not between 0 and 1")
    n = len(gains)
    fewest = next(k for k in itertools.count(1) if (mcnemar_midp(k, 0) if is_bool else 0.5**k) <= significance)
    if n < max(fewest, 2):
        return None
    deviation = sample_deviation(gains)
    if not is_bool:
        quantiles = student_t_quantile(1 - significance, n - 1) + student_t_quantile(power, n - 1)
        return within(quantiles * deviation / math.sqrt(n)) or None

    def is_enough(k: int) -> bool:
        noise = deviation**2 * (n - k)
        return k >= normal(1 - significance) * math.sqrt(noise + k) + normal(power) * math.sqrt(noise)

    normal = NormalDist().inv_cdf
    return next(filter(is_enough, range(fewest, n)), n) / n


def _upper(confidence: float) -> float:
    """The upper end of a two-sided interval, as a probability."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    return (1 + confidence) / 2


def _student_t_tail(t: float, df: float) -> float:
    """Return the probability that a value is above `t`, which is not below 0."""
    if not df >= 1:
        raise ValueError(f"{df} degrees of freedom are too few")
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
    """The continued fraction of the incomplete beta function for x < (a + 1) / (a + b + 2), by Lentz's method.

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


def _signed_sums(sizes: Sequence[float]) -> list[float]:
    """The sums of all ways to choose signs."""
    sums = [0.0]
    for size in sizes:
        sums = [total + signed for signed in (size, -size) for total in sums]
    return sums


def _share_of_subsets(n: int, members: int, k: int) -> float:
    """Return the share of all ways to draw `k` of `n` things that draw from some `members` of them only."""
    if not (1 <= k <= n and 0 <= members <= n):
        raise ValueError(f"no {k} of {n} can be drawn, {members} of which are of one kind")
    return math.comb(members, k) / math.comb(n, k)
