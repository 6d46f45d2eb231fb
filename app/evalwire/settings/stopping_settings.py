"""The settings of early verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalwire.settings.experiment_settings import Resolved
from evalwire.settings.options import GATING, option
from evalwire.settings.parsers import COUNT, PROBABILITY, SWITCH, choice


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingSettings(Resolved):
    """The settings in the table `stopping` of `evalwire.toml`, as attributes of `Settings`."""

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
