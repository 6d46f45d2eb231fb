"""The formulas, held to counting everything and to the standard library."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest

from evalwire.stats import pass_at_k, pass_hat_k, sample_deviation

CASES = [(n, c, k) for n in range(1, 8) for c in range(n + 1) for k in range(1, n + 1)]


def draws(n: int, c: int, k: int) -> list[tuple[bool, ...]]:
    """Every way to take k of n tries of which c passed."""
    return list(itertools.combinations([True] * c + [False] * (n - c), k))


@pytest.mark.parametrize(("n", "c", "k"), CASES)
def test_pass_at_k_is_the_share_of_draws_with_a_pass(n, c, k):
    """Of all ways to take k of the tries, pass@k is the share in which at least one passed."""
    drawn = draws(n, c, k)
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, drawn)) / len(drawn), abs=1e-15)


@pytest.mark.parametrize(("n", "c", "k"), CASES)
def test_pass_hat_k_is_the_share_of_draws_without_a_failure(n, c, k):
    """Of all ways to take k of the tries, pass^k is the share in which every one passed."""
    drawn = draws(n, c, k)
    assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, drawn)) / len(drawn), abs=1e-15)


@pytest.mark.parametrize("n", [1, 3, 100])
def test_one_try_of_all_passed_or_none_is_exact(n):
    """Nothing passed is 0, everything passed is 1, and one try is the share that passed: no rounding shows."""
    for formula in (pass_at_k, pass_hat_k):
        assert [formula(n, 0, k) for k in (1, n)] == [0.0, 0.0]
        assert [formula(n, n, k) for k in (1, n)] == [1.0, 1.0]
    assert pass_hat_k(n, 1, 1) == 1 / n


def test_many_tries_do_not_overflow():
    """Thousands of tries make numbers beyond any float, and their quotient is one all the same."""
    assert pass_at_k(5000, 1, 2500) == 0.5
    assert pass_hat_k(5000, 4999, 2500) == 0.5


@pytest.mark.parametrize("formula", [pass_at_k, pass_hat_k])
@pytest.mark.parametrize(
    ("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 1, -1), (3, 4, 1), (3, -1, 1), (0, 0, 1), (0, 0, 0)]
)
def test_what_cannot_be_drawn_is_an_error(formula, n, c, k):
    """More than there is, nothing at all, or more passes than tries have no estimate."""
    with pytest.raises(ValueError, match="can be drawn"):
        formula(n, c, k)


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
def test_a_deviation_is_that_of_the_standard_library(count):
    """On any numbers, near or far from zero, it is `statistics.stdev`, which computes in fractions."""
    chance = random.Random(count)
    for middle, width in [(0, 1), (0.5, 0.5), (1e9, 1e-3), (-3, 1e-12), (0, 1e200)]:
        values = [chance.uniform(middle - width, middle + width) for _ in range(count)]
        assert sample_deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-9)


def test_a_deviation_divides_by_one_less_than_there_are():
    """One pass in two tries is spread by the root of a half, not by a half."""
    assert sample_deviation([0.0, 1.0]) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300, 0.0])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_equal_values_have_no_deviation(value, count):
    """What is always the same is not spread, not even by a rounding error."""
    assert sample_deviation([value] * count) == 0.0


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_no_deviation(values):
    """One value says nothing of how far another would be."""
    with pytest.raises(ValueError, match="two values or more"):
        sample_deviation(values)
