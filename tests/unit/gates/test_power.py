"""The drop that a gate would find, now and with a larger sample."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from applying import gate, mixed, ran

from evalwire.gates import DropPolicy
from evalwire.gates.comparison import compare_results
from evalwire.gates.power import SampleSize, detectable_drop, reach_of
from evalwire.model import DropTest, minimum_detectable_change, sample_deviation, sign_flip
from evalwire.model.stats import student_t_quantile

NOW = SampleSize()


def compared(before, after):
    return compare_results(ran(*after), ran(*before), asked="auto").comparison("s")


def noisy(n, *, seed=1, drop=0.0):
    chance = random.Random(seed)
    level = [chance.random() for _ in range(n)]
    return ([each + chance.gauss(0, 0.1) for each in level], [each - drop + chance.gauss(0, 0.1) for each in level])


def test_without_a_tolerance_it_is_the_minimum_detectable_drop_at_the_corrected_level():
    before, after = noisy(60)
    found = compared(before, after)
    gains = [found.gain(pair) for pair in found.pairs]
    expected = minimum_detectable_change(gains, is_bool=False, significance=0.05 / 4)
    assert detectable_drop(found, gate("max_drop", 0.0), NOW, drop_gates=4) == pytest.approx(expected)


def test_a_drop_has_to_exceed_the_tolerance_too():
    found = compared(*noisy(60))
    without, tolerant = (detectable_drop(found, gate("max_drop", limit), NOW, drop_gates=1) for limit in (0.0, 0.2))
    assert without < 0.2 < tolerant < 0.25


@pytest.mark.parametrize("size", [SampleSize(examples=2), SampleSize(repetitions=2)])
def test_twice_the_runs_find_a_drop_that_is_smaller_by_the_root_of_two(size):
    found = compared(*noisy(60))
    now, later = (detectable_drop(found, gate("max_drop", 0.0), each, drop_gates=1) for each in (NOW, size))
    assert now / later == pytest.approx(2**0.5, rel=0.03)
    assert size.runs == 2


def test_four_of_five_simulated_runs_find_the_drop():
    found = compared(*noisy(40, seed=3))
    drop = detectable_drop(found, gate("max_drop", 0.0), NOW, drop_gates=1)
    hits = []
    for seed in range(400):
        before, after = noisy(40, seed=100 + seed, drop=drop)
        hits.append(sign_flip([b - a for a, b in zip(before, after, strict=True)], draws=499) <= 0.05)
    assert 0.7 <= fmean(hits) <= 0.9


def test_too_few_pairs_find_nothing():
    assert detectable_drop(compared([0.5], [0.5]), gate("max_drop", 0.0), NOW, drop_gates=1) is None
    assert detectable_drop(compared([1.0, 0.5], [0.5, 1.0]), gate("max_drop", 0.0), NOW, drop_gates=1) is None


def test_two_pairs_are_enough_for_a_lax_gate():
    lax = gate("max_drop", 0.0, drop_policy=DropPolicy(significance=0.3))
    assert detectable_drop(compared([1.0, 0.5], [0.5, 1.0]), lax, NOW, drop_gates=1) > 0


def test_the_noise_of_repeated_runs_is_that_of_their_means():
    before, after = (mixed(*scores, repetitions=2) for scores in noisy(60))
    found = compare_results(after, before, asked="auto").comparison("s")
    gains = [found.gain(pair) for pair in found.pairs]
    expected = minimum_detectable_change(gains, is_bool=False, repetitions=2)
    assert len(gains) == 30
    assert detectable_drop(found, gate("max_drop", 0.0), NOW, drop_gates=1) == pytest.approx(expected)


def test_scores_that_show_half_of_a_drop_show_half_of_the_allowed_drop():
    found = compared(*noisy(60))
    of_half = reach_of(found, gate("max_drop", 0.4), drop_gates=1, slope=0.5).smallest
    assert of_half == pytest.approx(reach_of(found, gate("max_drop", 0.2), drop_gates=1).smallest / 0.5)


def test_repetitions_of_what_never_changes_find_more_too():
    """Twice the same bools: after a drop, the failures themselves are by chance."""
    found = compared([True] * 90 + [False] * 10, [True] * 90 + [False] * 10)
    now, repeated = (
        detectable_drop(found, gate("max_drop", 0.0), size, drop_gates=1) for size in (NOW, SampleSize(repetitions=3))
    )
    assert 0.04 < now < 0.065
    assert now / 3 < repeated < now / 2


def test_bools_that_run_once_have_the_drop_of_mcnemars_test():
    """Means over repetitions of bools are numbers."""
    chance = random.Random(4)
    before, after = ([chance.random() < 0.7 for _ in range(60)] for _ in range(2))
    found = compared(before, after)
    gains = [found.gain(pair) for pair in found.pairs]
    once, as_numbers = (minimum_detectable_change(gains, is_bool=is_bool) for is_bool in (True, False))
    assert once != as_numbers
    asked = gate("max_drop", 0.0)
    assert detectable_drop(found, asked, NOW, drop_gates=1) == once
    twice = DropTest(deviation=sample_deviation(gains), is_bool=True).smallest_drop(examples=60, repetitions=2)
    assert detectable_drop(found, asked, SampleSize(repetitions=2), drop_gates=1) == twice < once


def test_a_strict_gate_finds_what_exceeds_its_tolerance_without_being_significant():
    found = compared(*noisy(60))
    drops = [
        detectable_drop(found, gate("max_drop", 0.0, drop_policy=DropPolicy(mode=mode)), NOW, drop_gates=1)
        for mode in ("strict", "significant")
    ]
    gains = [found.gain(pair) for pair in found.pairs]
    error = sample_deviation(gains) / 60**0.5
    assert drops[0] == pytest.approx(student_t_quantile(0.8, 59) * error)
    assert drops[1] > 2 * drops[0]


def test_a_relative_tolerance_is_of_the_mean_before():
    before, after = noisy(60)
    found = compared(before, after)
    relative = gate("max_drop", 0.5, is_relative=True)
    same = gate("max_drop", 0.5 * fmean(before))
    drops = [detectable_drop(found, asked, NOW, drop_gates=1) for asked in (relative, same)]
    assert drops[0] == pytest.approx(drops[1])
    nothing = [abs(each) for each in before]
    of_zero = compared([0.0] * 60, nothing)
    at_zero = [detectable_drop(of_zero, asked, NOW, drop_gates=1) for asked in (relative, gate("max_drop", 0.0))]
    assert at_zero[0] == at_zero[1]
