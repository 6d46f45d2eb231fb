"""`make statistics`: simulate false positives and the power of comparisons.

A system of `benchmarks.systems` runs an experiment of `n` examples twice: for the baseline and for the current run. A
separate table compares two systems that differ in every example but have the same expected mean.

Each comparison uses the test of a gate. It fails if the p-value is at most 0.05 and the mean fell, as with the
strictest gate. The last two tables simulate whole results with `benchmarks.comparisons`. Each cell has a fixed seed,
so the figures are the same on every machine.
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
from benchmarks.systems import GRADES, SHARES, graded, passes, skewed_scores
from benchmarks.systems import Sampler as PairSampler
from benchmarks.table import by_size
from evalwire.model import SIGNIFICANCE, holm, mcnemar_midp, sign_flip

SEED = 4
DRAWS = 799  # sign flips: any number is valid, and 799 is exact at 0.05 / 8 = 5 / 800, the first step of Holm
REPETITIONS = 5

Sampler = Callable[[random.Random, int, float], list[float]]


@dataclass(frozen=True, slots=True)
class GainsOf:
    """Draws the gains of an experiment from pairs of scores; a class, because processes exchange it."""

    pair: PairSampler

    def __call__(self, chance: random.Random, n: int, spoiled: float) -> list[float]:
        """Return the gains of `n` examples."""
        return [after - before for before, after in (self.pair(chance, spoiled) for _ in range(n))]


def repeated_passes(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """Return gains of means of five runs for the examples of `passes`."""
    gains = []
    for _ in range(n):
        likely = 1 - chance.random() ** 2
        before = sum(chance.random() < likely for _ in range(REPETITIONS))
        after = sum(chance.random() < likely * (1 - spoiled) for _ in range(REPETITIONS))
        gains.append((after - before) / REPETITIONS)
    return gains


def grades(chance: random.Random, n: int, spoiled: float) -> list[float]:
    """Return gains of grades, many of which are tied."""
    pairs = [graded(chance, deserved, spoiled) for deserved in chance.choices(GRADES, SHARES, k=n)]
    return [after - before for before, after in pairs]


def _changed_scores(chance: random.Random, n: int, few: float, most: float) -> list[float]:
    """Return gains of skewed scores, changed by `few` for a tenth of the examples and by `most` for the others."""
    gains = GainsOf(skewed_scores)(chance, n, 0.0)
    return [gain + (few if chance.random() < 0.1 else most) for gain in gains]  # noqa: PLR2004


def few_gain(chance: random.Random, n: int, _: float) -> list[float]:
    """Return gains in which a tenth of the examples gain 27 points and the others lose 3."""
    return _changed_scores(chance, n, 0.27, -0.03)


def few_lose(chance: random.Random, n: int, _: float) -> list[float]:
    """Return gains in which a tenth of the examples lose 27 points and the others gain 3."""
    return _changed_scores(chance, n, -0.27, 0.03)


def few_gain_exactly(chance: random.Random, n: int, _: float) -> list[float]:
    """Return gains of deterministic scores, in which most examples lose a little and few gain very much."""
    return [chance.expovariate(1) - 1 for _ in range(n)]


def differing_runs(chance: random.Random, n: int, _: float) -> list[float]:
    """Return gains of each of five runs per example; 30% of the examples are drawn again for the second system."""
    gains = []
    for _ in range(n):
        before = after = 1 - chance.random() ** 2
        if chance.random() < 0.3:  # noqa: PLR2004
            after = 1 - chance.random() ** 2
        gains += [float((chance.random() < after) - (chance.random() < before)) for _ in range(REPETITIONS)]
    return gains


def differing_examples(chance: random.Random, n: int, _: float) -> list[float]:
    """Return the mean gain of each example of `differing_runs`."""
    gains = differing_runs(chance, n, 0.0)
    return [sum(gains[start : start + REPETITIONS]) / REPETITIONS for start in range(0, len(gains), REPETITIONS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of scores.

    Attributes:
        gains: draws the gains of an experiment.
        mean: the expected score without a drop; a share of `d / mean` spoiled runs is a drop of `d`.
        is_bool: whether each example has a single pass or failure.
    """

    name: str
    gains: Sampler
    mean: float
    is_bool: bool = False

    def p_value(self, gains: Sequence[float], seed: int) -> float:
        """Return the p-value of the test that a gate uses."""
        if self.is_bool:
            return mcnemar_midp(sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains))
        return sign_flip(gains, draws=DRAWS, seed=seed)

    def judge(self, chance: random.Random, n: int, drop: float) -> tuple[float, bool]:
        """Simulate a comparison; return the p-value, and whether the mean fell."""
        gains = self.gains(chance, n, drop / self.mean)
        # draw new signs each time: a single choice of 799 would add the same error to all experiments
        return self.p_value(gains, chance.getrandbits(32)), math.fsum(gains) < 0


BOOL = Kind(name="bool, one run: McNemar mid-p", gains=GainsOf(passes), mean=2 / 3, is_bool=True)
SKEWED = Kind(name="graded, skewed: sign-flip", gains=GainsOf(skewed_scores), mean=math.pi / 4)
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
    """The number of failed comparisons in a simulation."""

    row: str
    n: int
    red: int
    of: int
    drop: float = 0.0

    @property
    def rate(self) -> float:
        """Return the share of failed comparisons."""
        return self.red / self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of the simulation.

    Attributes:
        sizes: numbers of examples.
        null: experiments without a drop per size, each with eight gates, two for each kind.
        power: experiments per kind, drop and size.
        drops: true drops of the mean.
        whole: whole comparisons per situation and size; a fifth of this number with hundreds of gates, and a quarter
            with spoiled runs.
        whole_sizes: numbers of examples in whole comparisons.
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
    """Simulate experiments without a change; count failures for each kind and for all eight gates together."""
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
    """Simulate experiments with an evaluator whose expected mean drops by `drop`."""
    chance = random.Random(f"{SEED} {kind.name} {drop} {n}")  # noqa: S311 - no secret
    judged = [kind.judge(chance, n, drop) for _ in range(experiments)]
    red = sum(p <= SIGNIFICANCE and fell for p, fell in judged)
    return Cell(row=kind.name, n=n, red=red, of=experiments, drop=drop)


def compared(situation: Situation, n: int, spoiled: float, comparisons: int) -> Cell:
    """Simulate whole comparisons of runs with their baselines, with a share of spoiled runs."""
    chance = random.Random(f"{SEED} {situation.name} {spoiled} {n}")  # noqa: S311 - no secret
    red = sum(is_red(situation, chance, n, spoiled) for _ in range(comparisons))
    return Cell(row=situation.name, n=n, red=red, of=comparisons, drop=spoiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The simulated figures.

    Attributes:
        null: comparisons of a system with itself.
        others: comparisons of two systems with the same mean.
        power: comparisons with a worse system.
        whole: whole comparisons of a system with itself.
        whole_power: whole comparisons with spoiled runs.
    """

    null: list[Cell]
    others: list[Cell]
    power: list[Cell]
    whole: list[Cell]
    whole_power: list[Cell]


def simulate(plan: Plan) -> Figures:
    """Simulate all cells on all processors, starting with the largest."""
    sizes = sorted(plan.sizes, reverse=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        null = [pool.submit(false_reds, n, plan.null) for n in sizes]
        others = [pool.submit(found, kind, 0.0, n, plan.null) for n in sizes for kind in OTHERS]
        each = itertools.product(sizes, KINDS, plan.drops)
        power = [pool.submit(found, kind, drop, n, plan.power) for n, kind, drop in each]
        pairs = [(situation, n) for n in plan.whole_sizes for situation in SITUATIONS]
        counts = {situation: plan.whole // 5 if situation is MANY else plan.whole for situation in SITUATIONS}
        whole = [pool.submit(compared, situation, n, 0.0, counts[situation]) for situation, n in pairs]
        whole_power = [pool.submit(compared, situation, n, SPOILED, counts[situation] // 4) for situation, n in pairs]
        return Figures(
            null=[cell for future in null for cell in future.result()],
            others=[future.result() for future in others],
            power=[future.result() for future in power],
            whole=[future.result() for future in whole],
            whole_power=[future.result() for future in whole_power],
        )


def standard_error(rate: float, of: int) -> float:
    """Return the standard error of a simulated rate."""
    return math.sqrt(rate * (1 - rate) / of)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and return 0 for any figures, because a test checks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description="Simulate the gates.")
    parser.add_argument("--quick", action="store_true", help="simulate a small part, to check that it works")
    plan = QUICK if parser.parse_args(argv).quick else FULL
    figures = simulate(plan)
    print("Failures in % of comparisons of a system with itself:\n")
    print(_table(["scores and test"], plan.sizes, figures.null, digits=1))
    print("\nFailures in % of comparisons with a worse system:\n")
    print(_table(["scores and test", "true drop"], plan.sizes, figures.power, digits=0))
    print("\nFailures in % of comparisons of two systems with the same mean:\n")
    print(_table(["what changed"], plan.sizes, figures.others, digits=1))
    print("\nFailures in % of whole comparisons without a regression:\n")
    print(_table(["how the run differs from its baseline"], plan.whole_sizes, figures.whole, digits=1))
    print(f"\nFailures in % of whole comparisons in which {100 * SPOILED:.0f}% of the runs are spoiled:\n")
    print(_table(["how the run differs from its baseline"], plan.whole_sizes, figures.whole_power, digits=0))
    without, with_drop = 100 * standard_error(SIGNIFICANCE, plan.null), 100 * standard_error(0.5, plan.power)
    print(f"\nSeed {SEED}; standard errors: {without:.1f} points at 5%, at most {with_drop:.1f} points with a drop.")
    return 0


def _table(headings: Sequence[str], sizes: Sequence[int], cells: Sequence[Cell], *, digits: int) -> str:
    found = {(cell.row, f"{100 * cell.drop:.0f} points", cell.n): f"{100 * cell.rate:.{digits}f}" for cell in cells}
    return by_size(headings, sizes, found)


if __name__ == "__main__":
    sys.exit(main())
