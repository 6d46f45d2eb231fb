"""Forecast the usage of a job from recorded experiments, before anything is paid."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.engine import EarlierRuns
from evalwire.errors import DatasetNotFound
from evalwire.jobs.budget import budget_use
from evalwire.jobs.listing import Listing
from evalwire.jobs.past_usage import PastUsage, find_past_usage
from evalwire.model import (
    Amount,
    Budget,
    Forecast,
    cost_text,
    count,
)
from evalwire.recording import part_of_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.jobs.gating import Gating
    from evalwire.jobs.run import Job
    from evalwire.model import BudgetUse, Experiment, JobSpec, Price
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings

_Z_90 = 1.645


def forecast_of(runs: Mapping[str, int], past: Mapping[str, PastUsage | None]) -> Forecast:
    """Return the forecast of a job.

    Args:
        runs: the number of runs to make, by experiment.
        past: the usage of a recorded experiment, by experiment; None if it is not known.
    """
    usd = tokens = variance = 0.0
    has_spread = True
    known = {name: found for name in runs if (found := past.get(name)) is not None}
    for name, found in known.items():
        share = runs[name] / found.runs
        usd += found.usd * share
        tokens += found.tokens * share
        has_spread = has_spread and found.spread is not None
        deviation = found.usd / found.runs * (found.spread or 0.0)
        variance += deviation**2 * (runs[name] + runs[name] ** 2 / found.runs)
    half = _Z_90 * math.sqrt(variance)
    return Forecast(
        runs=sum(runs.values()),
        usd=usd,
        tokens=round(tokens),
        low_usd=max(0.0, usd - half) if has_spread and known else None,
        high_usd=usd + half if has_spread and known else None,
        source=" and ".join(dict.fromkeys(found.source for found in known.values())),
        unknown=tuple(name for name in runs if name not in known),
    )


def recorded_forecast(
    experiments: Sequence[Experiment], spec: JobSpec, phoenix: Phoenix, prices: Mapping[str, Price]
) -> Forecast:
    """Return the forecast of a job from the newest complete experiments.

    Raises:
        PhoenixError: Phoenix did not send a valid response within the policy.
    """
    listing = Listing(phoenix)
    by_name = {experiment.name: experiment for experiment in experiments}
    runs = planned_runs(experiments, spec, phoenix)
    return forecast_of(runs, {name: find_past_usage(by_name[name], None, listing, prices=prices) for name in runs})


def planned_runs(experiments: Sequence[Experiment], spec: JobSpec, phoenix: Phoenix) -> dict[str, int]:
    """Return the number of runs of each experiment; experiments without a dataset are left out.

    Raises:
        PhoenixError: Phoenix did not send a valid response within the policy.
    """
    found = {}
    for experiment in experiments:
        own = spec.of_experiment(experiment.name)
        name = experiment.dataset_name
        with contextlib.suppress(DatasetNotFound):
            dataset = phoenix.datasets.fetch(name, split=own.split, version_id=own.version_of(name))
            part = part_of_job(dataset, own, experiment=experiment.name)
            found[experiment.name] = len(part.examples) * own.repetitions
    return found


def forecast_text(forecast: Forecast, budget: Budget) -> str:
    """Return a forecast as text, with the budget."""
    limits = [cost_text(budget.max_cost_usd)] if budget.max_cost_usd is not None else []
    limits += [f"{budget.max_tokens:,} tokens"] if budget.max_tokens is not None else []
    budget_text = f"; budget {' and '.join(limits)}" if limits else ""
    if not forecast.source:
        return f"not known, because no complete experiment with a recorded usage was found{budget_text}"
    about = f"{forecast.tokens:,} tokens"
    if forecast.usd:
        low, high = forecast.low_usd, forecast.high_usd
        ends = f" ({_number(low)} to {_number(high)})" if low is not None and high is not None else ""
        about = f"{cost_text(forecast.usd)}{ends}, {about}"
    left_out = f", without {', '.join(forecast.unknown)}" if forecast.unknown else ""
    return f"about {about} for {count(forecast.runs, 'run')}{left_out}, based on {forecast.source}{budget_text}"


def _number(usd: float) -> str:
    return cost_text(usd).removesuffix(" USD")


def with_forecast(job: Job, gating: Gating, settings: Settings, *, say: Callable[[str], object]) -> tuple[Job, Gating]:
    """Return a job and its gates with a forecast, if the job has a budget for its usage.

    The usage of a large recorded run is what the first runs of the job are expected to use at most.

    Args:
        job: the job.
        gating: the gates and baselines, resolved before the run.
        settings: the settings.
        say: receives the forecast.

    Raises:
        PhoenixError: Phoenix did not send a valid response within the policy.
    """
    budget = job.limits.budget
    if not budget.limits_usage or job.spec.sources:
        return job, gating
    listing = Listing(job.phoenix)
    runs = planned_runs(job.experiments, job.spec, job.phoenix)
    if job.dry_run is not None:
        runs = {name: min(number, job.dry_run * job.spec.repetitions) for name, number in runs.items()}
    for name, past in job.past.items():
        if name in runs:
            runs[name] = max(0, runs[name] - len(past.runs))
    by_name = {experiment.name: experiment for experiment in job.experiments}
    past_usage = {
        name: find_past_usage(by_name[name], gating.baselines.get(name), listing, prices=settings.prices)
        for name in runs
    }
    forecast = forecast_of(runs, past_usage)
    say(f"forecast: {forecast_text(forecast, budget)}")
    largest = budget.largest
    for found in past_usage.values():
        amount = found.largest if found is not None else None
        if amount is not None and not forecast.unknown:
            largest = amount.at_least(largest or Amount())
    limits = replace(job.limits, budget=replace(budget, largest=largest))
    return replace(job, limits=limits), replace(gating, forecast=forecast)


def unused_budget(job: Job, gating: Gating) -> BudgetUse | None:
    """Return the budget of a job that does not start; None without a budget."""
    return budget_use(job.limits.budget, EarlierRuns(), (), seconds=0.0, forecast=gating.forecast)


def refusal(forecast: Forecast | None, budget: Budget, *, start: str) -> str:
    """Return why a job does not start: its forecast is above its budget; empty if it starts.

    Args:
        forecast: the forecast; None without a forecast.
        budget: the budget.
        start: the setting `budget.start`.
    """
    if forecast is None or start == "try":
        return ""
    limit = budget.exceeded_by(Amount(usd=forecast.usd, tokens=forecast.tokens))
    if limit is None:
        return ""
    expected = cost_text(forecast.usd) if limit.endswith("USD") else f"{forecast.tokens:,} tokens"
    return (
        f"nothing was run: the forecast of {expected} is above the budget of {limit}. Raise the budget, select fewer "
        'examples, or set start = "try" in [budget] to run as many examples as the budget allows'
    )
