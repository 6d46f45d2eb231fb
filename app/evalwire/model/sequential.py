"""Test a drop at several looks: sign flips with a boundary at each look, and the chance that a drop will be found."""

from __future__ import annotations

import math
import operator
import random
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.permutation import DRAWS, sign_flip

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 8  # losses: a random byte chooses their signs
_ENUMERATED = 12  # losses: all 4,096 choices of signs are counted
_TIE = 1e-9  # times the sum of all magnitudes, as in `sign_flip`
_ROUNDING = 1e-12
_SIGNIFICANT = 1.66  # standard errors that a one-sided test at 5% needs, with a margin for few pairs


class SignWalk:
    """The sign-flip distribution of a sum of losses of -1, 0 and 1, at one look after another, computed exactly.

    Under the null hypothesis, the losses that are not 0 are the steps of a symmetric random walk. The distribution
    holds the walks that have not crossed an earlier boundary.

    Source: Armitage, McPherson, Rowe 1969, "Repeated Significance Tests on Accumulating Data", JRSS A 132, for the
    recursion over looks.

    Attributes:
        crossed: the probability that a walk has crossed a boundary.
    """

    def __init__(self) -> None:
        self.crossed = 0.0
        self._steps = 0
        self._alive = {0: 1.0}  # the probability of each position, from the highest

    def advance(self, losses: Sequence[float]) -> float:
        """Move on to the next look; return the sum of the losses. The losses of earlier looks come first."""
        steps = sum(loss != 0 for loss in losses)
        for _ in range(steps - self._steps):
            stepped: dict[int, float] = {}
            for place, mass in self._alive.items():
                stepped[place + 1] = stepped.get(place + 1, 0.0) + mass / 2
                stepped[place - 1] = mass / 2
            self._alive = stepped
        self._steps = steps
        return math.fsum(losses)

    def cross(self, spent: float) -> float:
        """Set the boundary so that walks cross any boundary so far with a probability of at most `spent`; return it."""
        boundary = math.inf
        for place in list(self._alive):
            if self.crossed + self._alive[place] > spent:
                break
            self.crossed += self._alive.pop(place)
            boundary = place
        return boundary

    def tail(self, total: float) -> float:
        """Return the p-value of a total at the last look: crossed earlier, or at least as large, with mid-p."""
        reached = [mass / (1 + (place == total)) for place, mass in self._alive.items() if place >= total]
        return min(1.0, self.crossed + math.fsum(reached))


class SignDraws:
    """The sign-flip distribution of a sum of losses, at one look after another, from random choices of signs.

    A choice is a sign for each example, the same at all looks. Up to 12 losses are enumerated instead.

    Args:
        n: the number of losses at the last look.
        draws: the number of choices.
        seed: the seed of the choices.
    """

    def __init__(self, n: int, *, draws: int = DRAWS, seed: int = 0) -> None:
        self._is_enumerated = n <= _ENUMERATED
        self._draws = 1 << n if self._is_enumerated else draws
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._signs: list[bytes] = []
        self._has_crossed = bytearray(self._draws)
        self._crossed = 0
        self._totals: list[float] = []
        self._done = 0  # losses in `_base`
        self._base = [0.0] * self._draws
        self._losses: tuple[float, ...] = ()

    @property
    def crossed(self) -> float:
        """The share of the choices that have crossed a boundary."""
        return self._crossed / self._draws

    def advance(self, losses: Sequence[float]) -> float:
        """Move on to the next look; return the sum of the losses.

        The losses of examples that an earlier look had may differ, as means over more repetitions do.
        """
        if tuple(losses[: self._done]) != self._losses[: self._done]:
            self._done, self._base = 0, [0.0] * self._draws
        self._losses = tuple(losses)
        whole = len(losses) - len(losses) % _CHUNK
        for start in range(self._done, whole, _CHUNK):
            self._base = self._added(self._base, start, losses[start : start + _CHUNK])
        self._done = whole
        rest = losses[whole:]
        self._totals = self._added(self._base, whole, rest) if rest else self._base
        return math.fsum(losses)

    def _added(self, totals: list[float], start: int, losses: Sequence[float]) -> list[float]:
        table = [0.0]
        for loss in losses:
            table = [total + signed for signed in (loss, -loss) for total in table]
        table *= (1 << _CHUNK) // len(table)
        return list(map(operator.add, totals, map(table.__getitem__, self._signs_of(start // _CHUNK))))

    def _signs_of(self, chunk: int) -> bytes:
        while len(self._signs) <= chunk:
            place = len(self._signs) * _CHUNK
            self._signs.append(
                bytes((choice >> place) & 255 for choice in range(self._draws))
                if self._is_enumerated
                else self._chance.randbytes(self._draws)
            )
        return self._signs[chunk]

    def cross(self, spent: float) -> float:
        """Set the boundary so that choices cross any boundary so far with a probability of at most `spent`, below 1.

        Returns:
            The boundary.
        """
        most = math.floor(spent * self._draws + _ROUNDING)
        if not self._is_enumerated:
            most = math.floor(spent * (1 + self._draws)) - 1  # valid for any number of draws
        if most <= self._crossed:
            return math.inf
        tie = math.fsum(map(abs, self._losses)) * _TIE
        alive = sorted(
            (total for total, has in zip(self._totals, self._has_crossed, strict=True) if not has), reverse=True
        )
        count = most - self._crossed
        boundary = next((total for total in reversed(alive[:count]) if total > alive[count] + tie), math.inf)
        for index, total in enumerate(self._totals):
            if not self._has_crossed[index] and total >= boundary - tie:
                self._has_crossed[index] = 1
                self._crossed += 1
        return boundary

    def tail(self, total: float) -> float:
        """Return the p-value of a total at the last look: crossed earlier, or at least as large."""
        tie = math.fsum(map(abs, self._losses)) * _TIE
        later = sum(
            not has and found >= total - tie for found, has in zip(self._totals, self._has_crossed, strict=True)
        )
        if self._is_enumerated:
            return (self._crossed + later) / self._draws
        if not later:  # too few draws for such a small value: the sum of both probabilities is at least as large
            fixed = sign_flip([-loss for loss in self._losses])
            return min((1 + self._crossed) / (1 + self._draws), self.crossed + fixed)
        return (1 + self._crossed + later) / (1 + self._draws)


def chance_of_drop(total: float, variance: float, share: float, *, tolerance: float) -> float:
    """Return the probability that the whole experiment shows a significant drop beyond the tolerance, as seen so far.

    The sum of all losses is predicted to be normal around `total`, with the variance that is left:

        variance * (1 - share) / share.

    The drop is found if the sum exceeds both 1.66 standard errors and the tolerance. (Predictive power with a flat
    prior. For a random order, it is the sampling distribution of the rest as well.)

    Source: Jennison, Turnbull 1999, "Group Sequential Methods with Applications to Clinical Trials", section 10.3.

    Args:
        total: the predicted sum of all losses.
        variance: the predicted variance of the sum of all losses.
        share: the share of the information that is known, above 0 and below 1.
        tolerance: the sum of losses that is allowed.
    """
    least = max(_SIGNIFICANT * math.sqrt(variance), tolerance)
    spread = math.sqrt(variance * (1 - share) / share)
    if spread == 0:
        return float(total > least)
    return NormalDist().cdf((total - least) / spread)
