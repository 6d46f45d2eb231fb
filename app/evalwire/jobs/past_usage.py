"""The usage of recorded experiments, from which the usage of a job is forecast."""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.errors import DatasetNotFound
from evalwire.model import (
    Amount,
    own_metadata,
    recorded_usage,
    run_tokens,
    source_facts,
    start_time_of,
    stopping_of,
    token_count,
    usage_cost,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.jobs.listing import Listing
    from evalwire.model import Experiment, ExperimentResult, Price, Usage

_MOST_RECORDS = 200  # of a dataset, newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class PastUsage:
    """The usage of a recorded experiment.

    Attributes:
        runs: the number of runs.
        usd: the cost in USD.
        tokens: the number of tokens.
        spread: the standard deviation of the tokens of a run, as a share of their mean; None if it is not known.
        p95: the 95th percentile of the tokens of a run, as a share of their mean; None if it is not known.
        source: the branch and the commit.
    """

    runs: int
    usd: float
    tokens: int
    spread: float | None
    p95: float | None
    source: str

    @property
    def largest(self) -> Amount | None:
        """The usage of a large run; None if it is not known."""
        if self.p95 is None:
            return None
        return Amount(usd=self.usd / self.runs * self.p95, tokens=math.ceil(self.tokens / self.runs * self.p95))


def find_past_usage(
    experiment: Experiment,
    baseline: ExperimentResult | str | None,
    listing: Listing,
    *,
    prices: Mapping[str, Price],
) -> PastUsage | None:
    """Return the usage of the baseline, or else of the newest complete experiment; None if none is known.

    Args:
        experiment: the experiment to forecast.
        baseline: its baseline, or the reason why it has none.
        listing: the recorded experiments of the server.
        prices: prices of models whose spans report no cost.

    Raises:
        PhoenixError: Phoenix did not send a valid response within the policy.
    """
    if baseline is not None and not isinstance(baseline, str):
        found = _usage_of(baseline.experiment_metadata, prices) or _usage_of_result(baseline, prices)
        if found is not None:
            return found
    with contextlib.suppress(DatasetNotFound):
        for record in itertools.islice(listing.on_dataset(experiment.dataset_name), _MOST_RECORDS):
            metadata = record.get("metadata") or {}
            if own_metadata(metadata).get("experiment") != experiment.name or record.get("missing_run_count"):
                continue
            if (found := _usage_of(metadata, prices)) is not None:
                return found
    return None


def _usage_of(metadata: Mapping[str, Any], prices: Mapping[str, Price]) -> PastUsage | None:
    """Return the usage in the metadata of a recorded experiment."""
    facts = own_metadata(metadata)
    runs = (facts.get("examples") or 0) * (facts.get("repetitions") or 1)
    if (stopping := stopping_of(metadata)) is not None:  # the usage is that of all runs, also of runs that do not count
        runs = stopping.made
    if source_facts(metadata) is not None:  # the task was not called
        return None
    return _past_usage(recorded_usage(facts), runs, facts.get("run_tokens"), metadata, prices)


def _usage_of_result(result: ExperimentResult, prices: Mapping[str, Price]) -> PastUsage | None:
    """Return the usage of a baseline with runs, such as from a file."""
    return _past_usage(result.usage, len(result.runs), run_tokens(result), result.experiment_metadata, prices)


def _past_usage(
    usage: Usage | None,
    runs: int,
    tokens: Mapping[str, float] | None,
    metadata: Mapping[str, Any],
    prices: Mapping[str, Price],
) -> PastUsage | None:
    if not usage or not runs or (cost := usage_cost(usage, prices)).unknown:
        return None
    mean = tokens["mean"] if tokens else 0.0
    return PastUsage(
        runs=runs,
        usd=cost.usd,
        tokens=token_count(usage),
        spread=tokens["sd"] / mean if tokens and mean else None,
        p95=tokens["p95"] / mean if tokens and mean else None,
        source=_source(metadata),
    )


def _source(metadata: Mapping[str, Any]) -> str:
    commit = str(metadata.get("commit") or "")[:7]
    if not commit:
        started = start_time_of(metadata)
        return f"the experiment of {started:%Y-%m-%d %H:%M}" if started else "an earlier experiment"
    return " ".join(filter(None, [str(metadata.get("branch") or ""), commit]))
