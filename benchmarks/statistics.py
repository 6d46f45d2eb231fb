"""`make statistics`: how often a comparison is falsely red, and how often it finds a drop that is there, by simulation.

An experiment of `n` examples is run by one system twice: the baseline, and then the run that is judged. Each example is
drawn anew, with a difficulty of its own on which both of its scores depend, which is why they are paired; given that,
the two are independent. A true drop of `d` points is a system of which some runs are spoiled and score 0, each with the
same probability, so that the mean over all possible examples falls by exactly `d`. A table of its own has two systems
that differ in every example, and have the same mean over all possible ones.

Each of these comparisons is judged by the test that a gate would use, and is red if its p-value is at most 0.05 and the
mean fell at all, which is the least tolerant of gates. The last two tables judge whole results, of
`benchmarks.comparisons`. All is drawn from one seed, each cell for itself, so that the figures are the same on every
machine.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.comparisons import MANY, SITUATIONS, SPOILED, Situation, is_red
from evalwire.model import SIGNIFICANCE, holm, mcnemar_midp, sign_flip

SEED = 4
DRAWS = 799  # of signs: valid with any number, and no coarser at 0.05 / 8 = 5 / 800, Holm's first step
REPETITIONS = 5

GRADES = (0, 1, 2, 3, 4)
SHARES = (1, 1, 3, 6, 9)  # of examples that deserve each grade, of 20
SLIP = 0.15  # how likely a run is a grade too high, and too low

Sampler = Callable[[random.Random, int, float], list[float]]


def passes(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """Gains of one run each: an example passes with a probability of its own, 1 - u² of a uniform u; 2/3 on average."""
    gains = []
    for _ in range(n):
        likely = 1 - chance.random() ** 2
        before, after = chance.random() < likely, chance.random() < likely * (1 - spoiled)
        gains.append(float(after - before))
    return gains


def repeated_passes(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """The same examples with five runs each, of which the mean counts."""
    gains = []
    for _ in range(n):
        likely = 1 - chance.random() ** 2
        before = sum(chance.random() < likely for _ in range(REPETITIONS))
        after = sum(chance.random() < likely * (1 - spoiled) for _ in range(REPETITIONS))
        gains.append((after - before) / REPETITIONS)
    return gains


def skewed_scores(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """Gains of scores v^(u²): most are close to 1, with a long tail down to 0, and difficult examples vary more."""
    gains = []
    for _ in range(n):
        difficulty = chance.random() ** 2
        before, after = chance.random() ** difficulty, chance.random() ** difficulty
        gains.append((0.0 if chance.random() < spoiled else after) - before)
    return gains


def grades(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """Gains of one of five grades, 0 to 1: most runs are given what the example deserves, some a grade more or less."""

    def graded(deserved: int) -> int:
        slip = chance.random()
        return max(deserved - 1, 0) if slip < SLIP else min(deserved + 1, 4) if slip > 1 - SLIP else deserved

    gains = []
    for deserved in chance.choices(GRADES, SHARES, k=n):
        before, after = graded(deserved), graded(deserved)
        gains.append(((0 if chance.random() < spoiled else after) - before) / 4)
    return gains


def _changed_scores(chance: random.Random, n: int, few: float, most: float) -> list[float]:
    """The gains of skewed scores of two systems: of `few` for a tenth of the examples, and `most` for the others."""
    return [gain + (few if chance.random() < 0.1 else most) for gain in skewed_scores(chance, n, 0.0)]  # noqa: PLR2004


def few_gain(chance: random.Random, n: int, _: float) -> list[float]:
    """A tenth of the examples gain 27 points, the others lose 3."""
    return _changed_scores(chance, n, 0.27, -0.03)


def few_lose(chance: random.Random, n: int, _: float) -> list[float]:
    """A tenth of the examples lose 27 points, the others gain 3."""
    return _changed_scores(chance, n, -0.27, 0.03)


def few_gain_exactly(chance: random.Random, n: int, _: float) -> list[float]:
    """Two runs of a system would be equal; between the systems, most examples lose a little, and few gain very much."""
    return [chance.expovariate(1) - 1 for _ in range(n)]


def differing_runs(chance: random.Random, n: int, _: float) -> list[float]:
    """Single gains of five runs of each example, of which three in ten are as if drawn anew for the second system."""
    gains = []
    for _ in range(n):
        before = after = 1 - chance.random() ** 2
        if chance.random() < 0.3:  # noqa: PLR2004
            after = 1 - chance.random() ** 2
        gains += [float((chance.random() < after) - (chance.random() < before)) for _ in range(REPETITIONS)]
    return gains


def differing_examples(chance: random.Random, n: int, _: float) -> list[float]:
    """The same, with the mean of the five as the gain of the example."""
    gains = differing_runs(chance, n, 0.0)
    return [sum(gains[start : start + REPETITIONS]) / REPETITIONS for start in range(0, len(gains), REPETITIONS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of scores.

    Attributes:
        gains: draws an experiment.
        mean: of all possible scores before a drop; a share `d / mean` of spoiled runs is a drop of `d`.
        is_bool: whether each example has one pass or failure.
    """

    name: str
    gains: Sampler
    mean: float
    is_bool: bool = False

    def p_value(self, gains: Sequence[float], seed: int) -> float:
        """By the test that a gate would use."""
        if self.is_bool:
            return mcnemar_midp(sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains))
        return sign_flip(gains, draws=DRAWS, seed=seed)

    def judge(self, chance: random.Random, n: int, drop: float) -> tuple[float, bool]:
        """The p-value of one simulated comparison, and whether the mean fell."""
        gains = self.gains(chance, n, drop / self.mean)
        # other signs each time: one choice of 799 for all would be off by its own luck in every experiment alike
        return self.p_value(gains, chance.getrandbits(32)), math.fsum(gains) < 0


BOOL = Kind(name="bool, one run: McNemar mid-p", gains=passes, mean=2 / 3, is_bool=True)
SKEWED = Kind(name="graded, skewed: sign-flip", gains=skewed_scores, mean=math.pi / 4)
TIED = Kind(name="graded, many ties: sign-flip", gains=grades, mean=0.7475)
REPEATED = Kind(name="bool, 5 repetitions: sign-flip", gains=repeated_passes, mean=2 / 3)
KINDS = (BOOL, SKEWED, TIED, REPEATED)
EIGHT = KINDS * 2
FEW_GAIN = Kind(name="few gain much, most lose a little", gains=few_gain, mean=1)
FEW_LOSE = Kind(name="few lose much, most gain a little", gains=few_lose, mean=1)
FEW_GAIN_EXACTLY = Kind(name="few gain much, and scores have no noise", gains=few_gain_exactly, mean=1)
DIFFERING = Kind(name="3 in 10 differ, 5 repetitions", gains=differing_examples, mean=1)
MISCOUNTED = Kind(name="the same, if each repetition were an example", gains=differing_runs, mean=1, is_bool=True)
OTHERS = (FEW_GAIN, FEW_LOSE, DIFFERING, MISCOUNTED, FEW_GAIN_EXACTLY)
ANY_HOLM = "any of eight gates, Holm"
ANY_UNCORRECTED = "any of eight gates, if uncorrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How many of some simulated comparisons were red."""

    row: str
    n: int
    red: int
    of: int
    drop: float = 0.0

    @property
    def rate(self) -> float:
        """The share of red ones."""
        return self.red / self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is simulated.

    Attributes:
        sizes: numbers of examples.
        null: experiments without a drop for each size, of eight gated evaluators each, two of each kind.
        power: experiments for each kind, drop and size.
        drops: true ones, of the mean.
        whole: whole comparisons for each situation and size; a fifth as many of hundreds of gates, and a quarter as
            many with spoiled runs.
        whole_sizes: numbers of examples of those.
    """

    sizes: tuple[int, ...] = (10, 20, 50, 100, 200, 500)
    null: int = 2000
    power: int = 1000
    drops: tuple[float, ...] = (0.05, 0.10, 0.15, 0.20)
    whole: int = 1000
    whole_sizes: tuple[int, ...] = (20, 50)


FULL = Plan()
QUICK = Plan(sizes=(10, 50, 200), null=300, power=80, drops=(0.10, 0.20), whole=200, whole_sizes=(20,))


def false_reds(n: int, experiments: int) -> list[Cell]:
    """Experiments in which nothing changed: each kind for itself, and all eight gates of an experiment together."""
    chance = random.Random(f"{SEED} null {n}")  # noqa: S311 - no secret
    red = dict.fromkeys((*(kind.name for kind in KINDS), ANY_HOLM, ANY_UNCORRECTED), 0)
    for _ in range(experiments):
        judged = [kind.judge(chance, n, 0.0) for kind in EIGHT]
        alone = [p <= SIGNIFICANCE and fell for p, fell in judged]
        together = zip(holm([p for p, _ in judged]), judged, strict=True)
        for kind, red_alone in zip(EIGHT, alone, strict=True):
            red[kind.name] += red_alone
        red[ANY_HOLM] += any(p <= SIGNIFICANCE and fell for p, (_, fell) in together)
        red[ANY_UNCORRECTED] += any(alone)
    of = dict.fromkeys(red, experiments) | {kind.name: EIGHT.count(kind) * experiments for kind in KINDS}
    return [Cell(row=row, n=n, red=count, of=of[row]) for row, count in red.items()]


def found(kind: Kind, drop: float, n: int, experiments: int) -> Cell:
    """Experiments with one evaluator, of which the mean truly drops, or does not."""
    chance = random.Random(f"{SEED} {kind.name} {drop} {n}")  # noqa: S311 - no secret
    judged = [kind.judge(chance, n, drop) for _ in range(experiments)]
    red = sum(p <= SIGNIFICANCE and fell for p, fell in judged)
    return Cell(row=kind.name, n=n, red=red, of=experiments, drop=drop)


def compared(situation: Situation, n: int, spoiled: float, comparisons: int) -> Cell:
    """Whole comparisons of a run with its baseline, in which some runs of the task are spoiled, or none."""
    chance = random.Random(f"{SEED} {situation.name} {spoiled} {n}")  # noqa: S311 - no secret
    red = sum(is_red(situation, chance, n, spoiled) for _ in range(comparisons))
    return Cell(row=situation.name, n=n, red=red, of=comparisons, drop=spoiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was simulated.

    Attributes:
        null: comparisons of a system with itself.
        others: of two systems of the same mean.
        power: of two systems of which the second is worse.
        whole: whole results, of a system with itself.
        whole_power: whole results, of which the second has spoiled runs.
    """

    null: list[Cell]
    others: list[Cell]
    power: list[Cell]
    whole: list[Cell]
    whole_power: list[Cell]


def simulate(plan: Plan) -> Figures:
    """All cells, on all processors; the longest first."""
    sizes = sorted(plan.sizes, reverse=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        null = [pool.submit(false_reds, n, plan.null) for n in sizes]
        others = [pool.submit(found, kind, 0.0, n, plan.null) for n in sizes for kind in OTHERS]
        each = itertools.product(sizes, KINDS, plan.drops)
        power = [pool.submit(found, kind, drop, n, plan.power) for n, kind, drop in each]
        pairs = [(one, n) for n in plan.whole_sizes for one in SITUATIONS]
        counts = {one: plan.whole // 5 if one is MANY else plan.whole for one in SITUATIONS}
        whole = [pool.submit(compared, one, n, 0.0, counts[one]) for one, n in pairs]
        whole_power = [pool.submit(compared, one, n, SPOILED, counts[one] // 4) for one, n in pairs]
        return Figures(
            null=[cell for future in null for cell in future.result()],
            others=[future.result() for future in others],
            power=[future.result() for future in power],
            whole=[future.result() for future in whole],
            whole_power=[future.result() for future in whole_power],
        )


def standard_error(rate: float, of: int) -> float:
    """Of a rate that was simulated so often."""
    return math.sqrt(rate * (1 - rate) / of)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 0 whatever the figures are, since the test judges them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description="Simulate the gates.")
    parser.add_argument("--quick", action="store_true", help="a small part of it: does it work at all?")
    plan = QUICK if parser.parse_args(argv).quick else FULL
    figures = simulate(plan)
    print("Red, in % of comparisons of a system with itself:\n")
    print(_table(["scores and test"], plan.sizes, figures.null, digits=1))
    print("\nRed, in % of comparisons of two systems of which the second is worse:\n")
    print(_table(["scores and test", "true drop"], plan.sizes, figures.power, digits=0))
    print("\nRed, in % of comparisons of two systems of the same mean:\n")
    print(_table(["what changed"], plan.sizes, figures.others, digits=1))
    print("\nRed, in % of whole comparisons in which nothing got worse:\n")
    print(_table(["how the run differs from its baseline"], plan.whole_sizes, figures.whole, digits=1))
    print(f"\nRed, in % of whole comparisons in which {100 * SPOILED:.0f} % of the runs are spoiled:\n")
    print(_table(["how the run differs from its baseline"], plan.whole_sizes, figures.whole_power, digits=0))
    without, with_drop = 100 * standard_error(SIGNIFICANCE, plan.null), 100 * standard_error(0.5, plan.power)
    print(
        f"\nSeed {SEED}; standard errors: {without:.1f} points at 5 %, at most {with_drop:.1f} where there is a drop."
    )
    return 0


def _table(headings: Sequence[str], sizes: Sequence[int], cells: Sequence[Cell], *, digits: int) -> str:
    """Markdown: a line for each row and drop, a column for each size."""
    lines = [[*headings, *(f"n = {n}" for n in sizes)], [*("---" for _ in headings), *("---:" for _ in sizes)]]
    rates = {(cell.row, cell.drop, cell.n): cell.rate for cell in cells}
    for row, drop in dict.fromkeys((cell.row, cell.drop) for cell in cells):
        first = [row, f"{100 * drop:.0f} points"][: len(headings)]
        lines.append([*first, *(f"{100 * rates[row, drop, n]:.{digits}f}" for n in sizes)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
