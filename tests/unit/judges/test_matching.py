"""Which output a label is about, what people agree on, and which labels do not count."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from reporting import boolean, evaluation, failure, result, run

from evalwire.errors import UsageError
from evalwire.judges.agreement import measure_agreement
from evalwire.judges.matching import agreement_of_people, match_labels
from evalwire.model import FACTS_KEY, Inputs, Label, ModelUsage, Variant

DAY = date(2026, 11, 30)
CALLED = (ModelUsage(model="judge-1", calls=1),)


def judged(*scores, repetitions=1, **changes):
    """An experiment whose evaluator passes or fails each output, or gives it a number; None for a failed task."""
    runs = [
        run(
            n // repetitions,
            repetition=n % repetitions + 1,
            id=f"R{n}",
            **(
                {"failure": failure(), "evaluations": ()}
                if score is None
                else {
                    "evaluations": (
                        boolean("judged", passed=score, usage=CALLED, explanation=f"because {n}")
                        if isinstance(score, bool)
                        else evaluation("judged", score, usage=CALLED),
                    )
                }
            ),
        )
        for n, score in enumerate(scores)
    ]
    return result("search", runs, evaluators=("judged",), repetitions=repetitions, **changes)


def label(n, value, annotator="ann", **changes):
    fields = {
        "example_id": f"q{n}",
        "value": float(value),
        "annotator": annotator,
        "place": f"labels.csv, line {n + 2}",
    }
    return Label(**{**fields, **changes})


def matched(labels, found):
    return match_labels(labels, found, "judged")


def measured(labels, found):
    return measure_agreement(labels, found, "judged", today=DAY)


def test_labels_belong_to_the_run_of_their_example():
    found = matched([label(1, 0), label(0, 1)], judged(True, False, True))
    assert [(output.name, output.value, output.score) for output in found.outputs] == [
        ("q0", 1.0, 1.0),
        ("q1", 0.0, 0.0),
    ]
    assert (found.unmatched, found.elsewhere) == ((), ())


def test_the_id_of_a_run_wins():
    found = matched([label(0, 1, run_id="R1")], judged(True, False))
    assert [output.name for output in found.outputs] == ["q1"]


def test_a_label_of_another_run_of_the_example_is_not_of_this_output():
    """A sheet without the column experiment may have labels of the outputs of another experiment."""
    found = matched(
        [label(0, 1, run_id="R77"), label(1, 1, run_id="R78", experiment_id="EXP-search")], judged(True, True)
    )
    assert found.outputs == ()
    assert [reason for _, reason in found.unmatched] == ["the experiment has no such run"] * 2


def test_a_repetition_is_its_own_output():
    found = judged(True, False, True, True, repetitions=2)
    (output,) = matched([label(0, 1, repetition=2)], found).outputs
    assert (output.name, output.score) == ("q0 (repetition 2)", 0.0)
    ((_, reason),) = matched([label(0, 1)], found).unmatched
    assert reason == "the example ran several times, and the label has no repetition"
    ((_, reason),) = matched([label(0, 1, repetition=3)], found).unmatched
    assert reason == "the example has no repetition 3"


def test_labels_without_an_output_have_a_reason():
    found = matched([label(7, 1), label(1, 1), label(0, 1, example_id="", run_id="R9")], judged(True, None))
    assert [(each.example_id, reason) for each, reason in found.unmatched] == [
        ("q7", "the experiment has no such example"),
        ("q1", "the run failed, so it has no output"),
        ("", "the experiment has no such run"),
    ]


def test_labels_of_another_experiment_are_about_other_outputs():
    found = matched([label(0, 1, experiment_id="EXP-other"), label(0, 0, experiment_id="EXP-search")], judged(True))
    assert [each.experiment_id for each in found.elsewhere] == ["EXP-other"]
    assert [output.value for output in found.outputs] == [0.0]


def test_new_scores_have_the_outputs_of_the_run_that_they_scored():
    """The labels name the run that called the task; its run IDs are not those of the new scores."""
    scored = judged(True, False)
    scored.opened.metadata[FACTS_KEY] = {"source": {"experiment": "EXP-first"}}
    found = matched([label(0, 0, experiment_id="EXP-first", run_id="R77")], scored)
    assert [(output.name, output.value) for output in found.outputs] == [("q0", 0.0)]


def test_the_last_label_of_a_person_counts():
    (output,) = matched([label(0, 1), label(0, 0)], judged(True)).outputs
    assert (output.value, len(output.labels)) == (0.0, 1)


def test_most_people_decide_and_ties_are_left_out():
    labels = [label(0, 1), label(0, 1, "bob"), label(0, 0, "eve"), label(1, 1), label(1, 0, "bob")]
    found = matched(labels, judged(True, True))
    assert [output.value for output in found.outputs] == [1.0, None]
    assert [output.name for output in found.tied] == ["q1"]
    assert [output.name for output in found.compared] == ["q0"]


def test_people_who_differ_are_told():
    labels = [label(n, n % 2) for n in range(10)] + [label(n, n % 2 if n else 1, "bob") for n in range(6)]
    found = agreement_of_people(matched(labels, judged(*[True] * 10)).outputs)
    assert found.annotators == ("ann", "bob")
    assert (found.shared, [output.name for output in found.differing]) == (6, ["q0"])
    assert found.kappa == pytest.approx(2 / 3)


def test_a_person_alone_agrees_with_nobody():
    found = agreement_of_people(matched([label(0, 1)], judged(True)).outputs)
    assert (found.annotators, found.shared, found.kappa, found.differing) == (("ann",), 0, None, ())


def many(size, *, wrong=(), scored=None):
    """Labels that pass four of five outputs, and an evaluator that differs on some."""
    truth = [n % 5 > 0 for n in range(scored or size)]
    return [label(n, truth[n]) for n in range(size)], judged(*[(t != (n in wrong)) for n, t in enumerate(truth)])


def test_the_agreement_is_recorded_with_what_the_evaluator_was():
    labels, found = many(100, wrong={0, 1, 5})
    found.opened.metadata[FACTS_KEY] = {
        "inputs": Inputs(evaluators={"judged": {"judged.py": "abc", "prompt.md": "def"}}).to_json(),
        "outcome": "passed",
    }
    agreement = measured(labels, found)
    calibration = agreement.calibration
    assert (calibration.experiment, calibration.evaluation, calibration.evaluator) == ("search", "judged", "judged")
    assert (calibration.labels, calibration.annotators, calibration.date) == (100, 1, DAY)
    assert (calibration.models, calibration.files) == (("judge-1",), {"judged.py": "abc", "prompt.md": "def"})
    assert calibration.experiment_id == "EXP-search"
    table = calibration.table
    assert (table.true_passes, table.false_failures, table.false_passes, table.true_failures) == (79, 1, 2, 18)
    assert calibration.interval.low < calibration.kappa < calibration.interval.high
    assert [output.name for output in agreement.differing] == ["q0", "q1", "q5"]


def test_the_outputs_of_a_variant_calibrate_its_experiment():
    """Gates look for the calibration of the directory."""
    labels, found = many(60, wrong={0})
    found = replace(found, name="search@worse")
    variant = Variant(name="worse", env={}, directory="search")
    found.opened.metadata[FACTS_KEY] = {"variant": variant.to_json(), "outcome": "passed"}
    assert measured(labels, found).calibration.experiment == "search"


def test_the_rate_is_corrected_from_sixty_labels_on():
    labels, found = many(60, wrong={0, 5}, scored=200)
    agreement = measured(labels, found)
    assert agreement.own_rate == pytest.approx(0.81)
    assert agreement.rate.value == pytest.approx(0.8, abs=0.03)
    assert (agreement.no_rate, agreement.unlabeled) == ("", 140)
    fewer = measured(labels[:59], found)
    assert (fewer.rate, fewer.no_rate) == (None, "59 labels are too few (at least 60)")


def test_labels_that_are_no_fair_sample_are_told():
    """Only outputs that the evaluator failed were labeled."""
    truth = [n % 5 > 0 for n in range(200)]
    labels = [label(n, 0) for n in range(200) if not truth[n]]
    agreement = measured(labels, judged(*truth))
    assert "the evaluator passes 0% of them and 100% of the other outputs" in agreement.bias
    assert measured([label(n, truth[n]) for n in range(50)], judged(*truth)).bias == ""


def test_grades_have_a_weighted_kappa_and_a_rank_correlation():
    labels = [label(n, n % 5, is_score=True) for n in range(60)]
    agreement = measured(labels, judged(*[float(min(4, n % 5 + (n % 7 == 0))) for n in range(60)]))
    assert agreement.calibration.table is None
    assert 0.9 < agreement.calibration.kappa < 1
    assert 0.9 < agreement.correlation < 1
    assert agreement.calibration.interval.low < agreement.calibration.kappa
    assert (agreement.rate, agreement.own_rate) == (None, None)


def test_if_all_labels_and_scores_are_equal_kappa_is_unknown():
    calibration = measured([label(n, 1) for n in range(5)], judged(*[True] * 5)).calibration
    assert calibration.kappa is None


@pytest.mark.parametrize(
    ("labels", "found", "said"),
    [
        (
            [label(n, 1) for n in range(3)],
            judged(0.2, 0.4, 1.0),
            "returns scores other than 0 and 1, but the labels say",
        ),
        (
            [label(9, 1)],
            judged(True),
            "none of the labels matches an output of EXP-search (search). labels.csv, line 11: q9",
        ),
        (
            [label(0, 1, experiment_id="EXP-2")],
            judged(True),
            "of outputs of other experiments (EXP-2), not of EXP-search",
        ),
        ([], judged(True), "there are no labels of outputs of EXP-search (search). Make some with `evalwire label"),
        (
            [label(0, 1), label(0, 0, "bob")],
            judged(True),
            "of 1 labeled output of EXP-search (search), 0 have no score of judged, and there are 1 tie between people",
        ),
    ],
)
def test_without_a_comparison_the_error_says_why(labels, found, said):
    with pytest.raises(UsageError) as caught:
        measured(labels, found)
    assert said in str(caught.value)
