"""Declare the records of `results.json` that other records share."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct


class Record(Struct, frozen=True):
    """An object in the file."""


def describe(description: str, **constraints: Any) -> Meta:
    """Return the description of a field, with constraints that the schema has but the reader does not check."""
    return Meta(description=description, extra_json_schema=constraints or None)


Number = int | float  # keeps an int as an int
Count = Annotated[int, Meta(ge=0)]
Time = Annotated[datetime, Meta(tz=True)]


class Interval(Record, frozen=True):
    """A two-sided confidence interval."""

    low: Annotated[Number, describe("Lower end.")]
    high: Annotated[Number, describe("Upper end.")]
    method: Annotated[str, describe("Method, such as `Wilson` or `paired t`.")]
    confidence: Annotated[Number, describe("Confidence level: 0.95 for 95%.", exclusiveMinimum=0, exclusiveMaximum=1)]


class PartialRun(Record, frozen=True):
    """The size of a partial run."""

    selection: Annotated[str, describe("Flags that selected the examples, such as `-k refund`.")]
    examples: Annotated[Count, describe("Number of selected examples.")]
    of: Annotated[Count, describe("Number of examples in the datasets of the experiments, or in their split.")]
    gates: Annotated[Count, describe("Number of configured gates, which were not applied.")] = 0


class Forecast(Record, frozen=True):
    """The usage to expect of a job, from recorded experiments."""

    runs: Annotated[Count, describe("Number of runs that the forecast is for.")]
    usd: Annotated[Number, describe("Expected cost in USD.", minimum=0)]
    tokens: Annotated[Count, describe("Expected number of tokens.")]
    low_usd: Annotated[Number | None, describe("Lower end of the 90% interval of the cost; null if unknown.")]
    high_usd: Annotated[Number | None, describe("Upper end of the 90% interval of the cost; null if unknown.")]
    source: Annotated[str, describe("The recorded experiments, such as `main 9e66459`.")]
    unknown: Annotated[tuple[str, ...], describe("Experiments without a recorded usage, which are left out.")]


class BudgetUse(Record, frozen=True):
    """The budget of a job, and the part of it that the job used."""

    max_cost_usd: Annotated[Number | None, describe("Limit on the cost in USD; null for no limit.")]
    max_tokens: Annotated[Count | None, describe("Limit on the number of tokens; null for no limit.")]
    max_seconds: Annotated[Number | None, describe("Limit on the time in seconds; null for no limit.")]
    spent_usd: Annotated[
        Number,
        describe("Cost of all calls, also of rescored baselines and of earlier attempts, as far as known.", minimum=0),
    ]
    spent_tokens: Annotated[Count, describe("Tokens of all calls, as far as known.")]
    spent_seconds: Annotated[Number, describe("Time of the job and its earlier attempts in seconds.", minimum=0)]
    ended: Annotated[str, describe("Reason why the budget ended the job; empty if it did not.")]
    is_unknown: Annotated[
        bool, describe("Whether the budget ended the job because a price or a token count is not known.")
    ]
    forecast: Annotated[Forecast | None, describe("Forecast from before the job; null without a forecast.")]


class CalibrationState(Record, frozen=True):
    """The calibration of an evaluation by a language model."""

    experiment: Annotated[str, describe("Directory name of the experiment.")]
    evaluation: Annotated[str, describe("Name of the evaluation.")]
    date: Annotated[str, describe("Day of the calibration in UTC; empty if people never calibrated the evaluator.")]
    labels: Annotated[Count, describe("Number of labeled outputs.")]
    kappa: Annotated[Number | None, describe("Cohen's kappa of the evaluator and people; null if unknown.")]
    interval: Annotated[Interval | None, describe("Interval of kappa; null if unknown.")]
    change: Annotated[str, describe("What changed about the evaluator since its calibration; empty if nothing did.")]


class ModelUsage(Record, frozen=True):
    """The usage of a language model."""

    model: Annotated[str, describe("Name of the model in the spans; empty if the spans have none.")]
    calls: Annotated[Count, describe("Number of LLM spans.")]
    prompt_tokens: Annotated[Count, describe("Tokens sent to the model.")]
    completion_tokens: Annotated[Count, describe("Tokens that the model generated.")]
    total_tokens: Annotated[Count, describe("Sum of both, or the total in the spans.")]
    cost_usd: Annotated[Number, describe("Cost in USD of the calls whose spans have a cost.", minimum=0)]
    uncounted: Annotated[Count, describe("Calls whose spans have no token counts.")]
    unpriced: Annotated[Count, describe("Calls whose spans have no cost.")]
    unpriced_prompt_tokens: Annotated[Count, describe("Tokens sent in calls without a cost.")]
    unpriced_completion_tokens: Annotated[Count, describe("Tokens generated in calls without a cost.")]
    unpriced_longest_prompt: Annotated[
        Count, describe("Tokens sent in the call without a cost that has the longest prompt.")
    ] = 0


Usage = tuple[ModelUsage, ...]
