"""Each sentence of a gate on a drop, whole, and the numbers of pairs from which a drop can be significant."""

from __future__ import annotations

import dataclasses

import pytest
from judging import gate, ran, verdict

from evalwire.gates import DropPolicy
from evalwire.gates.comparison import compare_results
from evalwire.gates.judge import judge_gates

TWELVE = [0.5, 0.6] * 6


def drop(now, before, threshold=0.1, **changes):
    """Judge a drop of at most `threshold`."""
    return verdict(ran(*now), gate("max_drop", threshold, **changes), before=ran(*before))


@pytest.mark.parametrize(
    ("now", "before", "changes", "status", "text"),
    [
        (
            [0.1] * 12,
            [0.5] * 12,
            {},
            "failed",
            "s fell by 0.400 (0.500 to 0.100 over 12 pairs): a drop of at most 0.1 is allowed",
        ),
        (
            [0.5] * 12,
            [0.1] * 12,
            {},
            "passed",
            "s rose by 0.400 (0.100 to 0.500 over 12 pairs): within the 0.1 allowed",
        ),
        (TWELVE, TWELVE, {}, "passed", "s did not change (0.550 to 0.550 over 12 pairs): within the 0.1 allowed"),
        (
            [0.45] * 12,
            [0.5] * 12,
            {"is_relative": True},
            "passed",
            "s fell by 0.050 (0.500 to 0.450 over 12 pairs): within the 10 % allowed",
        ),
        (
            [0.1] * 12,
            [0.5] * 12,
            {"direction": "minimize"},
            "passed",
            "s fell by 0.400 (0.500 to 0.100 over 12 pairs): within the 0.1 allowed",
        ),
        (
            [0.5] * 12,
            [0.1] * 12,
            {"direction": "minimize"},
            "failed",
            "s rose by 0.400 (0.100 to 0.500 over 12 pairs): a drop of at most 0.1 is allowed",
        ),
        (
            [0.0, *[0.5] * 11],
            [0.5, 0.4, *[0.5] * 10],
            {},
            "passed",
            "s fell by 0.033 (0.492 to 0.458 over 12 pairs): within the 0.1 allowed",
        ),
        (
            [0.0, 1.0] * 6,
            [1.0, 0.4] * 6,
            {},
            "passed",
            "s fell by 0.200 (0.700 to 0.500 over 12 pairs): beyond the 0.1 allowed, but it may be chance",
        ),
        (
            [0.1],
            [0.5],
            {},
            "inconclusive",
            "s fell by 0.400 (0.500 to 0.100 over 1 pair): inconclusive, 1 pair cannot reach the significance 0.05",
        ),
        (
            [0.5] * 6,
            [0.5] * 6,
            {},
            "inconclusive",
            "s did not change (0.500 to 0.500 over 6 pairs): inconclusive, too few pairs",
        ),
    ],
)
def test_a_sentence_of_a_drop_is_whole(now, before, changes, status, text):
    its = drop(now, before, **changes)
    assert (its.status, its.text) == (status, text)


def test_few_pairs_name_the_drop_that_would_be_found():
    its = drop([0.4, 0.5, 0.3, 0.6, 0.5, 0.4], [0.5, 0.4, 0.4, 0.5, 0.6, 0.4])
    assert its.status == "inconclusive"
    found = compare_results(
        ran(0.4, 0.5, 0.3, 0.6, 0.5, 0.4), ran(0.5, 0.4, 0.4, 0.5, 0.6, 0.4), asked="auto"
    ).comparison("s")
    assert f"inconclusive, only a drop of {found.minimum_detectable:.3f} or more would be found" in its.text


@pytest.mark.parametrize(("good", "bad", "fewest"), [(True, False, 4), (0.9, 0.1, 5)])
def test_from_so_many_pairs_a_drop_on_each_is_significant(good, bad, fewest):
    """McNemar's mid-p of n pairs that all fell is 0.5^(n+1); the permutation test's p-value of n numbers is 0.5^n."""
    below = drop([bad] * (fewest - 1), [good] * (fewest - 1))
    assert (below.status, below.is_red) == ("inconclusive", False)
    said = f": inconclusive, {fewest - 1} pairs cannot reach the significance 0.05"
    assert below.text.endswith(said), "of one gate, nothing is corrected"
    assert (drop([bad] * fewest, [good] * fewest).status) == "failed"


def test_a_p_value_that_is_the_significance_is_significant():
    policy = DropPolicy(significance=0.5**5)
    assert drop([False] * 4, [True] * 4, drop_policy=policy).status == "failed"


def test_two_gates_are_corrected_and_named():
    found = ran(*[False] * 4)
    other = dataclasses.replace(found, name="other")
    gates = [gate("max_drop", 0.1), gate("max_drop", 0.1, experiment="other")]
    before = ran(*[True] * 4)
    baselines = {
        one.name: compare_results(one, dataclasses.replace(before, name=one.name), asked="auto")
        for one in (found, other)
    }
    first = judge_gates([found, other], gates, baselines=baselines, prices={})[0]
    assert first.status == "inconclusive"
    assert first.text.endswith("4 pairs cannot reach the significance 0.05, corrected over 2 drop gates")


def test_no_baseline_says_what_asks_for_one():
    policy = DropPolicy(on_no_baseline="fail")
    its = verdict(ran(0.5), gate("max_drop", 0.1, drop_policy=policy), baselines={})
    assert (its.status, its.is_red) == ("no baseline", True)
    assert its.text == 's: no baseline: none was asked for; on_no_baseline = "fail" asks for one'


def test_a_gate_that_can_never_fail_says_what_to_write():
    its = drop([0.4] * 12, [0.5] * 12, threshold=1.0)
    assert its.status == "failed"
    assert its.text.endswith("number such as 0.02, or a share of the baseline's mean such as '2%'.")
