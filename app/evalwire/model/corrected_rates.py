"""Pass rates corrected for the errors of an evaluator, with labels of people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.baseline import Interval
from evalwire.model.numbers import mean
from evalwire.model.stats import sample_deviation, student_t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model.agreement import AgreementTable

FEWEST_LABELS = 60
"""The number of labels from which the intervals of corrected rates cover."""

FEWEST_OF_A_KIND = 5
"""The number of passes, and of failures, that people must have found for a correction from other outputs."""

LEAST_DISCRIMINATION = 0.2
"""The least Youden's J of an evaluator whose pass rate is corrected from other outputs."""

_CONFIDENCE = 0.95
_UPPER = (1 + _CONFIDENCE) / 2
_SLACK = 1e-9  # 0.6 + 0.6 - 1 is less than 0.2 by a rounding error


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedRate:
    """An estimate of the share of outputs that people would pass.

    Attributes:
        value: the estimate, from 0 to 1.
        interval: the confidence interval.
        weight: the weight of the evaluator in a prediction-powered estimate, from 0 (labels alone) to 1.
    """

    value: float
    interval: Interval
    weight: float = 0.0


def powered_rate(labeled: Sequence[tuple[float, float]], others: Sequence[float]) -> CorrectedRate:
    """Estimate a pass rate from labels of some of the outputs, and from the evaluator's scores of all outputs.

    The estimate is PPI++: mean(weight * others) + mean(label - weight * score), with the weight that has the least
    variance. The interval is Wilson's, for the number of labels that alone would have the standard error of the
    estimate, with Student's t: the normal interval covers too little of rates near 1. The labeled outputs must be a
    random sample of all outputs.

    Source: Angelopoulos, Duchi, Zrnic 2023, "PPI++: Efficient Prediction-Powered Inference", arXiv 2311.01453; Dean,
    Pagano 2015, "Evaluating Confidence Interval Methods for Binomial Proportions in Clustered Surveys", Journal of
    Survey Statistics and Methodology 3.

    Args:
        labeled: the label (0 or 1) and the evaluator's score of each labeled output, at least two.
        others: the evaluator's scores of the other outputs.

    Raises:
        ValueError: there are fewer than two labels.
    """
    n = len(labeled)
    labels, scores = [label for label, _ in labeled], [score for _, score in labeled]
    weight = _weight(labels, scores, others) if others else 0.0
    rest = [label - weight * score for label, score in labeled]
    value = mean(rest) + (weight * mean(others) if others else 0.0)
    variance = sample_deviation(rest) ** 2 / n
    if len(others) > 1:
        variance += (weight * sample_deviation(others)) ** 2 / len(others)
    inside = min(max(value, 0.0), 1.0)
    effective = inside * (1 - inside) / variance if variance else 0.0
    effective = min(max(effective, n), n + len(others))
    low, high = _wilson(inside, effective, student_t_quantile(_UPPER, n - 1))
    interval = Interval(low=low, high=high, method="PPI++" if others else "Wilson")
    return CorrectedRate(value=inside, interval=interval, weight=weight)


def _weight(labels: Sequence[float], scores: Sequence[float], others: Sequence[float]) -> float:
    everything = [*scores, *others]
    spread = sample_deviation(everything) ** 2
    if not spread:
        return 0.0
    centre, other = mean(labels), mean(scores)
    covered = mean([(label - centre) * (score - other) for label, score in zip(labels, scores, strict=True)])
    return min(max(covered / ((1 + len(labels) / len(others)) * spread), 0.0), 1.0)


def _wilson(rate: float, size: float, quantile: float) -> tuple[float, float]:
    square = quantile**2
    centre = (rate * size + square / 2) / (size + square)
    half = quantile * math.sqrt(rate * (1 - rate) * size + square / 4) / (size + square)
    return max(min(centre - half, rate), 0.0), min(max(centre + half, rate), 1.0)


def correction_obstacle(table: AgreementTable) -> str:
    """Return why a rate cannot be corrected with labels of other outputs, as a clause; empty if it can be."""
    if table.size < FEWEST_LABELS:
        return f"{table.size} labels are too few (at least {FEWEST_LABELS})"
    for number, kind in ((table.failures, "failed"), (table.passes, "passed")):
        if number < FEWEST_OF_A_KIND:
            return f"people {kind} {number} of {table.size} outputs (at least {FEWEST_OF_A_KIND})"
    if (table.discrimination or 0.0) < LEAST_DISCRIMINATION - _SLACK:
        return f"the evaluator hardly discriminates: J = {table.discrimination:.2f}, at least {LEAST_DISCRIMINATION}"
    return ""


def corrected_value(rate: float, table: AgreementTable) -> float:
    """Return the estimate of `corrected_rate`, without its interval; there must be no obstacle to a correction."""
    found = (rate + (table.true_failure_rate or 0.0) - 1) / (table.discrimination or 1.0)
    return min(max(found, 0.0), 1.0)


def corrected_rate(rate: float, size: int, table: AgreementTable) -> CorrectedRate:
    """Correct an evaluator's pass rate with labels of other outputs, after Rogan and Gladen.

    The estimate is (rate + true failure rate - 1) / J, within 0 and 1. The interval is that of Lang and Reiczigel,
    which Lee et al. recommend for language models as evaluators. It has the uncertainty of both rates of the table.

    Source: Rogan, Gladen 1978, "Estimating Prevalence from the Results of a Screening Test", American Journal of
    Epidemiology 107; Lang, Reiczigel 2014, "Confidence limits for prevalence of disease adjusted for estimated
    sensitivity and specificity", Preventive Veterinary Medicine 113; Lee et al. 2025, "How to Correctly Report
    LLM-as-a-Judge Evaluations", arXiv 2511.21140.

    Args:
        rate: the evaluator's pass rate, from 0 to 1.
        size: the number of examples of the rate.
        table: the agreement with people on other outputs.

    Raises:
        ValueError: `correction_obstacle` names an obstacle, or the size is below 1.
    """
    if obstacle := correction_obstacle(table):
        raise ValueError(obstacle)
    if size < 1:
        raise ValueError("a rate needs at least one example, got 0")
    quantile = NormalDist().inv_cdf(_UPPER)
    square = quantile**2
    smooth = (rate * size + square / 2) / (size + square)
    passing, passes = (table.true_passes + 1) / (table.passes + 2), table.passes + 2
    failing, failures = (table.true_failures + 1) / (table.failures + 2), table.failures + 2
    slope = passing + failing - 1
    centre = (smooth + failing - 1) / slope
    of_passing, of_failing = passing * (1 - passing) / passes, failing * (1 - failing) / failures
    middle = centre + 2 * square * (centre * of_passing - (1 - centre) * of_failing)
    variance = smooth * (1 - smooth) / (size + square) + centre**2 * of_passing + (1 - centre) ** 2 * of_failing
    half = quantile * math.sqrt(variance) / slope
    value = corrected_value(rate, table)
    low, high = min(max(middle - half, 0.0), value), max(min(middle + half, 1.0), value)
    return CorrectedRate(value=value, interval=Interval(low=low, high=high, method="Rogan-Gladen"))


def corrected_change(change: float, interval: Interval | None, table: AgreementTable) -> tuple[float, Interval | None]:
    """Correct the change of a pass rate: divide it by Youden's J, whose uncertainty widens the interval.

    The variance is that of a ratio, by the delta method.

    Args:
        change: the change of the evaluator's pass rate.
        interval: the confidence interval of the change; None without an interval.
        table: the agreement with people, without an obstacle to a correction.

    Returns:
        The corrected change, and its interval within -1 and 1.
    """
    slope = table.discrimination or 1.0
    found = change / slope
    if interval is None:
        return found, None
    passing, failing = table.true_pass_rate or 0.0, table.true_failure_rate or 0.0
    of_slope = passing * (1 - passing) / table.passes + failing * (1 - failing) / table.failures
    quantile = NormalDist().inv_cdf((1 + interval.confidence) / 2)
    of_change = ((interval.high - interval.low) / (2 * quantile)) ** 2
    half = quantile * math.sqrt(of_change / slope**2 + change**2 * of_slope / slope**4)
    corrected = Interval(low=found - half, high=found + half, method=interval.method, confidence=interval.confidence)
    return min(max(found, -1.0), 1.0), corrected.within(-1, 1)
