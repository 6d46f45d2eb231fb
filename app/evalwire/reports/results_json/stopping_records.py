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
    text: Annotated[str, describe("Reason for the decision.")]
    threshold: Annotated[Number, describe("Limit of the gate.")]
    basis: Annotated[str, describe("Other settings of the gate, and its baseline. The decision holds only for them.")]
    p_value: Annotated[
        Number | None,
        describe("For a drop: p-value for all looks, without a correction for other gates.", minimum=0, maximum=1),
    ]


class Stopping(Record, frozen=True, kw_only=True):
    """The extent of an experiment with early verdicts. `runs` and `scores` have only the runs that count."""

    seen: Annotated[Count, describe("Number of examples that count: the unbroken start of the random order.")]
    of: Annotated[Count, describe("Number of examples of the whole experiment.")]
    rounds: Annotated[Count, describe("Number of repetitions that count.")]
    of_rounds: Annotated[Count, describe("Number of repetitions of the whole experiment.")]
    beyond: Annotated[
        Count, describe("Number of runs in flight at the decision, which are recorded and paid, but do not count.")
    ]
    beyond_failed: Annotated[Count, describe("Number of failed runs among the runs in flight at the decision.")]
    risk: Annotated[
        Number,
        describe("Maximum probability that the whole experiment would decide any limit of the job otherwise."),
    ]
    decisions: Annotated[tuple[GateDecision, ...], describe("Decisions of the gates.")]
