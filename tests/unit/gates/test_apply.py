"""What each gate comes to: at its limit, just beyond it, and where there is nothing to judge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from applying import BECAUSE, NA, NOT_YET, gate, mixed, ran, said, verdict
from nightly import mostly_nightly
from reporting import BEGAN, boolean, evaluation, failure, red_report, result, run

from evalwire.errors import UsageError
from evalwire.gates import DropPolicy, Gate
from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.gates.drops import check_drop
from evalwire.model.baseline import Baseline, Interval
from evalwire.model.gates import GateResult
from evalwire.model.prices import Price
from evalwire.model.result import ExperimentResult
from evalwire.model.stats import mean_interval, percentile, wilson_interval
from evalwire.model.usage import ModelUsage


def of_all(rule: str, threshold: float) -> Gate:
    return gate(rule, threshold, evaluation=None)


BOOLS = ran(*[True] * 8, False, False)
GRADED = ran(0.2, 0.4, 0.6)


# --- limits on one evaluation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "rule", "holds", "breaks"),
    [
        (BOOLS, "min", 0.8, 0.8001),
        (BOOLS, "max", 0.8, 0.7999),
        (BOOLS, "min_pass_rate", 0.8, 0.8001),
        (BOOLS, "max_pass_rate", 0.8, 0.7999),
        (BOOLS, "min_examples", 10, 11),
        (GRADED, "min", 0.4, 0.4001),
        (GRADED, "max", 0.4, 0.3999),
        (GRADED, "min_examples", 3, 4),
    ],
)
def test_a_limit_holds_at_its_value_and_breaks_just_beyond(found, rule, holds, breaks):
    for threshold, is_red in ((holds, False), (breaks, True)):
        its = verdict(found, gate(rule, threshold))
        assert (its.is_red, its.status) == (is_red, "failed" if is_red else "passed")
        assert its.value == pytest.approx(holds)
        assert (f"{threshold * 100:g}%" if found is BOOLS and rule != "min_examples" else f"{threshold:g}") in its.text


def test_a_share_just_beyond_its_limit_reads_differently_from_the_limit():
    found = ran(*[True] * 2399, *[False] * 601)
    assert "pass rate 79.97% is below 80%" in verdict(found, gate("min", 0.8)).text
    assert "mean 0.3997 is below 0.4" in verdict(ran(0.1997, 0.3997, 0.5997), gate("min", 0.4)).text


def test_a_rounding_error_breaks_no_limit():
    assert not verdict(ran(*[0.1] * 3, 0.7), gate("min", 0.25)).is_red
    assert not verdict(ran(0.1 + 0.2), gate("max", 0.3)).is_red


def test_a_rate_has_wilsons_interval_also_when_all_passed():
    its = verdict(BOOLS, gate("min", 0.5))
    low, high = wilson_interval(8, 10)
    assert its.interval == Interval(low=low, high=high, method="Wilson")
    assert f"95% interval {low:.1%} to {high:.1%}" in its.text
    assert verdict(ran(True, True), gate("min", 0.5)).interval.low < 0.9


def test_a_mean_has_students_interval_over_examples():
    scores = [0.2, 0.3, 0.4] * 5
    low, high = mean_interval(scores)
    assert verdict(ran(*scores), gate("min", 0.1)).interval == Interval(low=low, high=high, method="t")


def test_an_interval_stays_between_the_scores_that_are_possible():
    found = verdict(ran(0.2, 0.9, 1.0), gate("min", 0.1)).interval
    assert (found.high, found.low >= 0) == (1, True)
    assert verdict(ran(0.2, 0.9, 1.1), gate("min", 0.1)).interval.high > 1.1, "these scores are not shares"


@pytest.mark.parametrize("scores", [(0.5,), (0.5, 0.5, 0.5)])
def test_scores_that_do_not_differ_have_no_interval(scores):
    assert verdict(ran(*scores), gate("min", 0.5)).interval is None


def test_a_rate_of_repeated_runs_has_students_interval_over_examples():
    runs = [run(n, repetition=r, **said(n * r < 3)) for n in range(4) for r in (1, 2)]
    found = result("search", runs, evaluators=("s",), repetitions=2)
    low, high = mean_interval([1.0, 1.0, 0.5, 0.0])
    its = verdict(found, gate("min", 0.1))
    assert its.value == pytest.approx(5 / 8)
    assert its.interval == Interval(low=low, high=high, method="t").within(0, 1)


def test_a_failed_run_stays_in_the_denominator_of_a_bool_and_is_named():
    its = verdict(ran(True, True, True, None), gate("min", 0.8))
    assert (its.value, its.is_red) == (0.75, True)
    assert "1 of 4 runs have no score and count as not passed" in its.text
    low, high = wilson_interval(3, 4)
    assert its.interval == Interval(low=low, high=high, method="Wilson")


def test_a_run_that_was_not_made_did_not_pass():
    its = verdict(ran(True, True, True, example_count=4), gate("min", 0.8))
    assert (its.value, its.is_red) == (0.75, True)
    assert "1 of 4 runs have no score" in its.text


def test_a_failed_run_has_no_place_in_a_mean_and_is_named():
    its = verdict(ran(0.5, 0.7, None, example_count=4), gate("min", 0.6))
    assert (its.value, its.is_red) == (pytest.approx(0.6), False)
    assert "2 of 4 runs have no score and do not count in the mean" in its.text


def test_where_nothing_lacks_nothing_is_said_to():
    assert "have no score" not in verdict(GRADED, gate("min", 0.1)).text
    assert "have no score" not in verdict(BOOLS, gate("min", 0.1)).text


def test_a_failed_run_is_no_scored_example():
    assert verdict(ran(0.5, 0.7, None), gate("min_examples", 3)).is_red


def test_a_failed_run_fails_a_bool_and_is_no_scored_example_all_the_same():
    found = ran(True, False, None)
    assert verdict(found, gate("min_pass_rate", 0)).value == pytest.approx(1 / 3)
    assert verdict(found, gate("min_examples", 3)).value == 2


def test_only_rates_are_shown_as_rates_and_only_a_tolerance_can_be_relative():
    found = ran(0.5, 0.7)
    for asked, is_rate, is_relative in (
        (gate("min", 0.5), False, False),
        (gate("min", 0.5, is_relative=True), False, False),
        (gate("min", 0.5, evaluation="other"), False, False),
        (gate("max_p95_seconds", 9.0, evaluation=None), False, False),
        (gate("max_error_rate", 0.5, evaluation=None), True, False),
        (gate("max_drop", 0.5), False, False),
        (gate("max_drop", 0.5, is_relative=True), False, True),
    ):
        its = verdict(found, asked, before=ran(0.5, 0.7))
        assert (its.is_rate, its.is_relative) == (is_rate, is_relative), asked


def test_a_value_that_is_the_limit_has_no_more_decimals_than_another():
    assert "s pass rate 50.0% is at least 50% " in verdict(ran(True, False), gate("min_pass_rate", 0.5)).text


@pytest.mark.parametrize("rule", ["min", "max", "min_pass_rate", "max_pass_rate", "max_drop"])
@pytest.mark.parametrize("found", [ran("good", "bad"), ran(None, None)])
def test_an_evaluation_without_scores_breaks_every_limit(found, rule):
    its = verdict(found, gate(rule, 0), before=ran(0.5, 0.5))
    assert (its.is_red, its.value) == (True, None)
    assert "s has no score" in its.text


def test_an_evaluation_that_nobody_gave_breaks_its_limit_and_those_there_are_are_named():
    for rule in ("min", "min_examples"):
        its = verdict(GRADED, gate(rule, 0, evaluation="other"))
        assert (its.is_red, its.text) == (True, "other has no score; available scores: s")
    both = result("search", [run(1, evaluations=(evaluation("s", 0.5), evaluation("t", 0.5), NA))], evaluators=("s",))
    asked = gate("min", 0, evaluation="other")
    assert verdict(both, asked).text == "other has no score; available scores: s, t"
    assert verdict(ran("good", "bad"), asked).text == "other has no score"


@pytest.mark.parametrize("rule", ["min_pass_rate", "max_pass_rate"])
def test_a_graded_score_has_no_pass_rate(rule):
    its = verdict(ran(1.0, 0.0), gate(rule, 0.5))
    assert (its.is_red, its.value) == (True, None)
    assert "no pass rate" in its.text


# --- scores that are missing, and what does not apply -------------------------------------------------


def test_a_mean_over_labels_without_a_score_is_red_and_says_how_many_there_are():
    found = mixed(1.0, *["N/A"] * 19)
    its = verdict(found, gate("min", 0.9))
    assert (its.is_red, its.status, its.value) == (True, "failed", 1.0)
    assert its.text == (
        "s mean 1.000 is at least 0.9, but 19 of 20 runs have no score and do not count in the mean; 19 of them have a "
        'label but no score: return a score or evalwire.NOT_APPLICABLE, or set missing = "ignore"'
    )
    assert verdict(found, gate("max", 1)).is_red
    below = verdict(found, gate("min", 1.5))
    assert "is below 1.5; 19 of 20 runs have no score" in below.text


def test_missing_scores_are_ignored_where_that_is_asked_for_and_are_told():
    its = verdict(mixed(1.0, *["N/A"] * 19), gate("min", 0.9, missing="ignore"))
    assert (its.is_red, its.value) == (False, 1.0)
    assert its.text == "s mean 1.000 is at least 0.9; 19 of 20 runs have no score and do not count in the mean"


def test_a_label_without_a_score_is_no_scored_example():
    its = verdict(mixed(1.0, *["N/A"] * 19), gate("min_examples", 20))
    assert (its.is_red, its.value) == (True, 1)
    assert its.text == "s has scores for 1 example, fewer than 20; 19 of 20 runs have no score"
    assert not verdict(mixed(*["good", "bad"]), gate("min_examples", 2)).is_red, "of labels alone, these count"


def test_a_bool_beside_labels_without_a_score_has_a_pass_rate_and_these_did_not_pass():
    found = mixed(BECAUSE, *["N/A"] * 19)
    for rule in ("min", "min_pass_rate"):
        its = verdict(found, gate(rule, 0.9))
        assert (its.is_red, its.value) == (True, 0.05)
        assert "19 of 20 runs have no score and count as not passed" in its.text
    assert verdict(found, gate("max_pass_rate", 0.9)).value == 1.0
    ignored = verdict(mixed(BECAUSE, *["N/A"] * 18, None), gate("min_pass_rate", 0.5, missing="ignore"))
    assert (ignored.is_red, ignored.value) == (False, 0.5), "a failed run never leaves the rate"
    assert "1 of 20 runs have no score and count as not passed; 18 of 20 runs have a label but no score" in ignored.text
    low, high = wilson_interval(1, 2)
    assert ignored.interval == Interval(low=low, high=high, method="Wilson")


def test_a_failed_run_among_missing_scores_is_judged_by_the_limit_on_errors_alone():
    assert not verdict(mixed(0.5, None), gate("min", 0.5)).is_red


def test_a_bool_with_an_explanation_has_a_pass_rate_with_wilsons_interval_and_its_failed_run():
    its = verdict(mixed(*[BECAUSE] * 18, NOT_YET, None), gate("min_pass_rate", 0.9))
    assert (its.is_red, its.value) == (False, 0.9)
    low, high = wilson_interval(18, 20)
    assert its.interval == Interval(low=low, high=high, method="Wilson")


def test_numbers_that_happen_to_be_0_and_1_have_a_mean():
    its = verdict(mixed(1.0, 0.0), gate("min_pass_rate", 0.5))
    assert its.is_red
    assert 'return a bool: True, (True, "why") or {"score": True}' in its.text
    assert verdict(mixed(1.0, 0.0), gate("min", 0.5)).text.startswith("s mean 0.500")


@pytest.mark.parametrize(
    ("rule", "value"), [("min", 0.5), ("min_pass_rate", 0.5), ("max_pass_rate", 0.5), ("min_examples", 2)]
)
def test_what_does_not_apply_is_in_no_rate_and_no_count(rule, value):
    its = verdict(mixed(BECAUSE, NA, NOT_YET, NA), gate(rule, value))
    assert (its.is_red, its.value) == (False, value)
    assert "it does not apply to 2 of 4 runs" in its.text
    if rule != "min_examples":
        low, high = wilson_interval(1, 2)
        assert its.interval == Interval(low=low, high=high, method="Wilson")


def test_what_does_not_apply_is_in_no_mean():
    its = verdict(mixed(0.2, NA, 0.4), gate("min", 0.3))
    assert (its.is_red, its.value) == (False, pytest.approx(0.3))
    assert its.text.endswith("; it does not apply to 1 of 3 runs")


@pytest.mark.parametrize(
    "rule", ["min", "max", "min_pass_rate", "max_pass_rate", "min_examples", "max_label_share", "max_drop"]
)
@pytest.mark.parametrize("missing", ["fail", "ignore"])
def test_a_gate_of_which_nothing_applies_fails(rule, missing):
    asked = gate(rule, 0, label="x" if rule == "max_label_share" else None, missing=missing)
    for found in (mixed(NA, NA), mixed(NA, NA, None)):
        its = verdict(found, asked)
        assert its.is_red
        assert "s applies to none of 2 runs" in its.text


def test_repetitions_that_do_not_apply_leave_the_rest_of_their_example():
    its = verdict(mixed(BECAUSE, NA, NA, NA, NOT_YET, BECAUSE, repetitions=2), gate("min", 0.5))
    assert its.value == pytest.approx(2 / 3)
    low, high = mean_interval([1.0, 0.5])
    assert its.interval == Interval(low=low, high=high, method="t").within(0, 1)


# --- drops over what is missing -----------------------------------------------------------------------


def test_a_drop_over_labels_without_a_score_is_red():
    before, found = mixed(*[0.9] * 20), mixed(*[0.9] * 12, *["N/A"] * 8)
    its = verdict(found, gate("max_drop", 0.1), before=before)
    assert (its.is_red, its.status) == (True, "failed")
    assert its.text.endswith(
        ", but 8 of 20 runs have a label but no score: return a score or evalwire.NOT_APPLICABLE, "
        'or set missing = "ignore"'
    )
    assert not verdict(found, gate("max_drop", 0.1, missing="ignore"), before=before).is_red
    assert not verdict(before, gate("max_drop", 0.1), before=found).is_red, "the baseline lacks them"
    assert verdict(found, gate("max_drop", 0.1)).is_red, "without a baseline, too"


def test_a_drop_over_bools_without_a_score_is_judged_as_a_drop():
    """What is missing did not pass."""
    before, found = mixed(*[BECAUSE] * 20), mixed(*[BECAUSE] * 10, *["N/A"] * 10)
    its = verdict(found, gate("max_drop", 0.1), before=before)
    assert (its.is_red, its.value) == (True, 0.5)
    assert verdict(mixed(*[BECAUSE] * 19, "N/A"), gate("max_drop", 0.1), before=before).status == "passed"


@pytest.mark.parametrize("swapped", [False, True])
def test_an_example_that_it_applies_to_on_one_side_only_is_missing(swapped):
    found, before = mixed(*[0.9] * 12, *[NA] * 3, NA), mixed(*[0.9] * 15, NA)
    found, before = (before, found) if swapped else (found, before)
    its = verdict(found, gate("max_drop", 0.1), before=before)
    assert its.is_red
    assert "3 unchanged examples have no score in this run or in the baseline" in its.text
    assert (
        'it applies to 3 examples in either this run or the baseline, but not in both; set missing = "ignore"'
        in its.text
    )
    assert not verdict(found, gate("max_drop", 0.1, missing="ignore"), before=before).is_red


def test_a_drop_that_failed_does_not_say_that_scores_are_missing():
    found, before = mixed(*[0.1] * 12, *[NA] * 3), mixed(*[0.9] * 15)
    its = verdict(found, gate("max_drop", 0.1), before=before)
    assert (its.is_red, its.value) == (True, pytest.approx(0.8))
    assert "applies to" not in its.text


# --- shares of labels ----------------------------------------------------------------------------------


LABELS = mixed(*["correct"] * 17, *["incorrect"] * 3)


@pytest.mark.parametrize(
    ("found", "side", "label", "holds", "breaks"),
    [
        (LABELS, "max", "incorrect", 0.15, 0.1499),
        (LABELS, "min", "correct", 0.85, 0.8501),
        (LABELS, "max", "other", 0.0, None),
        (LABELS, "min", "other", None, 0.01),
        (mixed("a", "b", None, example_count=4), "max", "a", 0.75, 0.7499),  # what is missing counts as limited
        (mixed("a", "b", None, example_count=4), "min", "a", 0.25, 0.2501),
        (mixed("a", "b", NA), "max", "a", 0.5, 0.4999),
        (mixed("a", 0.5), "max", "a", 0.5, 0.4999),  # a score without a label has another label than this
        (mixed(True, False), "min", "True", 0.5, 0.5001),
    ],
)
def test_the_share_of_a_label_is_limited(found, side, label, holds, breaks):
    for threshold, is_red in ((holds, False), (breaks, True)):
        if threshold is not None:
            its = verdict(found, gate(f"{side}_label_share", threshold, label=label))
            assert (its.is_red, its.label) == (is_red, label)
            assert its.name == f"s {side}_label_share {label}"


def test_the_share_of_a_label_has_wilsons_interval_and_names_the_label():
    its = verdict(LABELS, gate("max_label_share", 0.1, label="incorrect"))
    low, high = wilson_interval(3, 20)
    assert its.interval == Interval(low=low, high=high, method="Wilson")
    assert its.text.startswith("s share of 'incorrect' 15.0% is above 10% (95% interval")


def test_a_label_that_was_never_given_is_told_with_those_that_were():
    its = verdict(LABELS, gate("max_label_share", 0.1, label="incorect"))
    assert its.text.endswith("; no run has this label; the labels are: 'correct' 17, 'incorrect' 3")


def test_missing_runs_count_as_the_limited_side_of_a_share():
    found = mixed("a", "b", None, example_count=4)
    assert "2 of 4 runs have no evaluation and count as having the label" in (
        verdict(found, gate("max_label_share", 0.1, label="a")).text
    )
    assert "and count as not having the label" in verdict(found, gate("min_label_share", 0.1, label="a")).text


def test_the_share_of_a_label_over_repetitions_has_students_interval_over_examples():
    found = mixed("a", "a", "a", "b", NA, "b", NA, NA, "a", None, repetitions=2)
    its = verdict(found, gate("max_label_share", 1, label="a"))
    assert its.value == pytest.approx(5 / 7)
    low, high = mean_interval([1.0, 0.5, 0.0, 1.0])
    assert its.interval == Interval(low=low, high=high, method="t").within(0, 1)


def test_an_evaluator_without_labels_breaks_a_limit_on_their_share():
    its = verdict(GRADED, gate("max_label_share", 1, label="a"))
    assert (its.is_red, its.value, its.text) == (True, None, "s returned no labels")


# --- limits on the experiment --------------------------------------------------------------------------


def test_without_a_limit_no_error_is_tolerated_and_none_is_not_told():
    assert apply_gates([GRADED], [], baselines={}, prices={}) == ()
    (its,) = apply_gates([ran(0.5, None)], [], baselines={}, prices={})
    assert (its.rule, its.source, its.is_red, its.value) == ("max_error_rate", "default", True, 0.5)
    assert its.text == "1 of 2 runs failed"
    (its,) = apply_gates([ran(0.5, example_count=2)], [], baselines={}, prices={})
    assert (its.is_red, its.text) == (True, "1 of 2 were not run")


@pytest.mark.parametrize(("threshold", "is_red"), [(0.25, False), (0.2499, True), (0, True), (1, False)])
def test_a_rate_of_errors_is_tolerated_up_to_its_limit(threshold, is_red):
    (its,) = apply_gates([ran(0.5, 0.5, 0.5, None)], [of_all("max_error_rate", threshold)], baselines={}, prices={})
    assert (its.is_red, its.value) == (is_red, 0.25)
    assert "1 of 4 runs failed" in its.text


def test_a_limit_on_the_errors_of_one_experiment_is_not_of_another():
    other = ran(None, 0.5, name="other")
    found = apply_gates([ran(None, 0.5), other], [of_all("max_error_rate", 1)], baselines={}, prices={})
    assert [(one.experiment, one.is_red) for one in found] == [("search", False), ("other", True)]


def test_an_experiment_of_which_nothing_ran_has_no_verdicts():
    """It is red for why nothing ran."""
    found = result("search", [], evaluators=("s",), failure=failure(stage="import"))
    assert apply_gates([found], [gate("min", 0.5), of_all("max_error_rate", 0)], baselines={}, prices={}) == ()


def test_a_percentile_is_of_the_nearest_rank():
    values = [float(n) for n in range(1, 21)]
    assert percentile(values[::-1], 0.95) == 19
    assert percentile([*values, 21.0], 0.95) == 20
    assert percentile([3.0], 0.95) == percentile([3.0], 0.0) == 3
    assert percentile(values, 1.0) == 20
    with pytest.raises(ValueError, match="a percentile needs at least one value"):
        percentile([], 0.95)


@pytest.mark.parametrize(("limit", "is_red"), [(19, False), (18.99, True)])
def test_the_seconds_of_95_percent_of_the_runs_are_limited(limit, is_red):
    runs = [run(n, seconds=float(n), **said(0.5)) for n in range(1, 21)]
    its = verdict(result("search", runs, evaluators=("s",)), of_all("max_p95_seconds", limit))
    assert (its.is_red, its.value) == (is_red, 19)


def using(*usages: ModelUsage, **changes: Any) -> ExperimentResult:
    """An experiment of which each run used one of these, and its evaluator nothing."""
    runs = [
        run(n, usage=(one,), evaluations=(evaluation("s", 0.5, usage=()),), end_time=BEGAN + timedelta(seconds=60))
        for n, one in enumerate(usages)
    ]
    return result("search", runs, evaluators=("s",), **changes)


def without_calls() -> ExperimentResult:
    """An experiment whose traces have no call of a model."""
    made = run(0, usage=(), evaluations=(evaluation("s", 0.5, usage=()),))
    return result("search", [made], evaluators=("s",))


@pytest.mark.parametrize(("limit", "is_red"), [(30, False), (29, True)])
def test_the_tokens_of_all_runs_are_limited(limit, is_red):
    found = using(ModelUsage(model="m", calls=1, total_tokens=10), ModelUsage(model="n", calls=1, total_tokens=20))
    its = verdict(found, of_all("max_total_tokens", limit))
    assert (its.is_red, its.value) == (is_red, 30)
    assert its.text == f"the experiment used 30 tokens, {'above' if is_red else 'within'} the limit of {limit}"


@pytest.mark.parametrize("rule", ["max_total_tokens", "max_cost_usd"])
def test_what_is_not_known_breaks_its_limit(rule):
    for found in (ran(0.5), result("search", [run(0, usage=None, **said(0.5))], evaluators=("s",))):
        its = verdict(found, of_all(rule, 1e9))
        assert (its.is_red, its.value) == (True, None)
        assert "is unknown" in its.text


@pytest.mark.parametrize(
    ("found", "is_red", "value", "text"),
    [
        (without_calls(), True, 0, "no model was called: no LLM spans were recorded, fewer than 1. Check the key"),
        (
            result("search", [run(0, usage=None, **said(0.5))], evaluators=("s",)),
            True,
            None,
            "the number of model calls is unknown",
        ),
        (using(ModelUsage(model="m", calls=1)), False, 1, "1 call of a model was recorded"),
        (using(ModelUsage(model="m", calls=2), ModelUsage(model="n", calls=3)), False, 5, "5 calls of models were"),
    ],
)
def test_a_job_in_which_no_model_was_called_is_red_on_request(found, is_red, value, text):
    """A task without its key may answer with a constant text, and pass every other gate."""
    its = verdict(found, of_all("min_llm_calls", 1))
    assert (its.is_red, its.value) == (is_red, value)
    assert its.text.startswith(text)


def test_calls_that_are_known_are_enough_although_others_are_not():
    """Phoenix has no usage of a failed task of a shard."""
    called = [run(n, usage=(ModelUsage(model="m", calls=1),), **said(0.5)) for n in range(2)]
    found = result("search", [*called, run(2, usage=None, **said(0.5))], evaluators=("s",))
    assert [verdict(found, of_all("min_llm_calls", least)).is_red for least in (2, 3)] == [False, True]


def test_usage_that_is_known_of_the_whole_only_is_held_to_the_limit():
    found = ran(0.5, used=(ModelUsage(model="m", calls=1, total_tokens=10, cost_usd=0.5),))
    assert verdict(found, of_all("max_total_tokens", 10)).value == 10
    assert verdict(found, of_all("max_cost_usd", 0.5)).value == 0.5


def test_calls_without_a_count_break_a_limit_on_tokens():
    found = using(ModelUsage(model="m", calls=3, total_tokens=10, uncounted=2))
    its = verdict(found, of_all("max_total_tokens", 1000))
    assert (its.is_red, its.text) == (True, "the token count is unknown: 2 LLM spans have no token counts")


@pytest.mark.parametrize(("limit", "is_red"), [(0.75, False), (0.7499, True)])
def test_the_cost_of_all_runs_is_limited(limit, is_red):
    found = using(ModelUsage(model="m", calls=1, cost_usd=0.5), ModelUsage(model="n", calls=1, cost_usd=0.25))
    its = verdict(found, of_all("max_cost_usd", limit))
    assert (its.is_red, its.value) == (is_red, 0.75)


def test_a_table_prices_what_tells_no_cost():
    used = ModelUsage(model="m", calls=1, unpriced=1, unpriced_prompt_tokens=1_000_000)
    assert verdict(using(used), of_all("max_cost_usd", 2), prices={"m": Price(input=2, output=0)}).value == 2
    its = verdict(using(used), of_all("max_cost_usd", 1000), prices={"n": Price(input=2, output=0)})
    assert its.is_red
    assert its.text.endswith(
        'no price for m; add "m" = { input = N, output = N } below [prices], in USD per million tokens'
    )


def test_a_known_model_has_a_cost_without_a_table():
    used = ModelUsage(model="gpt-4o-mini", calls=1, unpriced=1, unpriced_prompt_tokens=1_000)
    its = verdict(using(used), of_all("max_cost_usd", 0.0001))
    assert its.is_red
    assert its.text.endswith("the experiment cost 0.00015 USD, above the limit of 0.0001 USD")


def test_a_price_that_is_given_is_not_asked_for_where_the_tokens_lack():
    used = ModelUsage(model="m", calls=1, unpriced=1, uncounted=1)
    its = verdict(using(used), of_all("max_cost_usd", 1000), prices={"m": Price(input=2, output=0)})
    assert its.is_red
    assert "no price" not in its.text
    assert "have no token counts" in its.text


# --- drops ---------------------------------------------------------------------------------------------

UP = [0.5 + 0.01 * n for n in range(12)]


def lower(by: float, scores: list[float] = UP) -> ExperimentResult:
    return ran(*[score - by for score in scores])


def test_a_drop_is_red_when_it_is_significant_and_beyond_what_is_allowed():
    its = verdict(lower(0.1), gate("max_drop", 0.05), before=ran(*UP))
    assert (its.is_red, its.status) == (True, "failed")
    assert its.value == pytest.approx(0.1)
    assert its.p_value == pytest.approx(1 / 2**12)
    assert "s fell by 0.100" in its.text


def test_a_significant_drop_within_what_is_allowed_is_green():
    its = verdict(lower(0.1), gate("max_drop", 0.1), before=ran(*UP))
    assert (its.is_red, its.status) == (False, "passed")
    assert its.p_value < 0.001
    assert its.text.endswith("within the allowed 0.1")


def test_a_drop_that_may_be_chance_is_green_unless_the_drop_alone_decides():
    now = ran(*[score - (0.5 if n == 3 else 0) for n, score in enumerate(UP)])
    its = verdict(now, gate("max_drop", 0.01), before=ran(*UP))
    assert (its.is_red, its.status, its.p_value) == (False, "passed", 0.5)
    assert "more than the allowed 0.01, but this may be chance" in its.text
    strict = gate("max_drop", 0.01, drop_policy=DropPolicy(mode="strict"))
    assert verdict(now, strict, before=ran(*UP)).status == "failed"


def test_the_significance_is_that_of_the_gate_and_inclusive():
    now = ran(*[score - (0.5 if n < 4 else 0) for n, score in enumerate(UP)])
    for significance, is_red in ((0.0625, True), (0.06, False)):
        asked = gate("max_drop", 0.01, drop_policy=DropPolicy(significance=significance))
        assert verdict(now, asked, before=ran(*UP)).is_red is is_red


def test_a_rise_is_no_drop():
    its = verdict(lower(-0.1), gate("max_drop", 0), before=ran(*UP))
    assert (its.is_red, its.value) == (False, pytest.approx(-0.1))
    assert "rose by 0.100" in its.text


@pytest.mark.parametrize("mode", ["significance", "strict"])
def test_no_change_is_within_a_limit_of_0(mode):
    its = verdict(ran(*UP), gate("max_drop", 0, drop_policy=DropPolicy(mode=mode)), before=ran(*UP))
    assert (its.is_red, its.status) == (False, "passed")
    assert "did not change" in its.text


@pytest.mark.parametrize(("on_inconclusive", "is_red"), [("pass", False), ("fail", True)])
def test_fewer_than_10_pairs_without_a_significant_drop_are_inconclusive(on_inconclusive, is_red):
    asked = gate("max_drop", 0.01, drop_policy=DropPolicy(on_inconclusive=on_inconclusive))
    now = [0.0, *UP[1:]]
    its = verdict(ran(*now[:9]), asked, before=ran(*UP[:9]))
    assert (its.status, its.is_red) == ("inconclusive", is_red)
    assert "could be detected" in its.text
    assert verdict(ran(*now[:10]), asked, before=ran(*UP[:10])).status == "passed"


def test_pairs_too_few_for_any_drop_are_said_to_be():
    its = verdict(ran(0.1, 0.2), gate("max_drop", 0.01), before=ran(0.5, 0.5))
    assert ": 2 pairs cannot reach significance 0.05" in its.text
    few = verdict(ran(*[0.5] * 5), gate("max_drop", 0.01), before=ran(*[0.5] * 5))
    assert ": too few pairs" in few.text


@pytest.mark.parametrize(
    ("by", "pairs", "drop_gates", "can"),
    mostly_nightly(
        [
            (boolean, 12, 1, True),
            (evaluation, 12, 500, False),
            (boolean, 12, 500, False),
            (evaluation, 12, 1, True),
            (evaluation, 20, 500, True),
        ],
        kept=(0, 1),
    ),
)
def test_a_level_that_no_number_of_worse_examples_reaches_is_told(by, pairs, drop_gates, can):
    """Corrected over hundreds of gates, 12 examples that all fell cannot be significant; the gate does not pass."""
    worse, better = (True, False) if by is boolean else (0.9, 0.1)
    now, before = ran(*[better] * pairs), ran(*[worse] * pairs)
    asked = gate("max_drop", 0.02)
    others = [gate("max_drop", 0.02, experiment=f"other{number}") for number in range(drop_gates - 1)]
    results = [now, *(ran(*[worse] * pairs, name=other.experiment) for other in others)]
    baselines = {"search": compare_results(now, before, asked="auto")}
    baselines |= {one.name: compare_results(one, one, asked="auto") for one in results[1:]}
    first = apply_gates(results, [asked, *others], baselines=baselines, prices={})[0]
    if can:
        assert (first.status, first.is_red) == ("failed", True)
        return
    assert (first.status, first.is_red) == ("inconclusive", False)
    said = f"{pairs} pairs cannot reach significance 0.05 (corrected over {drop_gates} drop gates)"
    assert said in first.text


def test_a_collapse_of_all_of_8_is_red_though_they_are_few():
    its = verdict(ran(*[False] * 8), gate("max_drop", 0.02), before=ran(*[True] * 8))
    assert (its.status, its.is_red, its.value) == ("failed", True, 1.0)
    assert its.p_value == pytest.approx(0.5**9)


def test_the_strict_mode_is_never_inconclusive_on_a_pair():
    strict = DropPolicy(mode="strict", on_inconclusive="fail")
    assert verdict(ran(0.5), gate("max_drop", 0.1, drop_policy=strict), before=ran(0.6)).status == "passed"
    assert verdict(ran(0.5), gate("max_drop", 0.0999, drop_policy=strict), before=ran(0.6)).status == "failed"


@pytest.mark.parametrize("mode", ["significance", "strict"])
@pytest.mark.parametrize(("on_inconclusive", "is_red"), [("pass", False), ("fail", True)])
def test_without_a_pair_it_is_inconclusive(mode, on_inconclusive, is_red):
    before = result("search", [run(99, **said(0.5))], evaluators=("s",))
    policy = DropPolicy(mode=mode, on_inconclusive=on_inconclusive, min_paired=0)
    its = verdict(GRADED, gate("max_drop", 0.01, drop_policy=policy), before=before)
    assert (its.status, its.is_red, its.value) == ("inconclusive", is_red, None)


@pytest.mark.parametrize(
    ("paired", "least", "status"), [(8, 0.8, "passed"), (7, 0.8, "no baseline"), (1, 0.1, "passed")]
)
def test_a_baseline_that_covers_too_few_examples_is_none(paired, least, status):
    """The limit itself is enough; what is paired is said."""
    before = result("search", [run(n, **said(0.5)) for n in range(paired)], evaluators=("s",))
    policy = DropPolicy(mode="strict", min_paired=least)
    its = verdict(ran(*[0.5] * 10), gate("max_drop", 0.01, drop_policy=policy), before=before)
    assert (its.status, its.is_red) == (status, False)
    assert status == "passed" or f"{paired} of 10 examples are unchanged since" in its.text


@pytest.mark.parametrize("is_base_branch", [False, True])
@pytest.mark.parametrize("on_no_baseline", ["pass", "fail"])
def test_without_a_baseline_a_run_beside_the_base_branch_can_fail(on_no_baseline, is_base_branch):
    """The base branch itself has to have a first run."""
    asked = gate("max_drop", 0, drop_policy=DropPolicy(on_no_baseline=on_no_baseline))
    its = verdict(GRADED, asked, is_base_branch=is_base_branch)
    assert its.status == "no baseline"
    assert its.is_red is (on_no_baseline == "fail" and not is_base_branch)


@pytest.mark.parametrize(
    ("threshold", "is_relative", "scores", "is_refused"),
    [
        (2, False, (0.0, 1.0), True),
        (1, False, (0.0, 1.0), True),
        (0.99, False, (0.0, 1.0), False),
        (2, False, (1.0, 5.0), False),
        (2, True, (0.0, 1.0), False),
    ],
)
def test_a_drop_that_scores_cannot_have_is_refused(threshold, is_relative, scores, is_refused):
    """Before anything runs where the baseline has scores; else the gate fails."""
    asked = gate("max_drop", threshold, is_relative=is_relative)
    if is_refused:
        with pytest.raises(UsageError, match="are between 0 and 1, so no drop can exceed"):
            check_drop(asked, ran(*scores))
        assert verdict(ran(*scores), asked, before=ran(*scores)).is_red
    else:
        check_drop(asked, ran(*scores))
        assert not verdict(ran(*scores), asked, before=ran(*scores)).is_red
    check_drop(asked, "no baseline")


@pytest.mark.parametrize("on_inconclusive", ["pass", "fail"])
def test_without_a_baseline_a_drop_is_green_and_says_why(on_inconclusive):
    asked = gate("max_drop", 0, drop_policy=DropPolicy(mode="strict", on_inconclusive=on_inconclusive))
    its = verdict(GRADED, asked)
    assert (its.status, its.is_red, its.text) == ("no baseline", False, "s: none was requested")
    none = {"search": Baseline(experiment="search", asked="auto", note="main has none yet")}
    its = verdict(GRADED, asked, baselines=none)
    assert (its.status, its.is_red, its.text) == ("no baseline", False, "s: main has none yet")


def test_an_evaluator_that_the_baseline_did_not_have_has_no_baseline():
    before = result("search", [run(n, **said(0.9, "older")) for n in range(3)], evaluators=("older",))
    its = verdict(GRADED, gate("max_drop", 0), before=before)
    assert (its.status, its.is_red) == ("no baseline", False)
    assert "eval_search_2026-11-20T09:30:00Z has no score with this name" in its.text


def test_where_lower_is_better_a_rise_is_a_drop():
    asked = gate("max_drop", 0.05, direction="minimize")
    its = verdict(lower(-0.1), asked, before=ran(*UP))
    assert (its.is_red, its.value) == (True, pytest.approx(0.1))
    assert "rose by 0.100" in its.text
    its = verdict(lower(0.1), asked, before=ran(*UP))
    assert (its.is_red, its.value) == (False, pytest.approx(-0.1))


@pytest.mark.parametrize(
    ("mean", "by", "is_red"), [(0.5, 0.1, False), (0.5, 0.101, True), (-0.5, 0.099, False), (2, 0.3, False)]
)
def test_a_relative_drop_is_a_share_of_the_baselines_mean(mean, by, is_red):
    before = [mean] * 12
    asked = gate("max_drop", 0.2, is_relative=True)
    its = verdict(lower(by, before), asked, before=ran(*before))
    assert its.is_red is is_red
    assert "20%" in its.text


def test_unchanged_examples_without_a_score_on_a_side_are_named():
    its = verdict(ran(None, *UP[1:]), gate("max_drop", 0), before=ran(*UP))
    assert "1 unchanged examples have no score in this run or in the baseline" in its.text


def many(count: int) -> tuple[GateResult, ...]:
    """So many experiments, the first of which dropped with p = 1/32, the others not at all."""
    fallen = [score - (0.5 if n < 5 else 0) for n, score in enumerate(UP)]
    names = [f"e{n}" for n in range(count)]
    results = [ran(*(UP if n else fallen), name=name) for n, name in enumerate(names)]
    baselines = {one.name: compare_results(one, ran(*UP, name=one.name), asked="auto") for one in results}
    asked = [gate("max_drop", 0.01, experiment=name) for name in names]
    return apply_gates(results, asked, baselines=baselines, prices={})


def test_p_values_are_corrected_over_all_drop_gates_of_the_job():
    """A lone small one is red, and the same among eight is not."""
    (lone,) = many(1)
    assert (lone.p_value, lone.is_red) == (1 / 32, True)
    first, *others = many(8)
    assert (first.p_value, first.is_red) == (8 / 32, False)
    assert not any(one.is_red for one in others)


def test_only_drop_gates_take_part_in_the_correction():
    fallen = ran(*[score - (0.5 if n < 5 else 0) for n, score in enumerate(UP)])
    baselines = {"search": compare_results(fallen, ran(*UP), asked="auto")}
    asked = [gate("max_drop", 0.01), gate("min", 0), gate("max", 9), of_all("max_error_rate", 0)]
    assert apply_gates([fallen], asked, baselines=baselines, prices={})[0].is_red


# --- what they come to ---------------------------------------------------------------------------------


def passes(found: ExperimentResult, *asked: Gate) -> bool:
    verdicts = apply_gates([found], list(asked), baselines={}, prices={})
    return red_report(results=(found,), gates=verdicts).passed(found)


def test_an_experiment_passes_with_errors_only_where_they_are_tolerated():
    found = ran(0.5, 0.5, None)
    assert found.is_complete
    assert not found.passed
    assert not passes(found)
    assert passes(found, of_all("max_error_rate", 0.5))
    assert not passes(found, of_all("max_error_rate", 0.1))


def test_a_tolerance_of_errors_does_not_cover_what_was_not_run_or_recorded():
    assert not passes(ran(0.5, example_count=2), of_all("max_error_rate", 1))
    unrecorded = result("search", [run(0, record_failure=failure(stage="record"), **said(0.5))], evaluators=("s",))
    assert not unrecorded.is_complete
    assert not passes(unrecorded, of_all("max_error_rate", 1))
    stopped = ran(0.5, failure=failure(stage="open"))
    assert not passes(stopped, of_all("max_error_rate", 1))


def test_an_experiment_without_errors_fails_by_a_red_gate_alone():
    assert passes(GRADED)
    assert passes(GRADED, gate("min", 0.4))
    assert not passes(GRADED, gate("min", 0.5))
    assert not passes(GRADED, gate("min", 0.5), of_all("max_error_rate", 1))


def test_a_failed_run_counts_as_what_a_ceiling_limits():
    """Errors that are tolerated must not make a rate that is to be low look lower."""
    errors = of_all("max_error_rate", 0.5)
    found = ran(*[True] * 15, *[False] * 55, *[None] * 30)
    for rule in ("max", "max_pass_rate"):
        its = [
            one for one in apply_gates([found], [gate(rule, 0.15), errors], baselines={}, prices={}) if one.rule == rule
        ]
        assert (its[0].is_red, its[0].value) == (True, pytest.approx(0.45))
        assert "30 of 100 runs have no score and count as passed" in its[0].text
    assert not verdict(ran(True, False, False), gate("max", 0.34)).is_red


def test_a_failed_run_is_no_gain_where_lower_is_better():
    before = ran(*[True] * 10, *[False] * 90)
    after = ran(*[None] * 30, *[False] * 70)
    asked = gate("max_drop", 0.02, direction="minimize")
    its = verdict(after, asked, before=before)
    assert its.is_red
    assert its.value == pytest.approx(0.2)
