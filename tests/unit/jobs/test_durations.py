"""A resumed job tells the time that its earlier parts took, and not the pauses between."""

from __future__ import annotations

from datetime import timedelta

import pytest
import reporting
from hypothesis import given
from hypothesis import strategies as st

from evalwire.jobs.durations import busy_seconds, earlier_seconds, with_earlier_time


def run(number: int, start: float, seconds: float, *, evaluated: float = 0.0):
    begun = reporting.BEGAN + timedelta(seconds=start)
    ended = begun + timedelta(seconds=seconds)
    said = reporting.evaluation("e", 1.0, start_time=ended, end_time=ended + timedelta(seconds=evaluated))
    return reporting.run(number, start_time=begun, end_time=ended, evaluations=(said,))


@pytest.mark.parametrize(
    ("runs", "seconds"),
    [
        ([], 0.0),
        ([(0, 2)], 2.0),
        ([(0, 2), (1, 2)], 3.0),
        ([(0, 2), (0, 2), (0, 1)], 2.0),
        ([(0, 2), (3_600, 1)], 3.0),
        ([(3_600, 1), (0, 10), (2, 1)], 11.0),
    ],
)
def test_time_in_which_anything_was_under_way_counts_once(runs, seconds):
    assert busy_seconds(run(n, *one) for n, one in enumerate(runs)) == pytest.approx(seconds)


def test_evaluations_are_under_way_too():
    assert busy_seconds([run(1, 0, 2, evaluated=3), run(2, 1, 1, evaluated=0)]) == pytest.approx(5.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_it_is_at_most_the_sum_and_at_least_the_longest(runs):
    found = busy_seconds(run(n, *one) for n, one in enumerate(runs))
    assert max((seconds for _, seconds in runs), default=0) <= found + 1e-6
    assert found <= sum(seconds for _, seconds in runs) + 1e-6


def test_only_runs_from_before_the_job_are_added():
    result = reporting.result("a", [run(1, 0, 4), run(2, 100, 4)], evaluators=("e",), seconds=5.0)
    since = reporting.BEGAN + timedelta(seconds=50)
    assert [one.seconds for one in with_earlier_time([result], since)] == [9.0]
    assert earlier_seconds([result, result], since) == pytest.approx(4.0)
    assert with_earlier_time([result], reporting.BEGAN) == [result]
