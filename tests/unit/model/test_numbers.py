"""Scores of any size have means, differences, spreads and intervals that floats can hold."""

from __future__ import annotations

import math
import sys
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import difference, mean, mean_interval, minimum_detectable_change, sign_flip, written
from evalwire.model.stats import sample_deviation

LARGEST = sys.float_info.max
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
HUGE = st.sampled_from([LARGEST, -LARGEST, 1e308, -1e308, 8.98e307, 1e200, 1.0, 0.0, -1e-300, 5e-324])


@given(st.lists(HUGE | FLOATS, min_size=2, max_size=30))
def test_whatever_the_scores_are_their_figures_are_floats(values):
    found = [mean(values), sample_deviation(values), *mean_interval(values), difference(values[0], values[1])]
    assert all(map(math.isfinite, found)), found
    assert min(values) <= mean(values) <= max(values) or math.isclose(mean(values), min(values), rel_tol=1e-12)
    assert mean_interval(values)[0] <= mean_interval(values)[1]
    assert 0 <= sign_flip(values, draws=50) <= 1
    least = minimum_detectable_change(values, is_bool=False)
    assert least is None or math.isfinite(least)


@given(st.lists(st.floats(-1e150, 1e150), min_size=2, max_size=20))
def test_a_factor_changes_nothing_but_the_unit(values):
    """Sums that would leave the range of floats are those of smaller values."""
    if max(map(abs, values)) < 1e130:
        values = [*values, 1e140]
    far = [value * 2.0**500 for value in values]
    assert mean(far) == pytest.approx(mean(values) * 2.0**500, rel=1e-9, abs=1e280)
    assert sample_deviation(far) == pytest.approx(sample_deviation(values) * 2.0**500, rel=1e-9)
    low, high = mean_interval(values)
    assert mean_interval(far) == pytest.approx((low * 2.0**500, high * 2.0**500), rel=1e-9, abs=1e282)
    assert sign_flip(far, draws=50) == sign_flip([value for value in values if abs(value) > 0], draws=50)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_usual_scores_have_the_usual_mean(values):
    assert mean(values) == pytest.approx(fmean(values), abs=1e-9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e308] * 4, 1e308),
        ([LARGEST] * 3, LARGEST),
        ([-LARGEST] * 3, -LARGEST),
        ([LARGEST, -LARGEST], 0.0),
        ([LARGEST, LARGEST, -LARGEST], LARGEST / 3),
    ],
)
def test_the_mean_of_the_largest_scores(values, expected):
    assert mean(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.500"),
        (-1.0, "-1.000"),
        (123456.789, "123456.789"),
        (1e308, "1.000e+308"),
        (-1e9, "-1.000e+09"),
        (None, "-"),
    ],
)
def test_a_score_is_written_so_that_it_can_be_read(value, text):
    assert written(value) == text
