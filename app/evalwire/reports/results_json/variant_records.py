"""Declare the records of `results.json` that compare the variants of an experiment."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from typing import Annotated

from evalwire.model import Direction
from evalwire.reports.results_json.records import Count, Interval, Number, Record, describe


class ScoreDifference(Record, frozen=True, kw_only=True):
    """The difference of a score between two variants, over the examples that both ran."""

    name: Annotated[str, describe("Name of the evaluation.")]
    direction: Annotated[Direction, describe("Whether higher or lower scores are better.")]
    is_bool: Annotated[bool, describe("Whether all scores are bools.")]
    pairs: Annotated[Count, describe("Number of examples with a score in both variants.")]
    worse: Annotated[Count, describe("Number of examples on which the second variant is worse.")]
    better: Annotated[Count, describe("Number of examples on which the second variant is better.")]
    first: Annotated[Number, describe("Mean of the first variant over the pairs.")]
    second: Annotated[Number, describe("Mean of the second variant over the pairs.")]
    change: Annotated[Number, describe("Mean of the second variant minus the mean of the first.")]
    interval: Annotated[
        Interval | None, describe("Interval of the change, without a correction; null with too few pairs.")
    ]
    p_value: Annotated[
        Number,
        describe("Two-sided p-value, corrected over all differences of the job (Holm).", minimum=0, maximum=1),
    ]
    test: Annotated[str, describe("Name of the statistical test.")]


class VariantComparison(Record, frozen=True, kw_only=True):
    """The comparison of two variants of an experiment."""

    experiment: Annotated[str, describe("Directory name of the experiment.")]
    first: Annotated[str, describe("Name of the first variant, as in `experiments`.")]
    second: Annotated[str, describe("Name of the second variant, as in `experiments`.")]
    examples: Annotated[Count, describe("Number of examples that both variants ran.")]
    scores: Annotated[tuple[ScoreDifference, ...], describe("Differences of the scores that both have.")]
