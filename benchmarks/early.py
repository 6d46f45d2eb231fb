"""`make statistics`: simulate early verdicts and budgets.

Drop gates are simulated by their looks (`benchmarks.early_drops`), with the sign flips that a job draws. Four gates of
an experiment go through the steps of a job (`benchmarks.early_jobs`). Limits are simulated by the gate that looks at
each run (`benchmarks.early_limits`), and budgets by the purse (`benchmarks.early_budgets`). Each experiment is decided
by the whole experiment and early, from the same data.

A saving is a share of the examples. Runs in flight at the verdict are made and paid, too: subtract concurrency / n.
Each cell has a fixed seed, so the figures are the same on every machine.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from multiprocessing import get_context
from operator import add

from benchmarks.early_budgets import SCHEDULES, Spent, schedule
from benchmarks.early_drops import POLICIES, Cell, Repeats, drops, repeats, rounds
from benchmarks.early_jobs import four_gates
from benchmarks.early_limits import Edge, Saved, edge, savings
from benchmarks.systems import BROKEN, FEW_GAIN, NOISY, QUIET, SKEWED, SORTS, TIED
from benchmarks.table import by_size

SYSTEMS = (NOISY, QUIET, SKEWED, TIED)
HELD_OUT = (SORTS, BROKEN, FEW_GAIN)
LIMITS = {True: (0.9, (0.99, 0.97, 0.95, 0.90, 0.85, 0.80)), False: (0.7, (0.80, 0.75, 0.65, 0.60))}
"""For bools and graded scores: the limit, and the true means."""
WORSE = ((0, 0.0), (1, 0.10), (2, 0.10), (1, 0.20))
"""The number of four gates that fall, and by how much."""
ROUND_SIZES = (50, 200)
EDGES = tuple(itertools.product((True, False), (True, False)))
_PART = 250  # experiments of a call, to divide cells among processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of the simulation.

    Attributes:
        sizes: numbers of examples.
        drops: true drops of the mean.
        experiments: experiments per cell of passes and failures, and twice this number without a drop.
        graded: the same for graded scores, whose sign flips take longer.
        jobs: experiments with four gates, per cell.
        limits: experiments with a limit, per cell.
        orders: random orders of an experiment that is next to its limit.
        rounds: experiments with five repetitions, per cell.
        repeats: experiments that repeat some of their examples, per cell.
        schedules: schedules of costs under a budget, half of them with a known past.
    """

    sizes: tuple[int, ...] = (50, 100, 200, 500, 1000)
    drops: tuple[float, ...] = (0.0, 0.02, 0.05, 0.10, 0.15, 0.20)
    experiments: int = 1_000
    graded: int = 300
    jobs: int = 1_000
    limits: int = 500
    orders: int = 4_000
    rounds: int = 500
    repeats: int = 500
    schedules: int = SCHEDULES


FULL = Plan()
QUICK = Plan(
    sizes=(50, 200),
    drops=(0.0, 0.15),
    experiments=100,
    graded=50,
    jobs=30,
    limits=50,
    orders=300,
    rounds=30,
    schedules=200,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The simulated figures.

    Attributes:
        drops: drop gates, by kind of scores, size and drop.
        jobs: experiments of 200 examples with four drop gates.
        rounds: drop gates with five repetitions.
        repeats: drop gates with repetitions of some examples.
        limits: limits, by size and true mean.
        edges: whole experiments next to their limit.
        budgets: schedules under a budget.
    """

    drops: list[Cell]
    jobs: list[Cell]
    rounds: list[Cell]
    repeats: list[Repeats]
    limits: list[Saved]
    edges: list[Edge]
    budgets: list[Spent]


def simulate(plan: Plan) -> Figures:
    """Simulate all cells on all processors, starting with the largest."""
    sizes = sorted(plan.sizes, reverse=True)
    repeated = [n for n in sizes if n in ROUND_SIZES]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:

        def cells(simulation: Callable[..., Cell], total: int) -> Callable[[], Cell]:
            counts = [min(_PART, total - start) for start in range(0, total, _PART)]
            parts = [pool.submit(simulation, part=part, count=count) for part, count in enumerate(counts)]
            return lambda: reduce(add, [part.result() for part in parts])

        each = itertools.product(sizes, (*SYSTEMS, *HELD_OUT), plan.drops)
        drop_cells = [
            cells(
                partial(drops, system, n, drop),
                (plan.experiments if system.is_bool else plan.graded) * (1 if drop else 2),
            )
            for n, system, drop in each
            if not (drop and system is FEW_GAIN)
        ]
        jobs = [cells(partial(four_gates, 200, worse, drop), plan.jobs) for worse, drop in WORSE]
        round_cells = [
            cells(partial(rounds, system, n, drop), plan.rounds)
            for n, system, drop in itertools.product(repeated, (NOISY, QUIET), plan.drops)
        ]
        repeated_some = [
            pool.submit(repeats, NOISY, policy, 200, drop, count=plan.repeats)
            for policy, drop in itertools.product(POLICIES, (0.0, 0.05))
        ]
        limits = [
            pool.submit(savings, n, limit, mean, is_bool=is_bool, count=plan.limits)
            for is_bool, (limit, means) in LIMITS.items()
            for n, mean in itertools.product(sizes, means)
        ]
        edges = [
            pool.submit(edge, n, LIMITS[is_bool][0], is_bool=is_bool, is_met=is_met, count=plan.orders)
            for n, (is_bool, is_met) in itertools.product(sizes, EDGES)
        ]
        budgets = [schedule(seed, knows_past=bool(seed % 2)) for seed in range(plan.schedules)]
        return Figures(
            drops=[cell() for cell in drop_cells],
            jobs=[cell() for cell in jobs],
            rounds=[cell() for cell in round_cells],
            repeats=[future.result() for future in repeated_some],
            limits=[future.result() for future in limits],
            edges=[future.result() for future in edges],
            budgets=budgets,
        )


def saved_of(cells: Sequence[Cell], n: int, drop: float) -> float:
    """Return the mean saving over the kinds on which the method was chosen."""
    found = [cell.saved for cell in cells if (cell.n, cell.drop) == (n, drop) and cell.row in _NAMES]
    return sum(found) / len(found)


_NAMES = tuple(system.name for system in SYSTEMS)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and return 0 for any figures, because a test checks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.early", description="Simulate early verdicts.")
    parser.add_argument("--quick", action="store_true", help="simulate a small part, to check that it works")
    plan = QUICK if parser.parse_args(argv).quick else FULL
    figures = simulate(plan)
    print("Drop gates, failures in % of whole experiments -> with looks, and examples saved in %:\n")
    print(_drops(plan, figures.drops))
    print("\nThe same of drop gates by the true drop, the mean over the first four kinds:\n")
    print(_saved(plan, figures.drops))
    print("\nFour drop gates with Holm's correction, 200 examples:\n")
    print(_jobs(figures.jobs))
    print("\nFive repetitions, failures in % of whole experiments -> with a look after each round, and rounds used:\n")
    print(_rounds(plan, figures.rounds))
    print(
        "\nRepetitions of some examples, failures in %, runs of an example, and points by which the mean is too high:\n"
    )
    print(_repeats(figures.repeats))
    print("\nLimits, examples saved in % by certain verdicts alone / by the audit at a risk of 1%:\n")
    print(_limits(plan, figures.limits))
    print("\nVerdicts other than that of the whole experiment, in % of random orders of a run next to its limit:\n")
    print(_edges(plan, figures.edges))
    print(f"\n{_budgets(figures.budgets)}")
    lost = max(figures.drops, key=lambda cell: cell.loss)
    print(f"\nThe largest loss of power is {100 * lost.loss:.1f} points (standard error {100 * lost.loss_error:.1f}).")
    wrong = max(cell.wrong for cell in figures.limits)
    print(f"At most {100 * wrong:.1f}% of the verdicts on limits differ from that of the whole experiment.")
    return 0


def _drops(plan: Plan, cells: Sequence[Cell]) -> str:
    found = {}
    for cell in cells:
        digits = 0 if cell.drop else 1
        text = f"{_percent(cell.red / cell.of, digits)} -> {_percent(cell.early / cell.of, digits)}"
        found[cell.row, _points(cell.drop), cell.n] = f"{text}, {_percent(cell.saved)}"
    return by_size(("scores", "true drop"), plan.sizes, found)


def _saved(plan: Plan, cells: Sequence[Cell]) -> str:
    bools = [cell for cell in cells if cell.row in (NOISY.name, QUIET.name)]
    found = {}
    for drop, n in itertools.product(plan.drops, plan.sizes):
        found["looks, the first four kinds", _points(drop), n] = _percent(saved_of(cells, n, drop))
    for drop, n in itertools.product(plan.drops, plan.sizes):
        curtailed = [1 - cell.curtailed / cell.of for cell in bools if (cell.n, cell.drop) == (n, drop)]
        found["certain verdicts alone, bools", _points(drop), n] = _percent(sum(curtailed) / len(curtailed))
    return by_size(("saved by", "true drop"), plan.sizes, found)


def _jobs(cells: Sequence[Cell]) -> str:
    found = {}
    for cell in cells:
        values = _percent(cell.red / cell.of, 1), _percent(cell.early / cell.of, 1), _percent(cell.saved)
        found[cell.row, _points(cell.drop), cell.n] = "{} -> {}, {}".format(*values)
    return by_size(("gates", "true drop"), [200], found)


def _rounds(plan: Plan, cells: Sequence[Cell]) -> str:
    found = {}
    for cell in cells:
        text = f"{_percent(cell.red / cell.of, 1)} -> {_percent(cell.early / cell.of, 1)}"
        found[cell.row, _points(cell.drop), cell.n] = f"{text}, {cell.used / cell.of:.2f}"
    return by_size(("scores", "true drop"), [n for n in plan.sizes if n in ROUND_SIZES], found)


def _repeats(cells: Sequence[Repeats]) -> str:
    found = {}
    for cell in cells:
        text = f"{_percent(cell.red, 1)}, {cell.runs:.2f}, {_percent(cell.bias, 1)}"
        found[cell.policy, _points(cell.drop), cell.n] = text
    return by_size(("which runs", "true drop"), [200], found)


def _limits(plan: Plan, cells: Sequence[Saved]) -> str:
    ordered = sorted(cells, key=lambda cell: (cell.row, -cell.mean))
    found = {
        (f"{cell.row}, limit {cell.limit}", f"{cell.mean:.2f}", cell.n): f"{_percent(1 - cell.curtailed)} / "
        f"{_percent(1 - cell.used)}"
        for cell in ordered
    }
    return by_size(("scores", "true mean"), plan.sizes, found)


def _edges(plan: Plan, cells: Sequence[Edge]) -> str:
    ordered = sorted(cells, key=lambda cell: (cell.row, cell.is_met))
    found = {
        (cell.row, "just met" if cell.is_met else "just missed", cell.n): _percent(cell.wrong, 2) for cell in ordered
    }
    return by_size(("scores", "limit"), plan.sizes, found)


def _budgets(spent: Sequence[Spent]) -> str:
    over = sum(each.spent > each.budget for each in spent)
    most = _percent(max(each.spent / each.most for each in spent))
    return (
        f"{len(spent):,} schedules of costs: {over} exceeded the budget. The largest reached {most}% of the budget\n"
        "and runs in flight x (largest run - largest run before)."
    )


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}"


def _points(drop: float) -> str:
    return f"{100 * drop:.0f} points"


if __name__ == "__main__":
    sys.exit(main())
