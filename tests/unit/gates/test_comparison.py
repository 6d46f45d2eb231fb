"""A run beside its baseline: what pairs, which test judges it, and what is only listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from reporting import boolean, evaluation, example, failure, result, run

from evalwire.gates.comparison import Scores, compare_results, scores_of
from evalwire.model.baseline import Comparison, Pair
from evalwire.model.permutation import sign_flip
from evalwire.model.power import minimum_detectable_change
from evalwire.model.run import Evaluation
from evalwire.model.stats import mcnemar_midp
from evalwire.model.stopping import Stopping

Said = float | bool | None


def said(score: Said, name: str = "s") -> dict[str, Any]:
    """What one run says; None is a task that failed."""
    if score is None:
        return {"failure": failure(), "evaluations": ()}
    if isinstance(score, bool):
        return {"evaluations": (boolean(name, passed=score),)}
    return {"evaluations": (evaluation(name, score),)}


def ran(scores: dict[int, Said | list[Said]], **changes: Any):
    """An experiment with a score, or one for each repetition, of each example."""
    each = {n: one if isinstance(one, list) else [one] for n, one in scores.items()}
    runs = [
        run(n, repetition=repetition, **said(one))
        for n, those in each.items()
        for repetition, one in enumerate(those, start=1)
    ]
    repetitions = max(map(len, each.values()), default=1)
    return result("search", runs, evaluators=("s",), **{"repetitions": repetitions, **changes})


def compared(now: dict, before: dict, **directions: Any) -> Comparison:
    baseline = compare_results(ran(now), ran(before), asked="auto", directions=directions or None)
    found = baseline.comparison("s")
    assert found is not None
    return found


def test_examples_pair_by_id_whatever_their_order():
    found = compared({1: 0.1, 2: 0.2, 3: 0.3}, {3: 0.9, 1: 0.7, 2: 0.8})
    assert found.pairs == (
        Pair(example_id="q1", before=0.7, after=0.1),
        Pair(example_id="q2", before=0.8, after=0.2),
        Pair(example_id="q3", before=0.9, after=0.3),
    )
    assert (found.before, found.after, found.change) == pytest.approx((0.8, 0.2, -0.6))


def test_examples_pair_whatever_their_node_id():
    """Phoenix may give the same example another one in another dataset."""
    before = result("search", [run(1, example=example(1, node_id="other"), **said(1.0))], evaluators=("s",))
    assert compare_results(ran({1: 1.0}), before, asked="auto").paired == 1


@pytest.mark.parametrize("part", ["input", "output", "metadata"])
def test_an_example_of_another_content_is_changed_and_does_not_pair(part):
    other = result(
        "search", [run(1, **said(1.0)), run(2, example=example(2, **{part: {"x": 1}}), **said(1.0))], evaluators=("s",)
    )
    baseline = compare_results(ran({1: 1.0, 2: 0.0}), other, asked="auto")
    assert (baseline.paired, baseline.changed, baseline.added, baseline.removed) == (1, ("q2",), (), ())
    assert [pair.example_id for pair in baseline.comparison("s").pairs] == ["q1"]


def test_added_and_removed_examples_are_listed_and_do_not_pair():
    baseline = compare_results(ran({1: 1.0, 2: 0.0, 5: 0.0}), ran({1: 1.0, 3: 0.0, 4: 0.0}), asked="auto")
    assert (baseline.added, baseline.removed, baseline.changed) == (("q2", "q5"), ("q3", "q4"), ())
    assert baseline.paired == 1
    assert len(baseline.comparison("s").pairs) == 1


def test_repetitions_are_averaged_first():
    """So that one example is one pair, however often it ran."""
    found = compared({1: [0.0, 1.0], 2: [1.0, 1.0]}, {1: [0.75, 0.75], 2: [0.0, 0.5]})
    assert found.pairs == (
        Pair(example_id="q1", before=0.75, after=0.5),
        Pair(example_id="q2", before=0.25, after=1.0),
    )
    assert found.change == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("now", "before", "pair"),
    [
        ({1: [0.0, 1.0, 1.0]}, {1: 0.75}, (0.75, 0.0)),
        ({1: 0.5}, {1: [0.0, 1.0]}, (0.0, 0.5)),
        ({1: [0.0, 1.0, 1.0]}, {1: [0.5, 1.0]}, (0.75, 0.5)),
        ({1: [True, False]}, {1: False}, (0.0, 1.0)),
    ],
)
def test_of_unequal_repetitions_the_first_that_both_have_are_compared(now, before, pair):
    """Means over more runs vary less, so means over other numbers of runs are not comparable."""
    (found,) = compared(now, before).pairs
    assert (found.before, found.after) == pair


def test_the_first_repetitions_of_bools_ran_once_where_the_baseline_did():
    found = compared({n: [n > 7, True] for n in range(12)}, {n: n != 11 for n in range(12)})
    assert (found.test, found.p_value) == ("McNemar mid-p", mcnemar_midp(8, 1))


def test_mcnemar_judges_bools_that_ran_once_on_both_sides():
    now, before = {n: n > 7 for n in range(12)}, {n: n != 11 for n in range(12)}
    found = compared(now, before)
    assert (found.test, found.is_bool) == ("McNemar mid-p", True)
    assert found.p_value == mcnemar_midp(8, 1)


@pytest.mark.parametrize(
    ("now", "before", "is_bool"),
    [
        ({1: [True, True], 2: [True, False]}, {1: [True, False], 2: [True, False]}, True),
        ({1: True, 2: False}, {1: 0.5, 2: 1.0}, False),
        ({1: 1.0, 2: 0.0}, {1: True, 2: True}, False),
        ({1: 0.5, 2: 0.0}, {1: 0.5, 2: 1.0}, False),
    ],
)
def test_sign_flips_judge_whatever_is_graded_or_repeated(now, before, is_bool):
    found = compared(now, before)
    assert (found.test, found.is_bool) == ("sign-flip permutation", is_bool)
    assert found.p_value == sign_flip([pair.after - pair.before for pair in found.pairs])


def test_a_failed_run_of_a_bool_did_not_pass():
    found = compared({1: None, 2: True}, {1: True, 2: None})
    assert found.pairs == (Pair(example_id="q1", before=1, after=0), Pair(example_id="q2", before=0, after=1))
    assert found.unscored == 0


def test_a_failed_repetition_of_a_bool_did_not_pass():
    found = ran({1: [True, None], 2: [True, True]})
    assert scores_of(found, "s").by_example == {"q1": 0.5, "q2": 1.0}
    assert scores_of(found, "s", missing_passes=True).by_example == {"q1": 1.0, "q2": 1.0}


@pytest.mark.parametrize(("direction", "pairs"), [("maximize", [(1, 0), (0, 0)]), ("minimize", [(1, 1), (1, 0)])])
def test_a_failed_run_of_a_bool_has_the_worse_value_on_either_side(direction, pairs):
    found = compared({1: None, 2: False}, {1: True, 2: None}, s=direction)
    assert [(pair.before, pair.after) for pair in found.pairs] == pairs


@pytest.mark.parametrize(
    ("given", "counted", "ignored"),
    [
        ((True, False, "unsure", "unsure"), 0.25, 0.5),
        ((True, "unsure", "unsure", "unsure"), 0.25, 1.0),
        ((True, True, True, None), 0.75, 0.75),
    ],
)
def test_a_label_beside_bools_counts_as_missing_or_is_ignored(given, counted, ignored):
    labels = (evaluation("s", None, label=one) if isinstance(one, str) else one for one in given)
    found = of(*labels, repetitions=4)
    assert scores_of(found, "s").by_example == {"q0": counted}
    assert scores_of(found, "s", ignores_unscored=True).by_example == {"q0": ignored}


def test_a_failed_run_of_a_graded_score_is_unscored():
    found = compared({1: None, 2: 0.5, 3: 0.5}, {1: 0.5, 2: 0.25, 3: None})
    assert [pair.example_id for pair in found.pairs] == ["q2"]
    assert found.unscored == 2


def test_a_failed_repetition_of_a_graded_score_has_no_place_in_the_mean():
    assert scores_of(ran({1: [0.8, None], 2: [0.5, 0.7]}), "s").by_example == pytest.approx({"q1": 0.8, "q2": 0.6})


def test_a_label_without_a_score_has_no_place_in_the_mean():
    runs = [
        run(1, **said(0.5)),
        run(1, repetition=2, evaluations=(evaluation("s", None, label="unsure"),)),
        run(2, evaluations=(evaluation("s", None, label="unsure"),)),
    ]
    found = result("search", runs, evaluators=("s",), repetitions=2)
    assert scores_of(found, "s").by_example == {"q1": 0.5}


def test_an_evaluator_that_failed_gives_no_score():
    runs = [run(1, evaluations=(evaluation("s", None, failure=failure(stage="evaluator")),)), run(2, **said(0.5))]
    assert scores_of(result("search", runs, evaluators=("s",)), "s").by_example == {"q2": 0.5}


def test_the_p_value_is_of_a_change_for_the_worse_by_the_direction():
    """The change itself stays the plain difference."""
    now, before = {n: 1.0 + n for n in range(8)}, {n: 0.5 * n for n in range(8)}
    up, down = compared(now, before), compared(now, before, s="minimize")
    assert up.change == down.change > 0
    assert up.p_value > 0.99
    assert down.p_value == pytest.approx(1 / 2**8)
    assert (len(up.worse), len(up.better)) == (len(down.better), len(down.worse)) == (0, 8)
    gains = [up.gain(pair) for pair in up.pairs]
    assert up.minimum_detectable == minimum_detectable_change(gains, is_bool=False)
    assert down.minimum_detectable == minimum_detectable_change([-gain for gain in gains], is_bool=False)


def test_the_direction_of_bools_counts_too():
    now, before = {n: True for n in range(8)}, {n: False for n in range(8)}  # noqa: C420
    assert compared(now, before, s="minimize").p_value == mcnemar_midp(8, 0)
    assert compared(now, before).p_value == mcnemar_midp(0, 8)


def test_the_interval_is_of_the_change_and_holds_it():
    found = compared({n: 0.1 * n for n in range(8)}, {n: 0.05 * n * n for n in range(8)})
    assert found.interval.method == "paired t"
    assert found.interval.low < found.change < found.interval.high


def test_equal_changes_give_no_interval():
    assert compared({n: 0.1 * n for n in range(8)}, {n: 0.1 * n + 0.3 for n in range(8)}).interval is None
    assert compared({1: 0.1}, {1: 0.5}).interval is None
    assert compared({1: 0.1, 2: 0.2}, {1: 0.5, 2: 0.5}).interval is not None


def test_without_a_pair_there_is_nothing_but_the_name():
    found = compared({1: 0.5}, {2: 0.5})
    assert (found.pairs, found.change, found.before, found.after, found.p_value) == ((), None, None, None, None)
    found = compared({1: 0.5, 2: None}, {1: None, 2: 0.5}, s="minimize")
    assert (found.pairs, found.unscored, found.direction) == ((), 2, "minimize")


def test_only_evaluations_of_both_sides_are_compared():
    now = result("search", [run(1, evaluations=(evaluation("a", 1.0), evaluation("c", 1.0)))], evaluators=("a", "c"))
    before = result("search", [run(1, evaluations=(evaluation("b", 1.0), evaluation("c", 1.0)))], evaluators=("b", "c"))
    assert [one.name for one in compare_results(now, before, asked="auto").comparisons] == ["c"]


def test_a_baseline_says_what_it_is():
    before = ran({1: 1.0})
    before.opened.metadata.update(branch="main", commit=7)
    baseline = compare_results(ran({1: 1.0}), before, asked="branch:main")
    assert (baseline.experiment, baseline.asked, baseline.note) == ("search", "branch:main", "")
    assert (baseline.experiment_id, baseline.url) == ("EXP-search", before.url)
    assert baseline.recorded_name == before.opened.recorded_name
    assert (baseline.branch, baseline.commit, baseline.changed_task) == ("main", None, ())
    before.opened.metadata.update(commit="0123abc")
    baseline = compare_results(ran({1: 1.0}), before, asked="auto", changed_task=["task.py"])
    assert (baseline.commit, baseline.changed_task) == ("0123abc", ("task.py",))


def test_a_baseline_that_phoenix_does_not_have_has_no_id_and_no_name():
    baseline = compare_results(ran({1: 1.0}), replace(ran({1: 1.0}), opened=None), asked="file:main.json")
    assert (baseline.experiment_id, baseline.recorded_name, baseline.paired) == (None, "", 1)


def test_examples_that_a_partial_run_left_out_are_neither_added_nor_removed():
    whole, part = ran({1: 1.0, 2: 0.0, 3: 0.0}), ran({2: 1.0, 9: 1.0})
    part.opened.metadata.update(evalwire={"partial": {"selection": "2 examples", "examples": 2}})
    assert (found := compare_results(whole, part, asked="auto")).added == ()
    assert found.removed == ("q9",)
    assert (found := compare_results(part, whole, asked="auto")).removed == ()
    assert found.added == ("q9",)


def test_examples_that_an_early_verdict_left_out_are_neither_added_nor_removed():
    whole = ran({1: 1.0, 2: 0.0, 3: 0.0})
    part = ran({2: 1.0, 9: 1.0}, stopping=Stopping(seen=2, of=4, beyond=1))
    assert (found := compare_results(part, whole, asked="auto")).removed == ()
    assert (found.added, found.paired) == (("q9",), 1)
    assert compare_results(whole, part, asked="auto").added == ()
    to_its_end = ran({2: 1.0, 9: 1.0}, stopping=Stopping(seen=2, of=2, rounds=1, of_rounds=2))
    assert compare_results(to_its_end, whole, asked="auto").removed == ("q1", "q3")


def test_examples_that_were_not_run_are_neither_added_nor_removed():
    """Only the runs name the examples, so it is not known which examples the dataset has."""
    whole, unfinished = ran({1: 1.0, 2: 0.0, 3: 0.0}), ran({2: 1.0}, example_count=3)
    assert compare_results(unfinished, whole, asked="auto").removed == ()
    assert compare_results(whole, unfinished, asked="auto").added == ()


# --- what does not apply -------------------------------------------------------------------------------


def of(*given: Evaluation | Said, repetitions: int = 1):
    runs = [
        run(
            n // repetitions,
            repetition=n % repetitions + 1,
            **({"evaluations": (one,)} if isinstance(one, Evaluation) else said(one)),
        )
        for n, one in enumerate(given)
    ]
    return result("search", runs, evaluators=("s",), repetitions=repetitions)


NA = evaluation("s", None, label="not applicable", kind="not_applicable")


@pytest.mark.parametrize("is_bool", [True, False])
def test_an_example_that_it_does_not_apply_to_is_no_pair_and_is_missing_on_one_side_only(is_bool):
    yes = boolean("s", passed=True, label="because", kind="bool") if is_bool else 1.0
    now, before = of(yes, yes, NA, NA, None), of(yes, NA, NA, yes, yes)
    found = compare_results(now, before, asked="auto").comparison("s")
    pairs = ["q0", "q4"] if is_bool else ["q0"]  # of bools, a failed run is one that did not pass
    assert [pair.example_id for pair in found.pairs] == pairs
    assert (found.half_applicable, found.unscored) == (2, 4 - len(pairs))
    assert found.is_bool is is_bool


@pytest.mark.parametrize("score", [1.0, True])
def test_without_a_pair_it_is_told_as_well(score):
    found = compare_results(of(NA, score), of(score, NA), asked="auto").comparison("s")
    assert (found.pairs, found.half_applicable, found.unscored) == ((), 2, 2)
    assert found.is_bool is (score is True)


def test_repetitions_that_do_not_apply_are_left_out_of_an_examples_mean():
    yes, no = (boolean("s", passed=one, label="x", kind="bool") for one in (True, False))
    assert scores_of(of(yes, NA, no, NA, NA, NA, yes, None, repetitions=2), "s").by_example == {
        "q0": 1.0,
        "q1": 0.0,
        "q3": 0.5,
    }
    assert scores_of(of(0.5, NA, NA, None, repetitions=2), "s") == Scores(
        by_example={"q0": 0.5}, is_bool=False, is_single=False
    )


def test_bools_with_explanations_are_tested_by_mcnemar_and_beside_numbers_as_numbers():
    yes, no = (boolean("s", passed=one, label="because", kind="bool") for one in (True, False))
    bools = compare_results(of(yes, no, no), of(yes, yes, yes), asked="auto").comparison("s")
    assert (bools.is_bool, bools.test, bools.p_value) == (True, "McNemar mid-p", mcnemar_midp(2, 0))
    other = compare_results(of(yes, no, no), of(1.0, 1.0, 1.0), asked="auto").comparison("s")
    assert (other.is_bool, other.test, other.p_value) == (False, "sign-flip permutation", sign_flip([0, -1, -1]))


# --- the outputs of both sides ----------------------------------------------------------------------------


def test_runs_of_the_baseline_that_differ_are_kept_with_their_explanations():
    def side(*outputs: str, explained: str):
        runs = [
            run(n, output, evaluations=(boolean("s", passed=True, explanation=explained),))
            for n, output in enumerate(outputs)
        ]
        return result("search", runs, evaluators=("s",))

    now, before = side("same", "new", "more", explained="now"), side("same", "old", explained="then")
    baseline = compare_results(now, before, asked="auto")
    assert [(kept.example_id, kept.output, kept.explanations) for kept in baseline.runs] == [
        ("q1", "old", {"s": "then"})
    ]
    assert (baseline.runs[0].error, baseline.runs[0].trace_id) == ("", before.runs[1].trace_id)
    assert baseline.runs_by_key["q1", 1].output == "old"


def test_a_run_with_the_same_output_and_another_score_is_kept():
    baseline = compare_results(ran({1: 0.0, 2: 1.0}), ran({1: 1.0, 2: 1.0}), asked="auto")
    assert [kept.example_id for kept in baseline.runs] == ["q1"]
    baseline = compare_results(ran({1: [0.0, 0.0], 2: 1.0}), ran({1: [1.0, 1.0], 2: 1.0}), asked="auto")
    assert [(kept.example_id, kept.repetition) for kept in baseline.runs] == [("q1", 1), ("q1", 2)]


def test_a_run_that_failed_on_one_side_is_kept_with_its_error():
    baseline = compare_results(ran({1: 1.0}), ran({1: None}), asked="auto")
    assert [(kept.example_id, kept.error) for kept in baseline.runs] == [("q1", str(failure()))]


def test_an_explanation_of_a_changed_evaluator_is_not_kept():
    """It belongs to a score that is not compared."""
    now, before = (
        result(
            "search", [run(1, output, evaluations=(boolean("s", passed=True, explanation="why"),))], evaluators=("s",)
        )
        for output in ("new", "old")
    )
    baseline = compare_results(now, before, asked="auto", changed={"s": "changed: s.py"})
    assert [kept.explanations for kept in baseline.runs] == [{}]


def test_the_interval_of_a_change_of_shares_ends_at_one():
    up, none = {1: 1.0, 2: 1.0, 3: 0.2}, {1: 0.0, 2: 0.0, 3: 0.0}
    assert compared(up, none).interval.high == 1
    assert compared(none, up).interval.low == -1
    for beyond in ({**up, 1: 1.1}, {**up, 3: -0.2}):
        assert compared(beyond, none).interval.high > 1
        assert compared(none, beyond).interval.low < -1
