"""Simulate limits that are decided early, by the gate that looks at each run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from evalwire.gates import Gate
from evalwire.gates.early_limits import EarlyRate
from evalwire.model import Evaluation, Example, StoppingRules, TaskRun

SEED = 6
RISK = 0.01
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
_NAME = "score"
_CERTAIN = 1e-300  # a risk at which only a verdict that no further run could change comes early
_GRADE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Experiments with a limit on a rate or mean.

    Attributes:
        limit: the least mean that passes.
        mean: the true mean.
        used: the mean share of examples that ran before the verdict.
        curtailed: the same if only a verdict that no further run could change came early.
        wrong: the share of verdicts that differ from that of the whole experiment.
        of: the number of experiments.
    """

    row: str
    n: int
    limit: float
    mean: float
    used: float
    curtailed: float
    wrong: float
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Random orders of an experiment that just misses its limit, or just meets it.

    Attributes:
        wrong: the share of orders with the other verdict than the whole experiment.
        of: the number of orders.
    """

    row: str
    n: int
    limit: float
    is_met: bool
    wrong: float
    of: int

    @property
    def most(self) -> float:
        """The largest share that agrees with the risk: three standard errors above it."""
        return RISK + 3 * math.sqrt(RISK * (1 - RISK) / self.of)


def savings(n: int, limit: float, mean: float, *, is_bool: bool, count: int) -> Saved:
    """Simulate experiments with a true mean."""
    chance = random.Random(f"{SEED} {n} {limit} {mean} {is_bool}")  # noqa: S311 - no secret
    used = curtailed = 0
    wrong = 0
    for _ in range(count):
        scores = [_score(chance, mean, is_bool=is_bool) for _ in range(n)]
        passed, place = _decide(scores, limit, RISK, is_bool=is_bool)
        used += place
        curtailed += _decide(scores, limit, _CERTAIN, is_bool=is_bool)[1]
        wrong += passed != _passes(scores, limit)
    row = "bool" if is_bool else "graded"
    shares = {"used": used / n / count, "curtailed": curtailed / n / count, "wrong": wrong / count}
    return Saved(row=row, n=n, limit=limit, mean=mean, of=count, **shares)


def edge(n: int, limit: float, *, is_bool: bool, is_met: bool, count: int) -> Edge:
    """Decide random orders of an experiment whose mean is next to the limit, on the given side."""
    chance = random.Random(f"{SEED} edge {n} {limit} {is_bool} {is_met}")  # noqa: S311 - no secret
    scores = _nearest(chance, n, limit, is_bool=is_bool, is_met=is_met)
    wrong = 0
    for _ in range(count):
        chance.shuffle(scores)
        wrong += _decide(scores, limit, RISK, is_bool=is_bool)[0] != is_met
    return Edge(row="bool" if is_bool else "graded", n=n, limit=limit, is_met=is_met, wrong=wrong / count, of=count)


def _score(chance: random.Random, mean: float, *, is_bool: bool) -> float:
    """Draw a pass, or a score v^c with the given mean, most of which are close to 1."""
    return float(chance.random() < mean) if is_bool else round(chance.random() ** (1 / mean - 1), 6)


def _nearest(chance: random.Random, n: int, limit: float, *, is_bool: bool, is_met: bool) -> list[float]:
    least = math.ceil(n * limit - 1e-9)
    if is_bool:
        passes = least if is_met else least - 1
        return [1.0] * passes + [0.0] * (n - passes)
    scores = [_score(chance, limit, is_bool=False) for _ in range(n)]
    while _passes(scores, limit) is not is_met:  # move single scores until the mean is just on the asked side
        place = chance.randrange(n)
        scores[place] = min(max(scores[place] + (_GRADE if is_met else -_GRADE), 0.0), 1.0)
    return scores


def _passes(scores: Sequence[float], limit: float) -> bool:
    return math.fsum(scores) >= limit * len(scores) - 1e-9


def _decide(scores: Sequence[float], limit: float, risk: float, *, is_bool: bool) -> tuple[bool, int]:
    """Return whether the limit is met, and the number of runs before this was decided."""
    rule = "min_pass_rate" if is_bool else "min"
    gate = Gate(experiment="", evaluation=_NAME, rule=rule, threshold=limit)
    early = EarlyRate(gate, len(scores), rules=StoppingRules(), risk=risk, before=None, repetitions=1)
    for place, score in enumerate(scores, 1):
        early.add(_run(score, is_bool=is_bool))
        if early.decision.status:
            return early.decision.status == "passed", place
    return _passes(scores, limit), len(scores)


def _run(score: float, *, is_bool: bool) -> TaskRun:
    times = {"start_time": _BEGAN, "end_time": _BEGAN}
    kind = "bool" if is_bool else "number"
    found = Evaluation(name=_NAME, evaluator=_NAME, score=score, kind=kind, **times)
    return TaskRun(example=_EXAMPLE, output=None, failure=None, evaluations=(found,), **times)


_EXAMPLE = Example(id="", node_id="", input={}, output={}, metadata={}, recorded_hash="")
