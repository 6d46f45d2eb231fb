"""The settings that end a job before all runs: early verdicts and budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalwire.settings.options import GATING, LIMITS, option
from evalwire.settings.parsers import COUNT, NUMBER, PROBABILITY, SWITCH, choice


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingSettings:
    """The settings in the tables `stopping` and `budget` of `evalwire.toml`, as attributes of `Settings`."""

    stop_early: bool = option(
        SWITCH,
        "End an experiment when its gates are decided. The examples run in a random order.",
        default=False,
        key="stopping.early",
        flag="--stop-early",
        panel=GATING,
    )
    stop_risk: float = option(
        PROBABILITY,
        "Maximum probability that the whole experiment would decide any limit of the job otherwise.",
        default=0.01,
        key="stopping.risk",
    )
    stop_min_examples: int = option(
        COUNT,
        "Minimum number of examples to run before an experiment may end early.",
        default=30,
        key="stopping.min_examples",
    )
    stop_errors: Literal["seen", "all"] = option(
        choice("seen", "all"),
        "Examples that max_error_rate counts if an experiment ends early: the examples that ran (seen), or all (all). "
        "With `all`, an experiment cannot pass early while max_error_rate is 0, because any example could fail.",
        default="seen",
        key="stopping.errors",
    )
    stop_on_failed: Literal["stop", "finish"] = option(
        choice("stop", "finish"),
        "Action after the first failed gate of an experiment: end the experiment (stop), or continue until all gates "
        "are decided (finish).",
        default="stop",
        key="stopping.on_failed",
    )
    stop_base_branch: bool = option(
        SWITCH,
        "End experiments early on the base branch, too. An experiment that ended early is never a baseline.",
        default=False,
        key="stopping.base_branch",
    )
    max_cost_usd: float | None = option(
        NUMBER,
        "Budget of the job in USD: start no run that may exceed it. As a flag of `resume`: cost in addition "
        "(default: no limit).",
        default=None,
        key="budget.max_cost_usd",
        flag="--max-cost",
        metavar="USD",
        panel=LIMITS,
    )
    max_tokens: int | None = option(
        COUNT,
        "Budget of the job in tokens: start no run that may exceed it. As a flag of `resume`: tokens in addition "
        "(default: no limit).",
        default=None,
        key="budget.max_tokens",
        flag="--max-tokens",
        panel=LIMITS,
    )
    max_seconds: float | None = option(
        NUMBER,
        "Budget of the job in seconds: start no run that may end later. As a flag of `resume`: time in addition "
        "(default: no limit).",
        default=None,
        key="budget.max_seconds",
        flag="--max-seconds",
        metavar="SECONDS",
        panel=LIMITS,
    )
    budget_start: Literal["refuse", "try"] = option(
        choice("refuse", "try"),
        "Action if the forecast of a job is above its budget: run nothing and exit 1 (refuse), or start (try).",
        default="refuse",
        key="budget.start",
    )
