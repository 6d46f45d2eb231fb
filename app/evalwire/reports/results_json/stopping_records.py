"""Declare the records of `results.json` for early verdicts."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from typing import Annotated, Literal

from evalwire.reports.results_json.records import Count, Number, Record, describe


class GateDecision(Record, frozen=True, kw_only=True):
    """The decision of a gate from its looks at a growing part of an experiment."""

    gate: Annotated[str, describe("Name of the gate.")]
    status: Annotated[
        Literal["passed", "failed"] | None, describe("Status of the gate; null if the looks did not decide it.")
    ]
    text: Annotated[str, describe("Reason of the decision.")]
    threshold: Annotated[Number, describe("Limit of the gate.")]
    basis: Annotated[str, describe("Other settings of the gate and its baseline, for which alone the decision holds.")]
    p_value: Annotated[
        Number | None,
        describe("For a drop: p-value for all looks, without a correction for other gates.", minimum=0, maximum=1),
    ]


class Stopping(Record, frozen=True, kw_only=True):
    """The extent of an experiment with early verdicts. `runs` and `scores` have only the runs that count."""

    seen: Annotated[Count, describe("Number of examples that count: the first of the random order, without a gap.")]
    of: Annotated[Count, describe("Number of examples of the whole run.")]
    rounds: Annotated[Count, describe("Number of repetitions that count.")]
    of_rounds: Annotated[Count, describe("Number of repetitions of the whole run.")]
    beyond: Annotated[
        Count, describe("Number of further runs that were in flight: recorded and paid, but not counted by gates.")
    ]
    beyond_failed: Annotated[Count, describe("Number of failed runs among them.")]
    risk: Annotated[
        Number, describe("Probability, for all limits of the job, that the whole run would have ended otherwise.")
    ]
    decisions: Annotated[tuple[GateDecision, ...], describe("Decisions of the gates.")]
