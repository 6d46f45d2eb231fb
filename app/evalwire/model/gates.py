"""Gate results."""

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
    "min_kappa",
    "max_error_rate",
    "max_p95_seconds",
    "max_total_tokens",
    "max_cost_usd",
    "min_llm_calls",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The result of a gate.

    Attributes:
        experiment: the name of the experiment's directory.
        evaluation: the evaluation that the gate limits; None for a gate on the whole experiment.
        rule: the kind of limit.
        threshold: the limit, as a number.
        status: the status of the gate.
        is_red: whether the gate fails the job.
        value: the value compared with the limit; None without a value. For `max_drop`: the drop, positive for a
            regression.
        interval: the two-sided confidence interval of the value or, for `max_drop`, of the change.
        p_value: for `max_drop`: the one-sided p-value, corrected over all drop gates of the job (Holm).
        text: a summary in a sentence.
        source: the file with its line, the flag or the variable that defines the gate; `default` for the built-in
            limit on the error rate.
        is_rate: whether the value is a share of the runs, or the change of a share; reports show percentages.
        is_relative: whether the threshold is a share of the baseline's mean, for `max_drop`.
        label: the label whose share is limited, for `min_label_share` and `max_label_share`.
        minimum_detectable: for `max_drop`: the smallest true drop that the gate would have found with a power of 80%;
            None without a comparison, or if it would have found no drop.
        is_corrected: whether the value is a rate that is corrected for the errors of the evaluator.
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
    is_rate: bool = False
    is_relative: bool = False
    label: str | None = None
    minimum_detectable: float | None = None
    is_corrected: bool = False

    @property
    def is_tolerance(self) -> bool:
        """True for a passed gate on the error rate: errors within the limit do not fail the job."""
        return self.rule == "max_error_rate" and self.status == "passed"

    @property
    def name(self) -> str:
        """The name of the gate, for example `top_k min`, `max_error_rate` or `judge max_label_share incorrect`."""
        return gate_name(self.evaluation, self.rule, self.label)


def gate_name(evaluation: str | None, rule: Rule, label: str | None) -> str:
    """Return the name of a gate within its experiment."""
    return " ".join(part for part in (evaluation, rule, label) if part)
