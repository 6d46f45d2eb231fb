"""The power of a drop test: its sizes are those of the literature, and each is the inverse of the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import DropTest


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
    assert test.power(drop, examples=examples, repetitions=runs) >= 0.8
    assert test.smallest_drop(examples=examples, repetitions=runs) <= drop + 1e-9
    if examples > test.fewest_examples(runs):
        assert test.power(drop, examples=examples - 1, repetitions=runs) < 0.8
        assert test.smallest_drop(examples=examples - 1, repetitions=runs) > drop - 1e-9


def test_repetitions_find_what_single_runs_do_not():
    runs = of(0.1).repetitions_for(0.05, examples=150)
    assert of(0.1).power(0.05, examples=150, repetitions=runs) >= 0.8 > of(0.1).power(0.05, examples=150)


def test_no_sample_finds_a_drop_within_the_tolerance():
    assert of(0.1, tolerance=0.05).examples_for(0.05) is None
    assert of(0.1, tolerance=0.05).repetitions_for(0.05, examples=100) is None
    assert of(0.1, tolerance=0.04).examples_for(0.05) > of(0.1).examples_for(0.05)


def test_too_few_examples_find_nothing():
    assert of(0.1).fewest_examples() == 4
    assert of(0.1).fewest_examples(repetitions=2) == 5
    assert of(0.1).smallest_drop(examples=3) is None
    assert of(0.1).power(0.9, examples=3) == 0


def test_a_strict_gate_needs_no_significance():
    strict, other = (of(0.1, is_strict=is_strict, tolerance=0.01) for is_strict in (True, False))
    assert strict.smallest_drop(examples=100) < other.smallest_drop(examples=100)
