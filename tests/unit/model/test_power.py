"""The power of a drop test: its sizes are those of the literature, and each is the inverse of the other."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import DropTest, sample_deviation
from evalwire.model.power import MOST_EXAMPLES, MOST_REPETITIONS, minimum_detectable_change


def of(flips: float, **fields) -> DropTest:
    return DropTest(deviation=flips**0.5, is_bool=True, **fields)


@pytest.mark.parametrize(
    ("flips", "drop", "examples"), [(0.05, 0.05, 246), (0.10, 0.05, 369), (0.25, 0.05, 740), (0.10, 0.02, 1_853)]
)
def test_single_bools_need_the_examples_of_connors_formula(flips, drop, examples):
    assert of(flips).examples_for(drop) == examples


def test_connors_formula_is_that_of_statsmodels_normal_approximation():
    """With other words: the power of a z test whose variance under the null hypothesis differs."""
    from statsmodels.stats.power import normal_power_het

    found = normal_power_het(
        0.05, 369, 0.05, std_null=0.15**0.5, std_alternative=(0.15 - 0.05**2) ** 0.5, alternative="larger"
    )
    assert of(0.1).power(0.05, examples=369) == pytest.approx(float(found), abs=1e-9)


def test_numbers_need_the_examples_of_a_t_test():
    from statsmodels.stats.power import TTestPower

    found = TTestPower().solve_power(effect_size=0.25, alpha=0.05, power=0.8, alternative="larger")
    assert DropTest(deviation=0.2, is_bool=False).examples_for(0.05) == pytest.approx(float(found), abs=2)


@pytest.mark.parametrize("examples", [5, 9, 40])
def test_a_few_numbers_have_the_quantiles_of_students_t(examples):
    from scipy.stats import t as student

    test, error = DropTest(deviation=0.2, is_bool=False), 0.2 / math.sqrt(examples)
    critical = student.ppf(0.95, examples - 1)
    smallest = error * (critical + student.ppf(0.8, examples - 1))
    assert test.smallest_drop(examples=examples) == pytest.approx(smallest, abs=1e-9)
    assert test.power(0.2, examples=examples) == pytest.approx(student.cdf(0.2 / error - critical, examples - 1))


@pytest.mark.parametrize("examples", [50, 400])
@pytest.mark.parametrize("runs", [1, 2, 5])
def test_the_smallest_drop_of_repeated_bools_has_a_part_of_a_step(runs, examples):
    drop = of(0.1).smallest_drop(examples=examples, repetitions=runs)
    noise = (0.1 + drop - drop**2) / runs
    critical = NormalDist().inv_cdf(0.95) * math.sqrt((noise + drop**2) / examples)
    step = 0.4 / (runs * examples) if runs > 1 else 0
    assert drop == pytest.approx(critical + step + NormalDist().inv_cdf(0.8) * math.sqrt(noise / examples))
    assert of(0.1).smallest_drop(examples=examples) >= drop


@pytest.mark.parametrize("runs", [1, 3])
def test_the_noise_of_gains_is_that_of_means_over_the_repetitions(runs):
    chance = random.Random(runs)
    gains = [chance.choice([-1, 0, 0, 1]) / runs for _ in range(80)]
    test = DropTest(deviation=sample_deviation(gains) * math.sqrt(runs), is_bool=True)
    found = minimum_detectable_change(gains, is_bool=True, repetitions=runs)
    assert found == pytest.approx(test.smallest_drop(examples=80, repetitions=runs))


@given(
    st.floats(0.001, 0.5),
    st.floats(0.01, 0.3),
    st.integers(1, 7),
    st.booleans(),
    st.sampled_from([0.0, 0.005]),
    st.sampled_from([0.05, 0.01]),
)
def test_the_examples_for_a_drop_find_it_and_one_fewer_does_not(noise, drop, runs, is_bool, tolerance, significance):
    test = DropTest(deviation=noise**0.5, is_bool=is_bool, tolerance=tolerance, significance=significance)
    examples = test.examples_for(drop, repetitions=runs)
    assert isinstance(examples, int)
    assert test.power(drop, examples=examples, repetitions=runs) >= 0.8
    assert test.smallest_drop(examples=examples, repetitions=runs) <= drop + 1e-9
    if examples > test.fewest_examples(runs):
        assert test.power(drop, examples=examples - 1, repetitions=runs) < 0.8
        assert test.smallest_drop(examples=examples - 1, repetitions=runs) > drop - 1e-9


def test_repetitions_find_what_single_runs_do_not():
    runs = of(0.1).repetitions_for(0.05, examples=150)
    assert of(0.1).power(0.05, examples=150, repetitions=runs) >= 0.8 > of(0.1).power(0.05, examples=150)
    assert of(0.1).repetitions_for(0.05, examples=369) == 1


@pytest.mark.parametrize("drop", [0.0065, 0.007, 0.0075, 0.008, 0.00834, 0.009])
def test_no_plan_is_larger_than_the_largest(drop):
    runs = of(0.3).repetitions_for(drop, examples=280)
    assert (runs or 0) <= MOST_REPETITIONS
    assert (runs == MOST_REPETITIONS) == (drop == 0.00834)
    assert (of(0.3).power(drop, examples=280, repetitions=MOST_REPETITIONS) >= 0.8) == (runs is not None)
    examples = of(0.3).examples_for(drop / 20)
    assert (examples or 0) <= MOST_EXAMPLES
    assert (of(0.3).power(drop / 20, examples=MOST_EXAMPLES) >= 0.8) == (examples is not None)


def test_no_sample_finds_a_drop_within_the_tolerance():
    assert of(0.1, tolerance=0.05).examples_for(0.05) is None
    assert of(0.1, tolerance=0.05).repetitions_for(0.05, examples=100) is None
    assert of(0.1, tolerance=0.04).examples_for(0.05) > of(0.1).examples_for(0.05)


def test_too_few_examples_find_nothing():
    assert of(0.1).fewest_examples() == 4
    assert of(0.1).fewest_examples(repetitions=2) == 5
    assert of(0.1).smallest_drop(examples=3) is None
    assert of(0.1).power(0.9, examples=3) == 0
    assert of(0.1).power(0.9, examples=4) > 0.5
    assert of(0.1).smallest_drop(examples=4) < 1


def test_a_lax_test_needs_two_examples():
    assert of(0.1, significance=0.6).fewest_examples() == 2
    assert of(0.1, significance=0.25).fewest_examples(repetitions=2) == 2, "two failures have this p-value"


def test_two_numbers_show_noise():
    assert minimum_detectable_change([-0.5, 0.5], is_bool=False, significance=0.3) > 0.5


def test_a_drop_without_noise_is_found_or_not():
    """If all examples fail, the scores of the examples do not differ."""
    assert of(0.0).power(1.0, examples=4) == 1.0
    assert of(0.0).examples_for(1.0) == 4
    numbers = DropTest(deviation=0.0, is_bool=False, tolerance=0.05, is_strict=True)
    assert [numbers.power(drop, examples=10) for drop in (0.04, 0.05, 0.06)] == [0, 0, 1], "5 points are allowed"


def test_a_strict_gate_needs_no_significance():
    strict, other = (of(0.1, is_strict=is_strict, tolerance=0.01) for is_strict in (True, False))
    assert strict.smallest_drop(examples=100) < other.smallest_drop(examples=100)
