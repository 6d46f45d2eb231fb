"""The noise of scores: each estimate has no bias, and each interval is the one of the literature where there is one."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import ExampleNoise, Noise, flip_share, mean, squared_change
from evalwire.model.noise import share_interval
from evalwire.model.stats import mean_interval, wilson_interval


def noise(*changes: float, is_bool: bool = True, runs: int = 2) -> Noise:
    examples = [
        ExampleNoise(example_id=f"q{number}", scores=(0.0,) * runs, change=change)
        for number, change in enumerate(changes)
    ]
    return Noise(is_bool=is_bool, examples=tuple(examples), runs=runs)


@pytest.mark.parametrize("runs", [2, 3, 6])
def test_the_flips_of_an_example_are_the_pairs_of_runs_that_differ(runs):
    for scores in itertools.product((0.0, 1.0), repeat=runs):
        pairs = [a != b for a, b in itertools.combinations(scores, 2)]
        assert flip_share(round(sum(scores)), runs) == pytest.approx(mean(pairs))
        assert squared_change(scores) == pytest.approx(mean(pairs))


@pytest.mark.parametrize("runs", [2, 3, 6])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_the_estimate_of_flips_has_no_bias(runs, p):
    """Over all numbers of passes, with their probabilities, it is 2 p (1 - p)."""
    expected = math.fsum(
        math.comb(runs, c) * p**c * (1 - p) ** (runs - c) * flip_share(c, runs) for c in range(runs + 1)
    )
    assert expected == pytest.approx(2 * p * (1 - p))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_a_squared_change_is_the_mean_over_the_pairs_of_scores(scores):
    pairs = [(a - b) ** 2 for a, b in itertools.combinations(scores, 2)]
    assert squared_change(scores) == pytest.approx(mean(pairs), abs=1e-12)


@pytest.mark.parametrize(("passes", "runs"), [(1, 1), (3, 2), (-1, 2)])
def test_a_single_run_shows_no_flips(passes, runs):
    with pytest.raises(ValueError, match="do not show whether two runs differ"):
        flip_share(passes, runs)


@pytest.mark.parametrize(("flips", "n"), [(0, 40), (3, 100), (40, 40), (25, 100)])
def test_with_two_runs_the_interval_is_nearly_wilsons(flips, n):
    found = share_interval([1.0] * flips + [0.0] * (n - flips), most=1)
    assert found == pytest.approx(wilson_interval(flips, n), abs=1e-3)


@pytest.mark.parametrize("changing", [10, 30, 70])
@pytest.mark.parametrize("value", [0.5, 2 / 3])
def test_the_ends_of_the_interval_are_where_a_share_of_the_same_variance_would_be_critical(changing, value):
    values = [value] * changing + [0.0] * (100 - changing)
    share, error = mean(values), statistics.variance(values) / 100
    size = min(share * (1 - share) / error, 300)
    for end in share_interval(values, most=3):
        critical = statistics.NormalDist().inv_cdf(0.975) * math.sqrt(end * (1 - end) / size)
        assert abs(share - end) == pytest.approx(critical, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_at_a_bound_count_each_example_once(share):
    """That no example ever flipped in three runs does not say how examples differ."""
    expected = wilson_interval(round(40 * share), 40)
    assert share_interval([share] * 40, most=3) == pytest.approx(expected, abs=1e-9)
    for n in range(2, 100):
        low, high = share_interval([share] * n, most=1)
        assert 0 <= low < high <= 1


def test_values_that_vary_less_than_bools_have_a_narrower_interval():
    """As with three runs or more: 0 and 2/3 instead of 0 and 1."""
    narrow = share_interval([2 / 3] * 30 + [0.0] * 70, most=3)
    wide = share_interval([1.0] * 20 + [0.0] * 80, most=1)
    assert wide[0] < narrow[0] < 0.2 < narrow[1] < wide[1]


def test_values_that_are_all_alike_still_have_an_interval():
    low, high = share_interval([2 / 3] * 50, most=3)
    assert 0.5 < low < 2 / 3 < high < 0.75


def test_the_interval_of_numbers_is_the_root_of_students():
    changes = [0.0, 0.02, 0.01, 0.05] * 30
    found = noise(*changes, is_bool=False).interval
    low, high = mean_interval(changes)
    assert (found.low, found.high) == (math.sqrt(low), math.sqrt(high))
    assert noise(0.0, 0.4, is_bool=False).interval.low == 0


def test_few_flips_and_few_examples_are_rough():
    assert noise(*[1.0] * 10, *[0.0] * 80).is_rough
    assert noise(*[1.0] * 4, *[0.0] * 96).is_rough
    assert not noise(*[1.0] * 5, *[0.0] * 95).is_rough
    assert not noise(*[0.0001] * 100, is_bool=False).is_rough


def test_the_examples_that_make_half_of_the_noise_are_the_fewest():
    found = noise(0.1, 0.6, 0.0, 0.1, 0.4, 0.2)
    assert [example.example_id for example in found.half] == ["q1", "q4"]
    assert [example.example_id for example in found.changing] == ["q1", "q4", "q5", "q0", "q3"]
    assert noise(0.0, 0.0).half == []


def test_pairs_are_those_of_scores():
    assert noise(0.0, 0.0, runs=3).pairs == 6
