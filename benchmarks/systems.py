"""Simulated systems: the scores of an example in two runs, for the baseline and for the current run.

Each example has a random difficulty. Both of its scores depend on this difficulty, so the scores are paired, and are
otherwise independent. For a true drop of `d` points, each current run is spoiled with a probability of `d / mean`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

Pair = tuple[float, float]
Sampler = Callable[[random.Random, float], Pair]
Difficulty = Callable[[random.Random], float]

GRADES = (0, 1, 2, 3, 4)
SHARES = (1, 1, 3, 6, 9)  # the number of examples that deserve each grade, of 20
_SLIP = 0.15  # probability that a run gets a grade too high; the same for too low
_FEW = 0.1  # share of the examples that change much


def likely(chance: random.Random) -> float:
    """Return the probability 1 - u² that an example passes, for a uniform u: 2/3 on average."""
    return 1 - chance.random() ** 2


def mostly_likely(chance: random.Random) -> float:
    """Return the probability 1 - u⁸ that an example passes, for a uniform u: 8/9 on average."""
    return 1 - chance.random() ** 8


def passes(chance: random.Random, spoiled: float) -> Pair:
    """Return passes (1) or failures (0); a quarter of the examples have both."""
    return _passes(chance, likely(chance), spoiled)


def quiet_passes(chance: random.Random, spoiled: float) -> Pair:
    """Return passes or failures; a tenth of the examples have both."""
    return _passes(chance, mostly_likely(chance), spoiled)


def three_sorts(chance: random.Random, spoiled: float) -> Pair:
    """Return passes or failures of examples that pass always (60%), half of the time (30%) or never (10%)."""
    return _passes(chance, chance.choices((1.0, 0.5, 0.0), (6, 3, 1))[0], spoiled)


def broken_for_good(chance: random.Random, spoiled: float) -> Pair:
    """Return passes or failures of quiet examples, a share of which always fails in the current run."""
    before, after = quiet_passes(chance, 0.0)
    return before, 0.0 if chance.random() < spoiled else after


def skewed_scores(chance: random.Random, spoiled: float) -> Pair:
    """Return scores v^(u²): most are close to 1, with a long tail, and difficult examples vary more."""
    difficulty = chance.random() ** 2
    before, after = chance.random() ** difficulty, chance.random() ** difficulty
    return before, 0.0 if chance.random() < spoiled else after


def grades(chance: random.Random, spoiled: float) -> Pair:
    """Return two of five grades from 0 to 1, for an example that deserves one of them."""
    return graded(chance, chance.choices(GRADES, SHARES)[0], spoiled)


def graded(chance: random.Random, deserved: int, spoiled: float) -> Pair:
    """Return two grades from 0 to 1: most runs get the deserved grade, and some a grade more or less."""

    def grade() -> int:
        slip = chance.random()
        return max(deserved - 1, 0) if slip < _SLIP else min(deserved + 1, 4) if slip > 1 - _SLIP else deserved

    before, after = grade(), grade()
    return before / 4, (0 if chance.random() < spoiled else after) / 4


def few_gain(chance: random.Random, _: float) -> Pair:
    """Return scores: a tenth of the examples gain 27 points, and the others lose 3."""
    before, after = skewed_scores(chance, 0.0)
    return before, after + (0.27 if chance.random() < _FEW else -0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A kind of scores.

    Attributes:
        pair: draws the scores of an example.
        mean: the expected score without a drop.
        is_bool: whether each example has a single pass or failure.
        difficulty: draws the probability that an example passes, for passes and failures.
    """

    name: str
    pair: Sampler
    mean: float = 1.0
    is_bool: bool = False
    difficulty: Difficulty | None = None

    def pairs(self, chance: random.Random, n: int, drop: float) -> list[Pair]:
        """Draw the scores of an experiment, with a true drop of the mean."""
        return [self.pair(chance, drop / self.mean) for _ in range(n)]

    def repeated(self, chance: random.Random, drop: float, repetitions: int) -> tuple[list[float], list[float]]:
        """Draw the passes and failures of an example in several repetitions, with a true drop of the mean."""
        if self.difficulty is None:
            raise ValueError(f"repetitions of {self.name} cannot be drawn")
        rate = self.difficulty(chance)
        before = [float(chance.random() < rate) for _ in range(repetitions)]
        return before, [float(chance.random() < rate * (1 - drop / self.mean)) for _ in range(repetitions)]


NOISY = System(name="bool", pair=passes, mean=2 / 3, is_bool=True, difficulty=likely)
QUIET = System(name="bool, quiet", pair=quiet_passes, mean=8 / 9, is_bool=True, difficulty=mostly_likely)
SKEWED = System(name="graded, skewed", pair=skewed_scores, mean=math.pi / 4)
TIED = System(name="graded, many ties", pair=grades, mean=0.7475)
SORTS = System(name="always, half or never", pair=three_sorts, mean=0.75, is_bool=True)
BROKEN = System(name="some break for good", pair=broken_for_good, mean=8 / 9, is_bool=True)
FEW_GAIN = System(name="few gain much, most lose a little", pair=few_gain)


def _passes(chance: random.Random, rate: float, spoiled: float) -> Pair:
    return float(chance.random() < rate), float(chance.random() < rate * (1 - spoiled))
