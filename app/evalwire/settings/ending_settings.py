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
        "Probability, for all limits of the job together, that the whole run would have ended otherwise, at most.",
        default=0.01,
        key="stopping.risk",
    )
    stop_min_examples: int = option(
        COUNT,
        "Number of examples to run before an experiment may end early.",
        default=30,
        key="stopping.min_examples",
    )
    stop_errors: Literal["seen", "all"] = option(
        choice("seen", "all"),
        "Examples that max_error_rate counts if an experiment ends early: the examples that ran (seen), or all. With "
        "all, an experiment without failures cannot pass early while the limit is 0.",
        default="seen",
        key="stopping.errors",
    )
    stop_on_failed: Literal["stop", "finish"] = option(
        choice("stop", "finish"),
        "Action after the first failed gate of an experiment: end it, or run on until all gates are decided (finish).",
        default="stop",
        key="stopping.on_failed",
    )
    stop_base_branch: bool = option(
        SWITCH,
        "Let runs on the base branch end early. Such a run is never a baseline.",
        default=False,
        key="stopping.base_branch",
    )
    max_cost_usd: float | None = option(
        NUMBER,
        "Budget of the job in USD: start no run that may exceed it (default: no limit).",
        default=None,
        key="budget.max_cost_usd",
        flag="--max-cost",
        metavar="USD",
        panel=LIMITS,
    )
    max_tokens: int | None = option(
        COUNT,
        "Budget of the job in tokens: start no run that may exceed it (default: no limit).",
        default=None,
        key="budget.max_tokens",
        flag="--max-tokens",
        panel=LIMITS,
    )
    max_seconds: float | None = option(
        NUMBER,
        "Budget of the job in seconds: start no run that may end later (default: no limit).",
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
