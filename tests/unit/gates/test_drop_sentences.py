"""Each sentence of a gate on a drop, whole, and the numbers of pairs from which a drop can be significant."""

from __future__ import annotations

import dataclasses

import pytest
from applying import gate, ran, verdict
from reporting import evaluation, result, run

from evalwire.gates import DropPolicy
from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.gates.power import NOW, detectable_drop
from evalwire.model import Rescored

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
            "s rose by 0.400 (0.100 to 0.500 over 12 pairs): within the allowed 0.1",
        ),
        (TWELVE, TWELVE, {}, "passed", "s did not change (0.550 to 0.550 over 12 pairs): within the allowed 0.1"),
        (
            [0.45] * 12,
            [0.5] * 12,
            {"is_relative": True},
            "passed",
            "s fell by 0.050 (0.500 to 0.450 over 12 pairs): within the allowed 10% of the baseline",
        ),
        (
            [0.1] * 12,
            [0.5] * 12,
            {"direction": "minimize"},
            "passed",
            "s fell by 0.400 (0.500 to 0.100 over 12 pairs): within the allowed 0.1",
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
            (
                "s fell by 0.033 (0.492 to 0.458 over 12 pairs): within the allowed 0.1; the gate finds drops of 0.138 "
                "or more"
            ),
        ),
        (
            [0.0, 1.0] * 6,
            [1.0, 0.4] * 6,
            {},
            "passed",
            (
                "s fell by 0.200 (0.700 to 0.500 over 12 pairs): more than the allowed 0.1, but this may be chance; "
                "the gate finds drops of 0.644 or more"
            ),
        ),
        (
            [0.1],
            [0.5],
            {},
            "inconclusive",
            "s fell by 0.400 (0.500 to 0.100 over 1 pair): 1 pair cannot reach significance 0.05",
        ),
        (
            [0.5] * 6,
            [0.5] * 6,
            {},
            "inconclusive",
            "s did not change (0.500 to 0.500 over 6 pairs): too few pairs",
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
    least = detectable_drop(found, gate("max_drop", 0.1), NOW, drop_gates=1)
    assert its.minimum_detectable == least > found.minimum_detectable, "the drop exceeds the tolerance, too"
    assert f": only a drop of {least:.3f} or more could be detected" in its.text


@pytest.mark.parametrize(("good", "bad", "fewest"), [(True, False, 4), (0.9, 0.1, 5)])
def test_from_so_many_pairs_a_drop_on_each_is_significant(good, bad, fewest):
    """McNemar's mid-p of n pairs that all fell is 0.5^(n+1); the permutation test's p-value of n numbers is 0.5^n."""
    below = drop([bad] * (fewest - 1), [good] * (fewest - 1))
    assert (below.status, below.is_red) == ("inconclusive", False)
    said = f": {fewest - 1} pairs cannot reach significance 0.05"
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
    first = apply_gates([found, other], gates, baselines=baselines, prices={})[0]
    assert first.status == "inconclusive"
    assert first.text.endswith("4 pairs cannot reach significance 0.05 (corrected over 2 drop gates)")


def test_no_baseline_says_what_asks_for_one():
    policy = DropPolicy(on_no_baseline="fail")
    its = verdict(ran(0.5), gate("max_drop", 0.1, drop_policy=policy), baselines={})
    assert (its.status, its.is_red) == ("no baseline", True)
    assert its.text == 's: none was requested; on_no_baseline = "fail" requires a baseline'


def test_a_gate_that_can_never_fail_says_what_to_write():
    its = drop([0.4] * 12, [0.5] * 12, threshold=1.0)
    assert its.status == "failed"
    assert its.text.endswith("number such as 0.02, or a percentage of the baseline mean such as '2%'.")


@pytest.mark.parametrize(
    ("score", "reason"),
    [(True, "only a drop of 90.6 points or more could be detected"), (0.9, "4 pairs cannot reach significance 0.05")],
)
def test_where_nothing_changed_few_pairs_say_whether_more_of_a_drop_would_be_found(score, reason):
    """Four bools that all fall would be significant, at 0.5^5; four numbers, at 0.5^4, would not."""
    assert drop([score] * 4, [score] * 4).text.endswith(f": {reason}")


def test_a_significance_that_the_pairs_just_reach_is_reached():
    policy = DropPolicy(significance=0.5**5)
    assert drop([True] * 4, [True] * 4, drop_policy=policy).text.endswith(
        "only a drop of 98.0 points or more could be detected"
    )


# --- evaluators that were changed --------------------------------------------------------------------------


def changed(now, before, *, rescored=(), policy=None, error_rate=None, **fields):
    """Judge a drop where something was changed since the baseline."""
    found, earlier = ran(*now), ran(*before)
    baseline = dataclasses.replace(compare_results(found, earlier, asked="auto"), rescored=rescored, **fields)
    gates = [gate("max_drop", 0.1, drop_policy=policy or DropPolicy())]
    if error_rate is not None:
        gates.append(gate("max_error_rate", error_rate, evaluation=None))
    results = apply_gates([found], gates, baselines={"search": baseline}, prices={})
    return next(one for one in results if one.rule == "max_drop")


REFUSING = DropPolicy(on_evaluator_change="fail")
CHANGED = {"s": "changed: s.py"}
SAME = [0.5, 0.6] * 6


def test_an_evaluator_and_a_task_that_were_both_changed_are_refused():
    its = changed(SAME, SAME, policy=REFUSING, changed_evaluators=CHANGED, changed_task=("a.py", "task.py"))
    assert (its.status, its.is_red, its.rule) == ("failed", True, "max_drop")
    assert its.text == (
        "s cannot be compared: its evaluator (changed: s.py) and the task (changed: a.py, task.py) both changed; "
        'on_evaluator_change = "fail" requires separate changes'
    )


@pytest.mark.parametrize(
    ("policy", "evaluators", "task"),
    [(REFUSING, {}, ("task.py",)), (REFUSING, {"other": "changed: other.py"}, ("task.py",))],
)
def test_a_changed_task_alone_is_what_is_compared(policy, evaluators, task):
    its = changed(SAME, SAME, policy=policy, changed_evaluators=evaluators, changed_task=task)
    assert its.status == "passed"


@pytest.mark.parametrize(("policy", "task"), [(DropPolicy(), ()), (DropPolicy(), ("task.py",)), (REFUSING, ())])
def test_an_evaluator_that_has_not_scored_the_baseline_again_has_none(policy, task):
    its = changed(SAME, SAME, policy=policy, changed_evaluators=CHANGED, changed_task=task)
    assert (its.status, its.is_red) == ("no baseline", False)
    assert its.text == (
        "s: its evaluator differs from the baseline's (changed: s.py) and did not score the baseline's outputs again"
    )


def test_too_few_of_the_same_examples_are_no_baseline():
    fields = {"paired": 7, "examples": 10}
    its = changed(SAME, SAME, policy=DropPolicy(min_paired=0.8), **fields)
    assert its.status == "no baseline"
    assert its.text.startswith("s: only 7 of 10 examples are unchanged since ")
    assert its.text.endswith(", and min_paired requires 80%")
    assert changed(SAME, SAME, policy=DropPolicy(min_paired=0.7), **fields).status == "passed"


def again(failed, outputs=10, evaluation="s"):
    return Rescored(evaluator="s", evaluation=evaluation, reason="changed: s.py", outputs=outputs, failed=failed)


@pytest.mark.parametrize(
    ("rescored", "error_rate", "status"),
    [
        (again(0), None, "passed"),
        (again(2), None, "failed"),
        (again(2), 0.1, "failed"),
        (again(2, outputs=8), 0.2, "passed"),
        (again(2, evaluation="another"), None, "passed"),
    ],
)
def test_an_evaluator_that_fails_on_the_baselines_outputs_cannot_be_compared(rescored, error_rate, status):
    its = changed(SAME, SAME, rescored=(rescored,), error_rate=error_rate)
    assert (its.status, its.is_red) == (status, status == "failed")
    if status == "failed":
        allowed = "10%" if error_rate else "0%"
        assert its.text == (
            "s cannot be compared: its evaluator (changed: s.py) failed on 2 of the baseline's 12 outputs; "
            f"the limit is {allowed}"
        )


def test_what_lacks_a_score_on_a_side_is_counted_behind_the_sentence():
    found = ran(*SAME, None)
    its = verdict(found, gate("max_drop", 0.1), before=ran(*SAME, 0.5))
    assert "12 pairs" in its.text
    assert its.text.endswith("1 unchanged examples have no score in this run or in the baseline")


def test_the_interval_of_the_change_is_told():
    its = drop([0.1, 0.3] * 6, [0.5, 0.6] * 6)
    assert its.interval is not None
    assert its.interval.low < -0.35 < its.interval.high


@pytest.mark.parametrize(
    "fields",
    [
        {"changed_evaluators": CHANGED},
        {"paired": 1, "examples": 12},
        {"comparisons": ()},
    ],
)
def test_a_baseline_that_is_asked_for_and_lacks_something_is_red(fields):
    """But not on the base branch, where the next baseline comes from."""
    its = changed(SAME, SAME, policy=DropPolicy(on_no_baseline="fail"), **fields)
    assert (its.status, its.is_red) == ("no baseline", True)
    assert its.text.endswith('; on_no_baseline = "fail" requires a baseline')


def test_a_score_is_of_the_evaluator_that_gave_it():
    """An evaluator may give scores of several names."""
    runs = [run(n, evaluations=(evaluation("s", 0.5, evaluator="judge"),)) for n in range(12)]
    found = result("search", runs, evaluators=("judge",))
    baseline = compare_results(found, found, asked="auto")
    for evaluator, status in (("judge", "no baseline"), ("s", "passed")):
        lost = dataclasses.replace(baseline, changed_evaluators={evaluator: "changed: judge.py"})
        assert verdict(found, gate("max_drop", 0.1), baselines={"search": lost}).status == status


def test_a_gate_on_what_no_run_has_scored_names_the_scores():
    its = verdict(ran(0.5), gate("max_drop", 0.1, evaluation="other"), before=ran(0.5))
    assert (its.status, its.text) == ("failed", "other has no score; available scores: s")


def test_a_whole_point_is_allowed_where_scores_are_larger():
    assert drop([1.5] * 12, [1.5] * 12, threshold=1.0).status == "passed"
    assert drop([1.0] * 12, [1.0] * 12, threshold=1.0).status == "failed"


def test_the_strict_mode_says_nothing_of_significance():
    its = drop([0.5] * 3, [0.5] * 3, drop_policy=DropPolicy(mode="strict"))
    assert its.text == "s did not change (0.500 to 0.500 over 3 pairs): within the allowed 0.1"


def test_no_pair_is_told():
    before = result("search", [run(99, evaluations=(evaluation("s", 0.5),))], evaluators=("s",))
    its = verdict(ran(0.5), gate("max_drop", 0.1, drop_policy=DropPolicy(min_paired=0)), before=before)
    assert its.text == "s: no unchanged example has a score in both experiments"


def test_a_changed_evaluator_without_a_score_is_refused_too():
    its = changed([None] * 12, SAME, policy=REFUSING, changed_evaluators=CHANGED, changed_task=("task.py",))
    assert its.text.startswith("s cannot be compared: its evaluator (changed: s.py) and the task")
