"""`make statistics`: simulate evaluators that people calibrate: how often the intervals contain the true value.

People label a random part of the outputs. The evaluator passes a share of the outputs that people pass, and fails a
share of the outputs that people fail. Each cell has a fixed seed, so the figures are the same on every machine.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.table import by_size
from evalwire.model import AgreementTable, Interval, corrected_rate, correction_obstacle, kappa_interval, powered_rate

SEED = 19
JUDGES = ((0.95, 0.90), (0.92, 0.69), (0.80, 0.60))
"""The rates at which the evaluator finds the passes and the failures of people."""
RATES = (0.5, 0.8, 0.9)
LABELS = (60, 100, 200)
OUTPUTS = 400
CALIBRATED_AT = 0.8  # the true pass rate of the labeled outputs, for rates of other outputs

Simulate = Callable[[random.Random, float, float, float, int], "Interval | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The intervals of a simulation.

    Attributes:
        kind: the kind of interval.
        judge: the rates of the evaluator.
        rate: the true pass rate.
        labels: the number of labels.
        covered: intervals that contain the true value.
        above: intervals that are above the true value.
        of: all intervals.
        width: their mean width.
    """

    kind: str
    judge: tuple[float, float]
    rate: float
    labels: int
    covered: int
    above: int
    of: int
    width: float

    @property
    def coverage(self) -> float:
        """Return the share of intervals that contain the true value."""
        return self.covered / self.of


def outputs(
    chance: random.Random, passing: float, failing: float, rate: float, size: int
) -> Iterator[tuple[bool, bool]]:
    """Yield outputs, each with the label of people and the score of the evaluator."""
    for _ in range(size):
        label = chance.random() < rate
        yield label, chance.random() < (passing if label else 1 - failing)


def true_kappa(passing: float, failing: float, rate: float) -> float:
    """Return the kappa of an infinite number of labels."""
    both, neither = rate * passing, (1 - rate) * failing
    passed = both + (1 - rate) * (1 - failing)
    by_chance = rate * passed + (1 - rate) * (1 - passed)
    return (both + neither - by_chance) / (1 - by_chance)


def of_kappa(chance: random.Random, passing: float, failing: float, rate: float, labels: int) -> Interval:
    """Return the interval of kappa."""
    tables = [AgreementTable.of([pair]) for pair in outputs(chance, passing, failing, rate, labels)]
    return kappa_interval(tables, seed=chance.getrandbits(32))


def of_powered(chance: random.Random, passing: float, failing: float, rate: float, labels: int) -> Interval:
    """Return the interval of a pass rate with labels of the same outputs."""
    found = [(float(label), float(score)) for label, score in outputs(chance, passing, failing, rate, OUTPUTS)]
    return powered_rate(found[:labels], [score for _, score in found[labels:]]).interval


def of_corrected(chance: random.Random, passing: float, failing: float, rate: float, labels: int) -> Interval | None:
    """Return the interval of a pass rate with labels of other outputs; None if it is not corrected."""
    table = AgreementTable.of(outputs(chance, passing, failing, CALIBRATED_AT, labels))
    if correction_obstacle(table):
        return None
    scores = [score for _, score in outputs(chance, passing, failing, rate, OUTPUTS)]
    return corrected_rate(sum(scores) / OUTPUTS, OUTPUTS, table).interval


KINDS: dict[str, Simulate] = {"kappa": of_kappa, "PPI++": of_powered, "Rogan-Gladen": of_corrected}


def simulate_cell(kind: str, judge: tuple[float, float], rate: float, labels: int, experiments: int) -> Cell:
    """Simulate experiments, and count the intervals that contain the true value."""
    chance = random.Random(f"{SEED} {kind} {judge} {rate} {labels}")  # noqa: S311 - no secret
    true = true_kappa(*judge, rate) if kind == "kappa" else rate
    intervals = [KINDS[kind](chance, *judge, rate, labels) for _ in range(experiments)]
    found = [interval for interval in intervals if interval is not None]
    return Cell(
        kind=kind,
        judge=judge,
        rate=rate,
        labels=labels,
        covered=sum(interval.low <= true <= interval.high for interval in found),
        above=sum(interval.low > true for interval in found),
        of=len(found),
        width=math.fsum(interval.high - interval.low for interval in found) / len(found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of the simulation.

    Attributes:
        experiments: experiments per cell of a corrected rate.
        kappas: experiments per cell of kappa, whose resampling takes longer.
        labels: numbers of labels.
        rates: true pass rates.
    """

    experiments: int = 4_000
    kappas: int = 1_000
    labels: tuple[int, ...] = LABELS
    rates: tuple[float, ...] = RATES


FULL = Plan()
QUICK = Plan(experiments=500, kappas=60, labels=(60, 200), rates=(0.8,))


def simulate(plan: Plan) -> list[Cell]:
    """Simulate all cells on all processors."""
    sizes = dict.fromkeys(KINDS, plan.experiments) | {"kappa": plan.kappas}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        each = itertools.product(KINDS, JUDGES, plan.rates, plan.labels)
        futures = [pool.submit(simulate_cell, kind, *cell, sizes[kind]) for kind, *cell in each]
        return [future.result() for future in futures]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and return 0 for any figures, because a test checks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judges", description="Simulate calibrated evaluators.")
    parser.add_argument("--quick", action="store_true", help="simulate a small part, to check that it works")
    plan = QUICK if parser.parse_args(argv).quick else FULL
    cells = simulate(plan)
    for kind in KINDS:
        print(f"\n{kind}: 95% intervals that contain the true value, in % (mean width), by number of labels:\n")
        texts = {
            (_judge(cell), f"{cell.rate:.0%}", cell.labels): f"{100 * cell.coverage:.1f} ({cell.width:.2f})"
            for cell in cells
            if cell.kind == kind
        }
        print(by_size(["evaluator finds", "true pass rate"], plan.labels, texts))
    most = math.sqrt(0.95 * 0.05 / plan.experiments)
    print(f"\nSeed {SEED}; {OUTPUTS} outputs; standard errors of corrected rates: {100 * most:.1f} points at 95%.")
    return 0


def _judge(cell: Cell) -> str:
    passing, failing = cell.judge
    return f"{passing:.0%} of passes, {failing:.0%} of failures"


if __name__ == "__main__":
    sys.exit(main())
