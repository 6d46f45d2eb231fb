"""Corrected pass rates, held to ppi-python, to the formulas, and to simulation."""

from __future__ import annotations

import itertools
import math
import random
import re
from statistics import NormalDist, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import Interval
from evalwire.model.agreement import AgreementTable
from evalwire.model.corrected_rates import corrected_change, corrected_rate, correction_obstacle, powered_rate
from evalwire.model.stats import wilson_interval

TABLE = AgreementTable(true_passes=92, false_failures=8, false_passes=31, true_failures=69)


def outputs(size, labeled, *, rate=0.8, passing=0.9, failing=0.7, seed=1):
    chance = random.Random(seed)
    labels = [float(chance.random() < rate) for _ in range(size)]
    scores = [float(chance.random() < passing) if label else float(chance.random() >= failing) for label in labels]
    return list(zip(labels, scores, strict=True))[:labeled], scores[labeled:]


def test_the_estimate_is_that_of_ppi_python():
    """In a single test, because each process that imports the package needs seconds for it."""
    import numpy as np
    import ppi_py

    for seed, (size, labeled) in itertools.product(range(20), [(200, 60), (100, 90), (1000, 100)]):
        pairs, others = outputs(size, labeled, seed=seed)
        labels, scores = (np.array(side) for side in zip(*pairs, strict=True))
        found = powered_rate(pairs, others)
        expected = ppi_py.ppi_mean_pointestimate(labels, scores, np.array(others))
        assert found.value == pytest.approx(float(np.squeeze(expected)), abs=1e-9), (seed, size, labeled)


@pytest.mark.parametrize(
    ("pairs", "others"),
    [
        outputs(1000, 100),
        outputs(200, 60, rate=0.6, seed=2),
        outputs(400, 100, rate=0.4, passing=0.8, seed=3),
        ([(1.0, 1.0)] * 6 + [(0.0, 0.0)] * 2, [1.0, 0.0]),
    ],
)
def test_the_ends_of_the_interval_are_where_the_score_test_with_students_t_is_critical(pairs, others):
    from scipy.stats import t as student

    found = powered_rate(pairs, others)
    n, rest = len(pairs), [label - found.weight * score for label, score in pairs]
    squared_error = variance(rest) / n + found.weight**2 * variance(others) / len(others)
    size = found.value * (1 - found.value) / squared_error
    assert n < size < n + len(others)
    for end in (found.interval.low, found.interval.high):
        critical = student.ppf(0.975, n - 1) * math.sqrt(end * (1 - end) / size)
        assert abs(found.value - end) == pytest.approx(critical, abs=1e-9)
    assert (found.interval.method, found.interval.confidence) == ("PPI++", 0.95)


def test_an_estimate_is_at_most_1():
    """The evaluator failed a labeled output that people passed, and passes all other outputs."""
    pairs = [(1.0, 1.0)] * 9 + [(1.0, 0.0), (0.0, 0.0)]
    found = powered_rate(pairs, [1.0] * 1000)
    assert found.weight == 1.0, "few outputs vary, so the best weight would be larger"
    assert (found.value, found.interval.high) == (1.0, 1.0)


def test_where_all_outputs_are_labeled_it_is_the_rate_of_the_labels():
    pairs, _ = outputs(80, 80)
    found = powered_rate(pairs, [])
    assert found.value == pytest.approx(sum(label for label, _ in pairs) / 80)
    assert (found.weight, found.interval.method) == (0.0, "Wilson")
    low, high = wilson_interval(round(found.value * 80), 80)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.003)  # Student's t is wider


def test_a_perfect_evaluator_is_as_good_as_labels_of_all():
    pairs, others = outputs(1000, 100, passing=1.0, failing=1.0)
    found = powered_rate(pairs, others)
    assert found.weight == pytest.approx(0.9, abs=0.08)
    assert found.interval.high - found.interval.low < 0.062
    alone = powered_rate(pairs, [])
    assert alone.interval.high - alone.interval.low > 0.13


def test_an_evaluator_without_information_gets_no_weight():
    pairs, _ = outputs(100, 100)
    found = powered_rate([(label, 1.0) for label, _ in pairs], [1.0] * 50)
    assert found.weight == 0.0
    assert found.value == pytest.approx(sum(label for label, _ in pairs) / 100)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2), st.lists(st.booleans()))
def test_estimates_and_intervals_are_rates(labeled, others):
    found = powered_rate([(float(a), float(b)) for a, b in labeled], list(map(float, others)))
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert found.interval.high > found.interval.low


def test_a_rate_is_corrected_by_the_errors_of_the_evaluator():
    """A true rate of 0.8 shows as 0.8 * 0.92 + 0.2 * 0.31."""
    found = corrected_rate(0.8 * 0.92 + 0.2 * 0.31, 500, TABLE)
    assert found.value == pytest.approx(0.8)
    assert found.interval.low < 0.75
    assert found.interval.high > 0.85
    assert found.interval.method == "Rogan-Gladen"


@pytest.mark.parametrize(("rate", "size"), [(0.8, 500), (0.5, 40), (0.6, 100)])
@pytest.mark.parametrize(
    "table", [TABLE, AgreementTable(true_passes=50, false_failures=9, false_passes=3, true_failures=21)]
)
def test_the_interval_is_that_of_lang_and_reiczigel(rate, size, table):
    """With the names of their article: p is the true and q the apparent rate."""
    z = NormalDist().inv_cdf(0.975)
    n, m, k = size + z**2, table.passes + 2, table.failures + 2
    q, se, sp = (size * rate + z**2 / 2) / n, (table.true_passes + 1) / m, (table.true_failures + 1) / k
    p = (q + sp - 1) / (se + sp - 1)
    of_se, of_sp = p * se * (1 - se) / m, (1 - p) * sp * (1 - sp) / k
    half = z / (se + sp - 1) * math.sqrt(q * (1 - q) / n + p * of_se + (1 - p) * of_sp)
    middle = p + 2 * z**2 * (of_se - of_sp)
    interval = corrected_rate(rate, size, table).interval
    expected = max(middle - half, 0), min(middle + half, 1)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("rate", "value"), [(0.2, 0.0), (0.99, 1.0)])
def test_a_corrected_rate_stays_between_0_and_1(rate, value):
    found = corrected_rate(rate, 500, TABLE)
    assert found.value == value
    assert 0 <= found.interval.low <= value <= found.interval.high <= 1


def test_more_labels_and_more_examples_narrow_the_interval():
    more = AgreementTable(true_passes=920, false_failures=80, false_passes=310, true_failures=690)
    widths = [
        found.interval.high - found.interval.low
        for found in (
            corrected_rate(0.8, 100, TABLE),
            corrected_rate(0.8, 1000, TABLE),
            corrected_rate(0.8, 1000, more),
        )
    ]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (AgreementTable(true_passes=40, true_failures=19), "59 labels are too few (at least 60)"),
        (AgreementTable(true_passes=96, true_failures=4), "people failed 4 of 100 outputs (at least 5)"),
        (AgreementTable(true_passes=4, true_failures=96), "people passed 4 of 100 outputs (at least 5)"),
        (
            AgreementTable(true_passes=50, false_failures=50, false_passes=40, true_failures=60),
            "the evaluator hardly discriminates: J = 0.10, at least 0.2",
        ),
        (
            AgreementTable(true_passes=50, false_failures=50, false_passes=50, true_failures=50),
            "the evaluator hardly discriminates: J = 0.00, at least 0.2",
        ),
        (TABLE, ""),
        (AgreementTable(true_passes=40, true_failures=20), ""),
        (AgreementTable(true_passes=95, true_failures=5), ""),
        (AgreementTable(true_passes=5, true_failures=95), ""),
        (AgreementTable(true_passes=60, false_failures=40, false_passes=40, true_failures=60), ""),
    ],
)
def test_there_is_no_correction_where_it_would_not_hold(table, why):
    assert correction_obstacle(table) == why
    if why:
        with pytest.raises(ValueError, match=re.escape(why)):
            corrected_rate(0.8, 100, table)


def test_a_rate_of_no_example_is_not_corrected():
    with pytest.raises(ValueError, match=r"^a rate needs at least one example, got 0$"):
        corrected_rate(0.8, 0, TABLE)
    assert corrected_rate(1.0, 1, TABLE).interval.low < 0.5


def test_a_change_is_divided_by_j():
    slope = TABLE.discrimination
    change, interval = corrected_change(-0.06, Interval(low=-0.10, high=-0.02, method="paired t"), TABLE)
    assert change == pytest.approx(-0.06 / slope)
    assert interval.high - interval.low > 0.08 / slope, "the uncertainty of J widens it"
    assert (interval.low + interval.high) / 2 == pytest.approx(change)
    assert corrected_change(-0.06, None, TABLE) == (change, None)


def test_no_change_has_the_uncertainty_of_the_change_alone():
    _, interval = corrected_change(0.0, Interval(low=-0.04, high=0.04, method="paired t"), TABLE)
    assert interval.high == pytest.approx(0.04 / TABLE.discrimination)


def test_a_corrected_change_stays_between_minus_1_and_1():
    change, interval = corrected_change(-0.9, Interval(low=-1.0, high=-0.8, method="paired t"), TABLE)
    assert (change, interval.low) == (-1.0, -1.0)
    change, interval = corrected_change(0.9, Interval(low=0.8, high=1.0, method="paired t"), TABLE)
    assert (change, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_the_interval_of_a_corrected_change_has_the_variance_of_a_ratio(confidence):
    """The relative variances of the change and of J add up."""
    given = Interval(low=-0.3, high=-0.1, method="paired t", confidence=confidence)
    change, interval = corrected_change(-0.2, given, TABLE)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    of_change = (0.1 / z / 0.2) ** 2
    of_slope = (0.92 * 0.08 / 100 + 0.69 * 0.31 / 100) / TABLE.discrimination**2
    half = z * abs(change) * math.sqrt(of_change + of_slope)
    assert (interval.low, interval.high) == pytest.approx((change - half, change + half), abs=1e-12)
    assert (interval.method, interval.confidence) == ("paired t", confidence)
