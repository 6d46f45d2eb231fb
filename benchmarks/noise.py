"""`make statistics`: simulate the interval of the flip rate, and the sample sizes that the planner names.

A share of the examples passes half of the time, and the other examples always pass or always fail. Flips between two
runs of the same code are then half of this share. For a true drop, each run of an example that always passes fails
with the same probability. In the table of lasting failures, some of these examples fail in all runs instead.

Each cell has a fixed seed, so the figures are the same on every machine.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import NormalDist

from benchmarks.table import by_size
from evalwire.model import POWER, SIGNIFICANCE, DropTest, Noise, flip_share, mcnemar_midp, sign_flip
from evalwire.model.noise import ExampleNoise

SEED = 103
DRAWS = 799  # sign flips, as in benchmarks.statistics
HALF = 0.5  # probability that an example passes whose verdict flips
ALWAYS = 0.8  # share of the stable examples that pass, for the interval
NEAR = (1 / 1.3, 1 / 1.1, 1.0, 1.1, 1.3)  # times the planned number of examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The intervals of a flip rate that cover the true rate, of all simulated intervals."""

    flips: float
    n: int
    runs: int
    covered: int
    of: int

    @property
    def share(self) -> float:
        """The share of the intervals that cover the true rate."""
        return self.covered / self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A planned number of examples, and the power with numbers around it.

    Attributes:
        row: the kind of scores and the drop.
        runs: the number of runs of each example on each side.
        examples: the planned number.
        powers: the simulated power, by the number of examples.
        lasting: the simulated power with the planned number, if the failures are lasting; None for numbers.
    """

    row: str
    runs: int
    examples: int
    powers: dict[int, float]
    lasting: float | None = None

    @property
    def needed(self) -> float:
        """The number of examples with a power of 80%: a line through the probits, by the square root of the number."""
        quantile = NormalDist().inv_cdf
        points = [(n**0.5, quantile(min(max(power, 0.001), 0.999))) for n, power in self.powers.items()]
        middle = sum(x for x, _ in points) / len(points)
        height = sum(y for _, y in points) / len(points)
        slope = sum((x - middle) * (y - height) for x, y in points) / sum((x - middle) ** 2 for x, _ in points)
        return float((middle + (quantile(POWER) - height) / slope) ** 2)

    @property
    def error(self) -> float:
        """The relative difference of the planned number from the needed number."""
        return self.examples / self.needed - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of the simulation.

    Attributes:
        flips: true flip rates.
        sizes: numbers of examples of an interval.
        runs: numbers of runs of an example.
        intervals: intervals per cell.
        drops: true drops.
        repetitions: numbers of runs of each example on each side of a comparison.
        comparisons: comparisons per number of examples.
    """

    flips: tuple[float, ...] = (0.02, 0.05, 0.10, 0.25)
    sizes: tuple[int, ...] = (50, 100, 200, 500)
    runs: tuple[int, ...] = (2, 3, 5)
    intervals: int = 10_000
    drops: tuple[float, ...] = (0.05, 0.10)
    repetitions: tuple[int, ...] = (1, 3, 5)
    comparisons: int = 4_000


FULL = Plan()
QUICK = Plan(flips=(0.05, 0.25), sizes=(100,), runs=(2, 3), intervals=1_500, drops=(0.10,), comparisons=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The simulated figures."""

    intervals: list[Covered]
    plans: list[Planned]


def intervals(flips: float, n: int, runs: int, *, count: int) -> Covered:
    """Count the intervals of a flip rate that cover the true rate."""
    chance = random.Random(f"{SEED} interval {flips} {n} {runs}")  # noqa: S311 - a simulation
    covered = 0
    for _ in range(count):
        changes = []
        for _ in range(n):
            if chance.random() < 2 * flips:
                changes.append(flip_share(sum(chance.random() < HALF for _ in range(runs)), runs))
            else:
                changes.append(flip_share(runs if chance.random() < ALWAYS else 0, runs))
        examples = tuple(ExampleNoise(example_id="", scores=(), change=change) for change in changes)
        interval = Noise(is_bool=True, examples=examples, runs=runs).interval
        covered += interval is not None and interval.low <= flips <= interval.high
    return Covered(flips=flips, n=n, runs=runs, covered=covered, of=count)


def bool_gains(
    chance: random.Random, n: int, *, flips: float, drop: float, runs: int, is_lasting: bool = False
) -> list[float]:
    """Return the gains of an experiment of bools after a drop."""
    spoiled = drop / (1 - 2 * flips)

    def passes(probability: float) -> int:
        return runs if probability == 1 else sum(chance.random() < probability for _ in range(runs))

    gains = []
    for _ in range(n):
        if chance.random() < 2 * flips:
            gains.append((passes(HALF) - passes(HALF)) / runs)
        elif is_lasting:
            gains.append(-1.0 if chance.random() < spoiled else 0.0)
        else:
            gains.append((passes(1 - spoiled) - runs) / runs)
    return gains


def number_gains(chance: random.Random, n: int, *, deviation: float, drop: float, runs: int) -> list[float]:
    """Return the gains of an experiment of numbers, all of which drop by the same amount."""
    return [chance.gauss(-drop, deviation / runs**0.5) for _ in range(n)]


def found(gains: Sequence[float], chance: random.Random, *, is_mcnemar: bool) -> bool:
    """Check whether the test of a gate is significant."""
    if is_mcnemar:
        p_value = mcnemar_midp(sum(gain < 0 for gain in gains), sum(gain > 0 for gain in gains))
    else:
        p_value = sign_flip(gains, draws=DRAWS, seed=chance.getrandbits(32))
    return p_value <= SIGNIFICANCE


def power(draw: Callable[..., list[float]], n: int, *, is_mcnemar: bool, seed: str, count: int) -> float:
    """Return the share of experiments with n examples in which the drop is found."""
    chance = random.Random(f"{SEED} {seed} {n}")  # noqa: S311 - a simulation
    return sum(found(draw(chance, n), chance, is_mcnemar=is_mcnemar) for _ in range(count)) / count


def planned_bools(flips: float, drop: float, runs: int, *, count: int) -> Planned:
    """Simulate the power around the planned number of examples of bools."""
    test = DropTest(deviation=flips**0.5, is_bool=True)
    examples = test.examples_for(drop, repetitions=runs) or 0
    row = f"{100 * flips:.0f}% flips, {100 * drop:.0f} points"
    draw = partial(bool_gains, flips=flips, drop=drop, runs=runs)
    each = partial(power, is_mcnemar=runs == 1, seed=f"{row} {runs}", count=count)
    return Planned(
        row=row,
        runs=runs,
        examples=examples,
        powers={n: each(draw, n) for n in _around(examples)},
        lasting=each(partial(draw, is_lasting=True), examples),
    )


def planned_numbers(deviation: float, drop: float, runs: int, *, count: int) -> Planned:
    """Simulate the power around the planned number of examples of numbers."""
    test = DropTest(deviation=deviation, is_bool=False)
    examples = test.examples_for(drop, repetitions=runs) or 0
    row = f"numbers that differ by {deviation}, {drop:.2f}"
    draw = partial(number_gains, deviation=deviation, drop=drop, runs=runs)
    each = partial(power, is_mcnemar=False, seed=f"{row} {runs}", count=count)
    return Planned(row=row, runs=runs, examples=examples, powers={n: each(draw, n) for n in _around(examples)})


def _around(examples: int) -> list[int]:
    return list(dict.fromkeys(round(examples * times) for times in NEAR))


def simulate(plan: Plan) -> Figures:
    """Simulate all cells on all processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        plans = [
            pool.submit(planned, noise, drop, runs, count=plan.comparisons)
            for noise, drop, runs in itertools.product(sorted(plan.flips, reverse=True), plan.drops, plan.repetitions)
            if noise >= 0.05  # noqa: PLR2004 - below, few examples need other tests
            for planned in (planned_bools, *([planned_numbers] if noise == plan.flips[-1] else []))
        ]
        covered = [
            pool.submit(intervals, flips, n, runs, count=plan.intervals)
            for flips, n, runs in itertools.product(plan.flips, plan.sizes, plan.runs)
        ]
        return Figures(
            intervals=[future.result() for future in covered],
            plans=sorted((future.result() for future in plans), key=lambda planned: (planned.row, planned.runs)),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and return 0 for any figures, because a test checks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description="Simulate noise and its plans.")
    parser.add_argument("--quick", action="store_true", help="simulate a small part, to check that it works")
    plan = QUICK if parser.parse_args(argv).quick else FULL
    figures = simulate(plan)
    print("95% intervals of the flip rate that cover it, in %:\n")
    print(_intervals(plan, figures.intervals))
    print("\nPlanned examples (80%, one-sided 5%), and the examples that the simulation needs:\n")
    print(_plans(plan, figures.plans))
    print("\nPower with the planned examples if some examples fail in all runs, in %:\n")
    print(_lasting(plan, [planned for planned in figures.plans if planned.lasting is not None]))
    known = [each for each in figures.intervals if each.flips >= 0.05 and each.n >= 100]  # noqa: PLR2004 - not rough
    shares = [100 * each.share for each in known]
    print(f"\nFrom 5% of flips and 100 examples on, the intervals cover in {min(shares):.1f} to {max(shares):.1f}%.")
    worst = max(figures.plans, key=lambda planned: abs(planned.error))
    print(f"The planned number of examples differs by at most {100 * abs(worst.error):.0f}% ({worst.row}).")
    return 0


def _intervals(plan: Plan, covered: Sequence[Covered]) -> str:
    cells = {(f"{100 * each.flips:.0f}%", str(each.runs), each.n): f"{100 * each.share:.1f}" for each in covered}
    return by_size(("flips", "runs of an example"), plan.sizes, cells)


def _plans(plan: Plan, plans: Sequence[Planned]) -> str:
    return _by_runs(plan, {(each.row, each.runs): f"{each.examples:,} / {each.needed:,.0f}" for each in plans})


def _lasting(plan: Plan, plans: Sequence[Planned]) -> str:
    return _by_runs(plan, {(each.row, each.runs): f"{100 * (each.lasting or 0.0):.0f}" for each in plans})


def _by_runs(plan: Plan, cells: dict[tuple[str, int], str]) -> str:
    heads = ["1 run each" if runs == 1 else f"{runs} runs each" for runs in plan.repetitions]
    rows = [
        " | ".join([row, *(cells[row, runs] for runs in plan.repetitions)])
        for row in dict.fromkeys(row for row, _ in cells)
    ]
    return "\n".join(
        [f"| noise and drop | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|", *(f"| {row} |" for row in rows)]
    )


if __name__ == "__main__":
    sys.exit(main())
