"""Simulate drop gates that are decided early: at looks within the examples, or after each round of repetitions."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.gates.looks import LOOKS, DropLooks
from evalwire.model import SIGNIFICANCE, mcnemar_midp

if TYPE_CHECKING:
    from benchmarks.systems import Pair, System

SEED = 5
REPETITIONS = 5
_STEPS = 50  # the number of points of an experiment at which curtailment looks

Decided = tuple[bool, bool, float, float]
"""Two verdicts that are true for a failure, of the whole experiment and early, and two shares of the examples that ran.

The first share is that of the early verdict. The second share is that of curtailment, which ends an experiment only
when no further run could change the verdict.
"""


@dataclass(slots=True, kw_only=True)
class Cell:
    """The verdicts of simulated experiments, each decided twice from the same data: by the whole experiment, and early.

    Attributes:
        red: failures of the whole experiment.
        early: failures of the early verdict.
        lost: failures of the whole experiment that pass early.
        wrong: failures of the early verdict that the whole experiment passes.
        used: the sum of the shares of examples that ran before the verdict, or the sum of the rounds.
        curtailed: the sum of these shares by curtailment alone.
        of: the number of experiments.
    """

    row: str
    n: int
    drop: float
    red: int = 0
    early: int = 0
    lost: int = 0
    wrong: int = 0
    used: float = 0.0
    curtailed: float = 0.0
    of: int = 0

    def count(self, decided: Decided) -> None:
        """Count an experiment."""
        red, early, used, curtailed = decided
        self.red += red
        self.early += early
        self.lost += red and not early
        self.wrong += early and not red
        self.used += used
        self.curtailed += curtailed
        self.of += 1

    @property
    def loss(self) -> float:
        """The share of failures that early verdicts lose."""
        return (self.red - self.early) / self.of

    @property
    def loss_error(self) -> float:
        """The standard error of `loss`."""
        return math.sqrt(max(self.lost + self.wrong, 1)) / self.of

    @property
    def saved(self) -> float:
        """The mean share of examples that were not needed."""
        return 1 - self.used / self.of

    def __add__(self, other: Cell) -> Cell:
        """Return the sum of two cells."""
        names = ("red", "early", "lost", "wrong", "used", "curtailed", "of")
        return dataclasses.replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})


def drops(system: System, n: int, drop: float, *, part: int, count: int) -> Cell:
    """Simulate experiments with a drop gate."""
    chance = random.Random(f"{SEED} {system.name} {n} {drop} {part}")  # noqa: S311 - no secret
    cell = Cell(row=system.name, n=n, drop=drop)
    for _ in range(count):
        cell.count(_decide(system, system.pairs(chance, n, drop)))
    return cell


def rounds(system: System, n: int, drop: float, *, part: int, count: int) -> Cell:
    """Simulate experiments with five repetitions, as the baseline has, and a look after each round."""
    chance = random.Random(f"{SEED} rounds {system.name} {n} {drop} {part}")  # noqa: S311 - no secret
    cell = Cell(row=system.name, n=n, drop=drop)
    for _ in range(count):
        rows = [system.repeated(chance, drop, REPETITIONS) for _ in range(n)]
        cell.count(_decide_rounds(rows))
    return cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Experiments that repeat some examples, compared with five repetitions of the baseline.

    Attributes:
        red: the share of experiments that fail.
        runs: the mean number of runs of an example.
        bias: how much the mean score is too high.
        of: the number of experiments.
    """

    row: str
    policy: str
    n: int
    drop: float
    red: float
    runs: float
    bias: float
    of: int


def repeats(system: System, policy: str, n: int, drop: float, *, count: int) -> Repeats:
    """Simulate experiments that repeat the examples that a policy chooses."""
    chance = random.Random(f"{SEED} repeats {system.name} {n} {drop}")  # noqa: S311 - no secret
    red = runs = 0
    bias = 0.0
    for _ in range(count):
        losses = []
        for before, after in (system.repeated(chance, drop, REPETITIONS) for _ in range(n)):
            made = POLICIES[policy](before, after)
            runs += len(made)
            score = max(made) if policy == UNTIL_PASSED else math.fsum(made) / len(made)
            losses.append(math.fsum(before) / REPETITIONS - score)
            bias += drop - losses[-1]
        looks = DropLooks(n, significance=SIGNIFICANCE, tolerance=0.0, is_bool=False)
        red += _is_red(looks.final_p_value(losses), losses)
    means = {"red": red / count, "runs": runs / n / count, "bias": bias / n / count}
    return Repeats(row=system.name, policy=policy, n=n, drop=drop, of=count, **means)


def _until_passed(_: list[float], after: list[float]) -> list[float]:
    return after[: after.index(1.0) + 1] if 1.0 in after else after


def _worse_again(before: list[float], after: list[float]) -> list[float]:
    return after if after[0] < math.fsum(before) / len(before) else after[:1]


UNTIL_PASSED = "failures until they pass, at most five times"
POLICIES: dict[str, Callable[[list[float], list[float]], list[float]]] = {
    "all examples five times": lambda _, after: after,
    "all examples once": lambda _, after: after[:1],
    "examples that got worse five times": _worse_again,
    UNTIL_PASSED: _until_passed,
}
"""The runs of an example that count, from its runs in the baseline and five runs now."""


def _is_red(p_value: float, losses: Sequence[float]) -> bool:
    return p_value <= SIGNIFICANCE and math.fsum(losses) > 0


def _decide(system: System, pairs: Sequence[Pair]) -> Decided:
    losses = [before - after for before, after in pairs]

    def looks() -> DropLooks:
        return DropLooks(len(losses), significance=SIGNIFICANCE, tolerance=0.0, is_bool=system.is_bool)

    red = _is_red(looks().final_p_value(losses), losses)
    curtailed = _curtailed(pairs) if system.is_bool else 1.0
    early = looks()
    while early.number < LOOKS - 1:
        known = early.next_at
        if status := early.look(losses[:known]):
            return red, status == "failed", known / len(losses), curtailed
    return red, _is_red(early.final_p_value(losses), losses), 1.0, curtailed


def _curtailed(pairs: Sequence[Pair]) -> float:
    """Return the share of the examples after which no further run could change the verdict."""
    n = len(pairs)
    for known in range(n // _STEPS, n, max(n // _STEPS, 1)):
        worse = sum(before > after for before, after in pairs[:known])
        better = sum(before < after for before, after in pairs[:known])
        could_fail = sum(int(before) for before, _ in pairs[known:])
        could_pass = n - known - could_fail
        if not _is_fall(worse + could_fail, better) or _is_fall(worse, better + could_pass):
            return known / n
    return 1.0


def _is_fall(worse: int, better: int) -> bool:
    return worse > better and mcnemar_midp(worse, better) <= SIGNIFICANCE


def _decide_rounds(rows: Sequence[tuple[list[float], list[float]]]) -> Decided:
    def looks() -> DropLooks:
        return DropLooks(len(rows), significance=SIGNIFICANCE, tolerance=0.0, is_bool=False)

    def losses(number: int) -> list[float]:
        return [math.fsum(before) / len(before) - math.fsum(after[:number]) / number for before, after in rows]

    last = losses(REPETITIONS)
    red = _is_red(looks().final_p_value(last), last)
    early = looks()
    for number in range(1, REPETITIONS):
        if status := early.look(losses(number), share=2 * number / (number + REPETITIONS)):
            return red, status == "failed", float(number), float(REPETITIONS)
    return red, _is_red(early.final_p_value(last), last), float(REPETITIONS), float(REPETITIONS)
