"""The sign-flip test, held to counting every choice of signs, and to scipy."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import permutation
from evalwire.model.permutation import sign_flip
from evalwire.model.stats import holm


def p_by_counting(tenths: list[int]) -> float:
    """The exact p-value of gains in whole tenths: a sum is as low if what was flipped did not fall below 0."""
    flipped = Counter({0: 1})
    for gain in tenths:
        before, flipped = flipped, Counter()
        for total, ways in before.items():
            flipped[total] += ways
            flipped[total + gain] += ways
    return sum(ways for total, ways in flipped.items() if total >= 0) / 2 ** len(tenths)


@given(st.lists(st.integers(-10, 10), max_size=12))
def test_a_sign_flip_is_a_count_of_all_signs(tenths):
    """Tenths are no exact floats, and their sums that are equal count as equal all the same."""
    assert sign_flip([gain / 10 for gain in tenths]) == pytest.approx(p_by_counting(tenths), rel=1e-12)


@pytest.mark.parametrize("count", [2, 5, 12])
def test_an_exact_sign_flip_is_scipys(count):
    """Of continuous gains, for which scipy counts all signs too."""
    import scipy.stats

    chance = random.Random(count)
    gains = [chance.gauss(-0.3, 1) for _ in range(count)]
    expected = scipy.stats.permutation_test(
        (gains,), statistics.fmean, permutation_type="samples", alternative="less", n_resamples=math.inf
    )
    assert sign_flip(gains) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("count", [23, 24, 25, 31, 32, 33, 100])
def test_a_drawn_sign_flip_is_near_the_exact_one(count):
    """Within four standard errors of the drawing, on both sides of where counting ends and whole bytes begin."""
    chance = random.Random(count)
    tenths = [chance.choice([-7, -3, -2, -1, 1, 2, 5]) for _ in range(count)]
    exact = p_by_counting(tenths)
    error = 0.0 if count <= 24 else math.sqrt(exact * (1 - exact) / 10_000)
    assert 0.001 < exact < 0.9
    assert sign_flip([gain / 10 for gain in tenths]) == pytest.approx(exact, abs=4 * error + 1e-12)


@pytest.mark.parametrize("count", [25, 40, 100, 400])
def test_a_p_value_that_no_draw_reaches_is_bounded_by_the_tail(count):
    """Where all became worse by the same, the exact one is 1/2 to the power of their number."""
    exact = 0.5**count
    assert exact <= sign_flip([-0.8] * count) <= exact * 1.01


@pytest.mark.parametrize("count", [30, 60, 120])
@pytest.mark.parametrize("fallen", [0.75, 0.85, 0.95])
def test_no_p_value_beyond_the_draws_is_below_the_exact_one(count, fallen):
    """However the tenths lie: the bound is one, and further draws are near it."""
    chance = random.Random(count)
    tenths = [chance.choice([-9, -5, -1]) if n < count * fallen else chance.choice([1, 5]) for n in range(count)]
    exact, found = p_by_counting(tenths), sign_flip([gain / 10 for gain in tenths])
    if found < 1 / 200_001:  # by the bound alone
        assert exact <= found
    assert found <= max(exact * 30, exact + 4 * math.sqrt(exact / 10_000) + 2e-4)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=30), st.floats(0, 1))
def test_the_bound_of_a_tail_is_never_below_it(tenths, share):
    """Of sums as high as any share of the highest."""
    excess = share * sum(tenths)
    sums = Counter({0: 1})
    for size in tenths:
        before, sums = sums, Counter()
        for total, ways in before.items():
            sums[total + size] += ways
            sums[total - size] += ways
    exact = sum(ways for total, ways in sums.items() if total >= excess) / 2 ** len(tenths)
    assert exact <= permutation._tail_bound([float(size) for size in tenths], excess) * (1 + 1e-9)


def test_five_hundred_gates_that_all_fell_are_all_significant():
    """By draws alone none of them could be: each would have 505 times 1/10,001."""
    assert max(holm([sign_flip([-0.8] * 40)] * 505)) < 1e-6


def test_a_drawn_sign_flip_is_near_scipys():
    """Of many continuous gains, within four standard errors of both drawings."""
    import scipy.stats

    chance = random.Random(1)
    gains = [chance.expovariate(1) - 1.07 for _ in range(500)]
    drawn = scipy.stats.permutation_test(
        (gains,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        alternative="less",
        vectorized=True,
        n_resamples=9_999,
        rng=1,
    )
    error = math.sqrt(2 * drawn.pvalue * (1 - drawn.pvalue) / 10_000)
    assert 0.01 < drawn.pvalue < 0.2
    assert sign_flip(gains) == pytest.approx(drawn.pvalue, abs=4 * error)


GAINS = st.lists(st.floats(-1, 1, allow_subnormal=False), max_size=14)


@given(GAINS, st.integers(0, 13), st.floats(0, 1))
def test_a_sign_flip_rises_with_every_gain(gains, index, more):
    """It is a probability above 0, and a better example never makes it smaller."""
    p = sign_flip(gains)
    assert 0 < p <= 1
    better = [gain + more * (place == index) for place, gain in enumerate(gains)]
    assert sign_flip(better) >= p - 1e-12


@given(GAINS, st.randoms(use_true_random=False), st.sampled_from([0.25, 8, 1024]))
def test_a_sign_flip_depends_on_neither_order_nor_unit_nor_what_stayed(gains, chance, unit):
    """Shuffled, in another unit, and among examples that did not change, it is the same."""
    gains = [round(gain, 3) for gain in gains]
    shuffled = [gain * unit for gain in gains] + [0.0] * 5
    chance.shuffle(shuffled)
    assert sign_flip(shuffled) == sign_flip(gains)


def test_a_drawn_sign_flip_depends_on_its_seed_alone():
    """The same gains in any order have the same p-value in every run, and another seed another one nearby."""
    chance = random.Random(3)
    gains = [chance.gauss(-0.1, 1) for _ in range(101)]
    p = sign_flip(gains)
    assert sign_flip(gains[::-1]) == p
    assert 0 < abs(sign_flip(gains, seed=1) - p) < 0.03


def test_a_drawn_sign_flip_is_never_0():
    """The signs that were seen are one of all the ways."""
    assert sign_flip([-1.0] * 1000, draws=99) < 1e-290
    assert sign_flip([1.0] * 1000, draws=99) == 1.0


@pytest.mark.parametrize("gains", [[], [0.0], [0.0] * 100, [0.1 + 0.2 - 0.3] * 50, [-5e-17] * 50])
def test_no_gain_is_no_surprise(gains):
    """Nothing that changed, or nothing but rounding errors, is a p-value of 1."""
    assert sign_flip(gains) == 1.0


def test_a_p_value_takes_a_draw():
    """None would divide 1 by 1, and pass for an answer."""
    with pytest.raises(ValueError, match="0 draws"):
        sign_flip([1.0], draws=0)


LATTICES = [[1], [1, 2], [3, 7], [2, 4, 6, 7], [4, 6, 9], [5, 10, 15, 1], [*range(1, 13)], [10] * 20 + [1]]


def p_of_many(numbers: list[int]) -> float:
    """The exact p-value of hundreds of whole gains: in one number, a digit for each sum counts the choices of signs."""
    width = len(numbers) + 1
    counts = 1
    for number in numbers:
        counts += counts << (width * abs(number))
    highest = (sum(map(abs, numbers)) + sum(numbers)) // 2  # sum of the sizes with a plus, of which the sum is twice
    low = counts & ((1 << (width * (highest + 1))) - 1)
    return low % ((1 << width) - 1) / (1 << len(numbers))


def of_both_signs(chance: random.Random, sizes: list[int], count: int, fallen: float) -> list[int]:
    return [chance.choice(sizes) * (-1 if chance.random() < fallen else 1) for _ in range(count)]


def test_one_number_counts_as_many_choices_as_a_table():
    chance = random.Random(1)
    for sizes in LATTICES:
        numbers = of_both_signs(chance, sizes, 40, 0.6)
        assert p_of_many(numbers) == pytest.approx(p_by_counting(numbers), rel=1e-12)


@pytest.mark.parametrize("count", [501, 502, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sizes", LATTICES, ids=str)
def test_a_computed_sign_flip_is_a_count_of_all_signs(count, sizes):
    """Of more gains than are drawn, in twentieths, which are no exact floats: at any height down to a billionth."""
    chance = random.Random(count)
    for fallen in (0.48, 0.52, 0.55, 0.58, 0.6):
        numbers = of_both_signs(chance, sizes, count, fallen)
        exact, found = p_of_many(numbers), sign_flip([number * 0.05 for number in numbers])
        if exact >= 1e-9:
            assert found == pytest.approx(exact, abs=1e-11)
        else:
            assert exact <= found <= 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_computed_sign_flip_of_any_gains_is_near_the_drawn_one(seed, monkeypatch):
    """Of skewed gains without a common unit, and with a few that are far larger: within four standard errors."""
    chance = random.Random(seed)
    gains = [chance.expovariate(1) - 1.04 for _ in range(900)] + [chance.gauss(0, 9) for _ in range(3 * seed)]
    computed = sign_flip(gains)
    monkeypatch.setattr(permutation, "_DRAWN", len(gains))
    drawn = sign_flip(gains, draws=20_000)
    assert 0.001 < computed < 0.999
    assert computed == pytest.approx(drawn, abs=4 * math.sqrt(computed * (1 - computed) / 20_000))


@pytest.mark.slow
def test_rounding_to_a_unit_hardly_changes_a_p_value(monkeypatch):
    """Near 0.05 by less than 0.0003, and nowhere by 0.001, as a unit shows that is a quarter."""
    samples = []
    for seed in (0, 1, 2, 3, 4, 17):
        chance = random.Random(seed)
        samples.append([chance.gauss(-0.055, 1) for _ in range(700)])
    found = [sign_flip(gains) for gains in samples]
    monkeypatch.setattr(permutation, "_UNITS", 1024)
    finer = [sign_flip(gains) for gains in samples]
    assert found != finer
    assert found == pytest.approx(finer, abs=1e-3)
    near = [(p, other) for p, other in zip(found, finer, strict=True) if 0.02 < p < 0.1]
    assert len(near) == 4
    assert all(abs(p - other) < 3e-4 for p, other in near)


def test_a_computed_sign_flip_has_no_chance():
    """Another order, another seed, another unit or more examples that stayed: each time the same p-value."""
    chance = random.Random(7)
    gains = [chance.gauss(-0.03, 1) for _ in range(600)]
    p = sign_flip(gains)
    shuffled = [gain * 1024 for gain in gains] + [0.0] * 50
    chance.shuffle(shuffled)
    assert sign_flip(shuffled, draws=5, seed=9) == p
    assert sign_flip([1e300 * gain for gain in gains]) == pytest.approx(p, abs=1e-9)
    assert sign_flip([-gain for gain in gains]) == pytest.approx(1 - p, abs=3e-4)  # ties count on both sides


@pytest.mark.parametrize("count", [501, 5000])
@pytest.mark.parametrize("gain", [-1.0, -0.1])
def test_many_gains_far_beyond_chance_have_the_bound_of_their_tail(count, gain):
    """All became worse: the exact p-value is 1/2 to the power of their number, or less than a float can be."""
    exact = 0.5**count
    assert exact < sign_flip([gain] * count) <= max(exact * 1.01, 1e-300)
    assert sign_flip([-gain] * count) == 1.0


def test_gains_that_outweigh_hundreds_of_others_are_drawn():
    """A unit of the small ones would make the large ones so many units that computing takes longer than drawing."""
    chance = random.Random(8)
    gains = [chance.gauss(-0.05, 1) for _ in range(600)] + [-1e5]
    p = sign_flip(gains)
    assert 0 < abs(sign_flip(gains, seed=1) - p) < 0.03
    assert p == pytest.approx(sign_flip(gains[:-1]) / 2, abs=0.02)


@pytest.mark.slow
def test_a_computed_sign_flip_of_equal_systems_is_rarely_significant():
    """At each level as often as the level says, within three standard errors."""
    chance = random.Random(9)
    tries = 400
    found = [sign_flip([chance.random() ** 2 - chance.random() ** 2 for _ in range(550)]) for _ in range(tries)]
    for level in (0.01, 0.05, 0.5):
        rate = sum(p <= level for p in found) / tries
        assert rate == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / tries))
