"""What a gate came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evalwire.model.baseline import Interval

Status = Literal["passed", "failed", "inconclusive", "no baseline"]

Rule = Literal[
    "min",
    "max",
    "min_pass_rate",
    "max_pass_rate",
    "min_label_share",
    "max_label_share",
    "max_drop",
    "min_examples",
    "max_error_rate",
    "max_p95_seconds",
    "max_total_tokens",
    "max_cost_usd",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What one gate came to.

    Attributes:
        experiment: the name of the experiment's folder.
        evaluation: what it is over; None for one over the whole experiment.
        rule: which limit it is.
        threshold: the limit, as a number.
        status: what it came to.
        is_red: whether it fails the job.
        value: what was held to the limit; None where there is none. For `max_drop`: the drop, above 0 when worse.
        interval: of the value, or for `max_drop` of the change; two-sided.
        p_value: for `max_drop`: one-sided, corrected over all drop gates of the job (Holm).
        text: it all in one sentence.
        source: where it was asked for; `default` for the error rate of an experiment without one.
        label: whose share is limited, for `min_label_share` and `max_label_share`.
    """

    experiment: str
    rule: Rule
    threshold: float
    status: Status
    is_red: bool
    text: str
    evaluation: str | None = None
    value: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    source: str = ""
    label: str | None = None

    @property
    def is_tolerance(self) -> bool:
        """True if it is a limit on the error rate that held: errors below it do not fail the job."""
        return self.rule == "max_error_rate" and not self.is_red

    @property
    def name(self) -> str:
        """The name of the gate: `top_k min`, `max_error_rate`, `judge max_label_share incorrect`."""
        return " ".join(part for part in (self.evaluation, self.rule, self.label) if part)
