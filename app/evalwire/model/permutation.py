"""The sign-flip permutation test: counted, drawn, or computed from the characteristic function."""

from __future__ import annotations

import math
import operator
import random
import sys
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from evalwire.model.numbers import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAWS = 10_000
"""The number of random sign choices for 25 to 500 gains: a p-value of 0.05 is within ±0.004."""

_ENUMERATED = 24  # gains: two tables of 2¹² sums, a few milliseconds
_DRAWN = 500  # gains: draws take a tenth of a second, as the computation for any number of gains does
_CHUNK = 8  # gains: a random byte chooses their signs, as an index into a table of their 256 sums
_ROUNDS = 20  # times as many draws if no sum of the first round is as low
_FAR = 1e-6  # a tail with a bound of at most this size needs no more draws
_FLAT = 20.0  # tanh is 1 beyond this value
_ROUNDING = 1e-12  # the rounding error of the difference of two scores around 1
_TIE = 1e-9  # times the sum of all magnitudes: far above rounding errors, far below differences that draws can show

_OUTLIERS = 16  # gains: the largest, which do not set the unit of the others
_UNITS = 256  # in the root mean square of the other gains: rounding moves a sum by 0.1% of the standard deviation
_OUTWEIGHED = 32  # times the others: with larger outliers, the series needs too many terms
_MULTIPLE = 1e-6  # of a unit: the largest remainder of a multiple
_DEVIATIONS = 9  # a sum is farther than this from 0 with a probability below 1e-17
_NEGLIGIBLE = 1e-18  # a term of the series that does not change a p-value
_SMALLEST = 1e-9  # far above the rounding errors of the series


def sign_flip(gains: Sequence[float], *, draws: int = DRAWS, seed: int = 0) -> float:
    """Return the one-sided p-value of the sign-flip permutation test for a regression.

    A gain is the improvement of an example. If nothing changed, the two runs of any example could be exchanged, which
    turns the sign of its gain. The p-value is the share of all choices of signs whose sum is at most the observed sum,
    ties included. Gains of 0 and the order of the gains do not matter. A gain of at most 1e-12 counts as 0, because it
    is a rounding error of scores around 1. Without a nonzero gain, the p-value is 1.

    For up to 24 nonzero gains, all choices are counted. For 25 to 500, the p-value is (1 + hits) / (1 + draws) from
    seeded random signs. It is never 0 and is valid for any number of draws. For more, it is computed from the
    characteristic function of the sum (`_computed`), without chance.

    If no draw is as low as the observed sum, a p-value of 1 / (1 + draws) could never be significant among hundreds of
    gates. In this case there are 20 times as many draws. If these have no hit either, an upper bound of the exact
    p-value replaces the result if it is smaller. The bound decides only below all p-values that draws can have, so the
    test keeps its level.

    Source: Fisher 1935, "The Design of Experiments", section 21. For random signs, Phipson, Smyth 2010, "Permutation
    P-values Should Never Be Zero", arXiv 1603.05766. For additional draws, Besag, Clifford 1991, "Sequential Monte
    Carlo p-values", Biometrika 78.

    Args:
        gains: the gains in the scores' unit; above 0 is better.
        draws: the number of random sign choices in the first round.
        seed: the seed of the draws.

    Raises:
        ValueError: `draws` is below 1.
    """
    if draws < 1:
        raise ValueError(f"a p-value needs at least one draw, got {draws} draws")
    changed, _ = scaled([gain for gain in gains if abs(gain) > _ROUNDING])
    sizes = sorted(map(abs, changed))
    limit = math.fsum(changed) + math.fsum(sizes) * _TIE
    if len(sizes) <= _ENUMERATED:
        half = len(sizes) // 2
        ends = sorted(_signed_sums(sizes[half:]))
        hits = sum(bisect_right(ends, limit - start) for start in _signed_sums(sizes[:half]))
        return hits / (1 << len(sizes))
    if len(sizes) > _DRAWN and (computed := _computed(changed, sizes)) is not None:
        return computed if computed >= _SMALLEST else min(_SMALLEST, _tail_bound(sizes, -limit))
    return _drawn(sizes, limit, draws, random.Random(seed))  # noqa: S311 - not for secrets


def _drawn(sizes: list[float], limit: float, draws: int, chance: random.Random) -> float:
    """Return the p-value from random signs."""
    hits = _drawn_hits(sizes, limit, draws, chance)
    if hits:
        return (1 + hits) / (1 + draws)
    bound = _tail_bound(sizes, -limit)
    if bound > _FAR:
        hits = _drawn_hits(sizes, limit, draws * (_ROUNDS - 1), chance)
        draws *= _ROUNDS
    return (1 + hits) / (1 + draws) if hits else min(1 / (1 + draws), bound)


def _drawn_hits(sizes: list[float], limit: float, draws: int, chance: random.Random) -> int:
    """Return the number of random sign choices whose sum is at most `limit`."""
    sizes = sizes + [0.0] * (-len(sizes) % _CHUNK)
    totals = [0.0] * draws
    for start in range(0, len(sizes), _CHUNK):
        table = _signed_sums(sizes[start : start + _CHUNK])
        totals = list(map(operator.add, totals, map(table.__getitem__, chance.randbytes(draws))))
    return sum(total <= limit for total in totals)


def _computed(gains: Sequence[float], sizes: Sequence[float]) -> float | None:
    """Return the p-value of many gains from the characteristic function; None if a few gains outweigh all others.

    The gains become whole numbers of a unit. The unit is their common unit if there is one, such as 0.25 for five
    grades: the p-value then equals a count of all choices to 11 decimals. Other gains are rounded to 1/256 of their
    root mean square. Rounding does not depend on the sign, so the rounded gains have a valid test of their own. Near
    0.05, its p-value is within 0.0003 of the test of the gains themselves.

    Args:
        gains: the nonzero gains.
        sizes: their magnitudes, sorted.
    """
    deviation, others = math.hypot(*sizes), math.hypot(*sizes[:-_OUTLIERS])
    if deviation > _OUTWEIGHED * others:
        return None
    unit = others / math.sqrt(len(sizes)) / _UNITS
    unit = _common_unit(sizes, unit) or unit
    numbers = [round(gain / unit) for gain in gains]
    return _lower_tail(Counter(map(abs, numbers)), sum(numbers))


def _common_unit(sizes: Sequence[float], least: float) -> float | None:
    """Return the largest unit, at least `least`, of which all sizes are multiples; None if there is no such unit.

    Source: Euclid's algorithm, with remainders around 0.
    """
    unit = sizes[0]
    for size in sizes:
        rest = abs(math.remainder(size, unit))
        while rest > _MULTIPLE * least:
            unit, rest = rest, abs(math.remainder(unit, rest))
        if unit < least * (1 - _MULTIPLE):
            return None
    return unit


def _lower_tail(sizes: Counter[int], limit: int) -> float:
    """Return the probability that the sum of sizes with random signs is at most `limit`, within 1e-11.

    The sum has the characteristic function f(t), the product of cos(size * t). The numbers of the sum's lattice have
    a distance of 2, so that for x = limit + 1, between two of them, and t = (k + 1/2) * pi / m,

        P(sum < x) = 1/2 + sum of f(t) * sin(x * t) / sin(t) / m, over all t below pi / 2,

    for an even m. Sums farther from x than 2 * m are counted wrongly. Their probability is negligible by Hoeffding's
    bound, exp(-sum² / (2 * sum of sizes²)), if m is large enough.

    Source: Davies 1973, "Numerical Inversion of a Characteristic Function", Biometrika 60, for a sum on a lattice.
    Hoeffding 1963, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58.

    Args:
        sizes: the number of summands by size.
        limit: a sum that the signs can have.
    """
    x = limit + 1
    factors = sorted(
        ((size, times) for size, times in sizes.items() if size), key=lambda item: (-math.prod(item), item)
    )
    deviation = math.sqrt(sum(times * size * size for size, times in factors))
    if abs(x) > _DEVIATIONS * deviation:
        return float(x > 0)
    m = 2 * math.ceil((abs(x) + _DEVIATIONS * deviation) / 4)
    total = 0.0
    for numerator in range(1, m, 2):
        t = numerator * math.pi / (2 * m)
        term = 1.0
        for size, times in factors:
            term *= math.cos(size * t) ** times
            if -_NEGLIGIBLE < term < _NEGLIGIBLE:
                break
        else:
            total += term * math.sin(x * t) / math.sin(t)
    return min(1.0, max(0.0, 0.5 + total / m))


def _tail_bound(sizes: Sequence[float], excess: float) -> float:
    """Return an upper bound, above 0, of the probability that the sum with random signs is `excess` or more.

    The bound is the minimum of exp(sum of log cosh(r * size) - r * excess) over r > 0; each r yields a valid bound.

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


def _signed_sums(sizes: Sequence[float]) -> list[float]:
    """Return the sums for all choices of signs."""
    sums = [0.0]
    for size in sizes:
        sums = [total + signed for signed in (size, -size) for total in sums]
    return sums
