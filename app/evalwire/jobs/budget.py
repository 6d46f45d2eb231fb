"""The budget of a job: its limits, the usage of earlier attempts, and what the job used of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.engine import UNKNOWN_USAGE
from evalwire.errors import UsageError
from evalwire.jobs.durations import covered_seconds
from evalwire.model import Amount, Budget, BudgetUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.engine import EarlierRuns
    from evalwire.model import ExperimentResult, Forecast, RunKey
    from evalwire.recording import PastJob, PastUse
    from evalwire.settings import Settings

_LIMITS = ("max_cost_usd", "max_tokens", "max_seconds")


def budget_of(settings: Settings, *, shards: int | None = None, planned: Budget | None = None) -> Budget:
    """Return the budget of a new job.

    Args:
        settings: the settings.
        shards: the number of shards among which the budget is divided; None for a job that runs everything.
        planned: the budget in the plan of the shards; None without a plan.
    """
    budget = Budget(
        max_cost_usd=settings.max_cost_usd,
        max_tokens=settings.max_tokens,
        max_seconds=settings.max_seconds,
        prices=settings.prices,
    )
    for name in _LIMITS:
        if planned is not None and getattr(budget, name) is None:
            budget = replace(budget, **{name: getattr(planned, name)})
    return budget if shards is None else replace(budget.of_shard(shards), counts_recorded=True)


def resumed_budget(settings: Settings, earlier: PastJob | None) -> Budget:
    """Return the budget of a resumed job.

    A limit in a flag is for the resumed job alone. A limit in a variable or a file is for all attempts together, and so
    is the limit in the journal, which applies if the limit is not set now.

    Args:
        settings: the settings.
        earlier: the state of the job; None for an experiment without a journal.

    Raises:
        UsageError: the budget cannot count a call of an earlier attempt, whose price or tokens are not known.
    """
    if earlier is None:
        return budget_of(settings)
    sharing = earlier.spec.sharing
    budget = budget_of(settings)
    shared = budget if sharing is None else budget.of_shard(sharing.total)
    amounts = _amounts_of_runs(earlier.use, budget)
    spent = sum(amounts, Amount())
    seconds = round(covered_seconds(earlier.use.times), 1)
    used = {"max_cost_usd": spent.usd, "max_tokens": spent.tokens, "max_seconds": seconds}
    limits = {}
    for name in _LIMITS:
        given = getattr(shared, name)
        if settings.source(name) == "flag":
            limits[name] = used[name] + getattr(budget, name)
        elif given is not None or earlier.budget is None:
            limits[name] = given
        else:
            limits[name] = getattr(earlier.budget, name)
    largest = Amount()
    for amount in amounts:
        largest = largest.at_least(amount)
    budget = replace(budget, **limits, spent=spent, largest=largest if amounts else None, spent_seconds=seconds)
    if reason := next(filter(None, (budget.unknown_in(usage) for _, _, usage in earlier.use.usage)), ""):
        raise UsageError(
            f"cannot resume the job within its budget, because of an earlier call: {reason}. To complete an experiment "
            "without counting its earlier calls, use `evalwire resume --experiment ID`."
        )
    return budget


def _amounts_of_runs(use: PastUse, budget: Budget) -> Sequence[Amount]:
    """Return the usage of each run, and of each call on an output of a baseline."""
    by_run: dict[tuple[str, RunKey], Amount] = {}
    others: list[Amount] = []
    for experiment, key, usage in use.usage:
        amount = budget.amount_of(usage)
        if key is None:
            others.append(amount)
        else:
            by_run[experiment, key] = by_run.get((experiment, key), Amount()) + amount
    return [*by_run.values(), *others]


def budget_use(
    budget: Budget,
    made: EarlierRuns,
    results: Sequence[ExperimentResult],
    *,
    seconds: float,
    forecast: Forecast | None = None,
) -> BudgetUse | None:
    """Return what a finished job used of its budget; None for a job without a budget.

    Args:
        budget: the budget.
        made: the runs of the job, of all processes.
        results: results of the experiments.
        seconds: the time of the job and its earlier attempts in seconds.
        forecast: the forecast from before the job; None without a forecast.
    """
    if not budget.is_set:
        return None
    ended = [result.failure for result in results if result.failure and result.failure.kind == "budget"]
    spent = made.spent or budget.spent
    return BudgetUse(
        max_cost_usd=budget.max_cost_usd,
        max_tokens=budget.max_tokens,
        max_seconds=budget.max_seconds,
        spent_usd=spent.usd,
        spent_tokens=spent.tokens,
        spent_seconds=seconds,
        ended=ended[0].message if ended else "",
        is_unknown=any(failure.type == UNKNOWN_USAGE for failure in ended),
        forecast=forecast,
    )
