"""Decide whether a total reaches a limit before all scores are known: a risk-limiting audit."""

from __future__ import annotations

from dataclasses import dataclass

_PRIOR_WEIGHT = 20  # examples; chosen in shared simulations (`make statistics`)
_PRIOR_SPREAD = 5  # examples, for scores that are not bools
_LEAST_EDGE = 0.0005
_EDGE_SHARE = 0.02
_LARGEST_BET = 0.9
_LARGEST_RATE = 1 - 1e-6
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The scores that an audit expects, from a baseline or a guess; they decide the savings, never the risk.

    Attributes:
        mean: the mean score.
        variance: the variance of the scores.
    """

    mean: float
    variance: float = 0.25


class Audit:
    """Shows, from a growing random sample of n scores between 0 and 1, that their total exceeds a bound.

    The null hypothesis is that the total of all n scores is at most `bound`. The audit bets against it, with a stake
    of 1. Before each score, the null limits the mean of the scores that are left to

        m = (bound - sum so far) / (number of scores left),

    so that the wealth is a nonnegative supermartingale if the order is random. The wealth then ever reaches 1 / risk
    with a probability of at most `risk` (Ville's inequality), however often it is looked at. If m is below 0, the null
    is impossible, and the audit is certain.

    The bet on bools is ALPHA, which estimates the rate by shrinking it to the expected rate. The bet on other scores
    approximates the growth-optimal bet from the mean and variance so far.

    Source: Stark 2023, "ALPHA: Audit that Learns from Previously Hand-Audited Ballots", Annals of Applied Statistics
    17, section 2. Waudby-Smith, Ramdas 2024, "Estimating Means of Bounded Random Variables by Betting", JRSS B 86,
    section 5. Ville 1939, "Étude critique de la notion de collectif".

    Args:
        n: the number of scores.
        bound: the largest total under the null hypothesis.
        risk: the probability of a wrong decision, for example 0.01.
        expected: the expected scores.
        is_bool: whether all scores are 0 or 1.

    Attributes:
        is_decided: whether the total is known to exceed the bound, at the stated risk.
        is_certain: whether no scores that are left could change this.

    Raises:
        ValueError: not 0 < risk < 1, or n is negative.
    """

    def __init__(self, n: int, bound: float, *, risk: float, expected: Expected, is_bool: bool) -> None:
        if not 0 < risk < 1 or n < 0:
            raise ValueError(f"cannot audit {n} scores with a risk of {risk}")
        self._n = n
        self._bound = bound
        self._risk = risk
        self._expected = expected
        self._is_bool = is_bool
        self._seen = 0
        self._sum = 0.0
        self._squares = 0.0
        self._wealth = 1.0
        self.is_decided = self.is_certain = bound < 0

    def add(self, score: float) -> None:
        """Add the next score of the random order.

        Raises:
            ValueError: the score is not between 0 and 1, or all scores are known.
        """
        if not 0 <= score <= 1 or self._seen >= self._n:
            raise ValueError(f"an audit of {self._n} scores cannot add {score} after {self._seen} scores")
        limit = (self._bound - self._sum) / (self._n - self._seen)
        if self._wealth and limit >= 1:
            self._wealth = 0.0  # the null hypothesis is certain
        elif self._wealth and limit > 0:  # at a limit of 0, any score above 0 is certain
            self._wealth *= self._factor(score, limit)
        self._seen += 1
        self._sum += score
        self._squares += score * score
        self.is_certain = self.is_certain or self._sum > self._bound + _ROUNDING * self._n
        self.is_decided = self.is_decided or self.is_certain or self._wealth * self._risk >= 1

    def _factor(self, score: float, limit: float) -> float:
        """Return the factor of the wealth; its expected value is at most 1 if the mean of what is left is `limit`."""
        if self._is_bool:
            least = min(limit + _LEAST_EDGE + _EDGE_SHARE * (1 - limit), _LARGEST_RATE)
            rate = (_PRIOR_WEIGHT * self._expected.mean + self._sum) / (_PRIOR_WEIGHT + self._seen)
            rate = min(max(rate, least), _LARGEST_RATE)
            return score * rate / limit + (1 - score) * (1 - rate) / (1 - limit)
        weight = _PRIOR_SPREAD + self._seen
        middle = (_PRIOR_SPREAD * self._expected.mean + self._sum) / weight
        second = self._expected.variance + self._expected.mean**2
        variance = max((_PRIOR_SPREAD * second + self._squares) / weight - middle**2, 0.0)
        edge = middle - limit
        bet = edge / (variance + edge * edge) if edge > 0 else 0.0
        return 1 + min(bet, _LARGEST_BET / limit) * (score - limit)
