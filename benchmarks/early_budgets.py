"""Simulate budgets: the runs that the purse admits, over random schedules of costs and durations."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, replace

from evalwire.engine.purse import Purse, Reservation
from evalwire.model import Amount, Budget, ModelUsage

SCHEDULES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A schedule of runs under a budget, in USD.

    Attributes:
        budget: the budget.
        spent: the cost of all runs that started.
        expected: the sum of their costs, as drawn.
        most: the budget, and the runs in flight at the last admission times (largest run - largest run known then).
        is_closed: whether the budget ended the schedule.
        is_whole: whether all runs of the schedule started.
    """

    budget: float
    spent: float
    expected: float
    most: float
    is_closed: bool
    is_whole: bool


def schedule(seed: int, *, knows_past: bool) -> Spent:
    """Run a random schedule of 1 to 60 runs, of which up to 20 run in parallel.

    Args:
        seed: the seed.
        knows_past: whether the 95th percentile of the costs is known before.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    costs = [chance.lognormvariate(0.0, chance.choice([0.1, 1.0, 2.0])) for _ in range(chance.randint(1, 60))]
    budget = Budget(max_cost_usd=chance.uniform(0.1, 1.2) * sum(costs))
    if knows_past:
        budget = replace(budget, largest=Amount(usd=sorted(costs)[int(len(costs) * 0.95) - 1]))
    places = chance.randint(1, 20)
    purse = Purse(budget, clock=lambda: 0.0)
    running: list[tuple[float, int, Reservation, float]] = []
    now, started = 0.0, 0
    largest, in_flight = purse.largest or Amount(), 0
    while started < len(costs) or running:
        while started < len(costs) and len(running) < places and (reservation := purse.admit()) is not None:
            largest, in_flight = purse.largest or Amount(), len(running) + 1
            heapq.heappush(running, (now + chance.expovariate(1.0), started, reservation, costs[started]))
            started += 1
        if not running:
            break
        now, _, ended, cost = heapq.heappop(running)
        purse.pay(ended, _used(cost * 0.3))  # a task and its judge
        purse.pay(ended, _used(cost * 0.7))
        purse.settle(ended)
    limit = budget.max_cost_usd or 0.0
    return Spent(
        budget=limit,
        spent=purse.spent.usd,
        expected=sum(costs[:started]),
        most=limit + in_flight * max(0.0, max(costs) - largest.usd),
        is_closed=bool(purse.closed),
        is_whole=started == len(costs),
    )


def _used(usd: float) -> tuple[ModelUsage, ...]:
    return (ModelUsage(model="m", calls=1, total_tokens=0, cost_usd=usd),)
