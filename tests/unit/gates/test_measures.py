"""What a gate measures: the whole sentence, and the interval over repetitions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from applying import BECAUSE, NA, NOT_YET, gate, mixed, verdict
from reporting import evaluation, failure

from evalwire.model import interval_of_mean

BROKEN = evaluation("s", None, failure=failure(stage="evaluator"))


@pytest.mark.parametrize(
    ("found", "asked", "text"),
    [
        (
            mixed(1.0, 0.5),
            gate("min_pass_rate", 0.5),
            (
                "s returns numbers, so it has no pass rate; limit the mean, or return a bool: "
                'True, (True, "why") or {"score": True}'
            ),
        ),
        (
            mixed(1.0, "unsure"),
            gate("min", 0.9),
            (
                "s mean 1.000 is at least 0.9, but 1 of 2 runs have no score and do not count in the mean; 1 of them have "
                'a label but no score: return a score or evalwire.NOT_APPLICABLE, or set missing = "ignore"'
            ),
        ),
        (
            mixed("a", "b", None),
            gate("min_examples", 2),
            "s has labels for 2 examples, at least 2; 1 of 3 runs have no label",
        ),
        (
            mixed("b", "b", "f", "e", "d", "c", "a"),
            gate("max_label_share", 0, label="other"),
            (
                "s share of 'other' 0.0% is at most 0% (95% interval 0.0% to 35.4%); no run has this label; "
                "the labels are: 'b' 2, 'a' 1, 'c' 1, 'd' 1, 'e' 1"
            ),
        ),
    ],
)
def test_a_measure_is_told_in_a_whole_sentence(found, asked, text):
    assert verdict(found, asked).text == text


@pytest.mark.parametrize("given", [(0.5, NA, 0.5), ("a", NA, "b"), ("a", BROKEN, "b"), (0.5, None, 0.5)])
def test_examples_count_if_the_evaluation_itself_has_a_score(given):
    """Another evaluation of the same run does not count."""
    alone = mixed(*given)
    runs = [replace(each, evaluations=(*each.evaluations, evaluation("t", 1.0))) for each in alone.runs]
    both = replace(alone, runs=tuple(runs), evaluator_names=("s", "t"))
    assert [verdict(found, gate("min_examples", 2)).value for found in (alone, both)] == [2, 2]


def test_an_ignored_label_has_not_passed_a_limit_on_passes_and_a_failed_run_has():
    found = mixed(BECAUSE, NOT_YET, NOT_YET, "unsure", "unsure", None)
    assert verdict(found, gate("max_pass_rate", 1, missing="ignore")).value == 2 / 4
    assert verdict(found, gate("max_pass_rate", 1)).value == 4 / 6


@pytest.mark.parametrize(
    ("odd", "asked", "share"),
    [
        ((BECAUSE, None), gate("min_pass_rate", 0), 0.5),
        ((NOT_YET, None), gate("max_pass_rate", 1), 0.5),
        ((BECAUSE, "unsure"), gate("min_pass_rate", 0), 0.5),
        ((BECAUSE, "unsure"), gate("min_pass_rate", 0, missing="ignore"), 1),
        ((NOT_YET, "unsure"), gate("max_pass_rate", 1), 0.5),
        ((NOT_YET, "unsure"), gate("max_pass_rate", 1, missing="ignore"), 0),
        ((BECAUSE, None), gate("min_label_share", 0, label="because"), 0.5),
        ((NOT_YET, None), gate("max_label_share", 1, label="because"), 0.5),
        ((NOT_YET, NA), gate("max_label_share", 1, label="because"), 0),
    ],
)
def test_the_interval_over_repetitions_counts_what_is_missing_like_the_rate(odd, asked, share):
    """Another evaluation of the same run is in neither."""
    others = [(BECAUSE, BECAUSE)] * 7 + [(NOT_YET, NOT_YET)] * 4 + [(BECAUSE, NOT_YET)]
    alone = mixed(*itertools.chain(*others), *odd, repetitions=2)
    first = evaluation("t", 1.0, label="because", kind="bool")
    runs = [replace(each, evaluations=(first, *each.evaluations) if each.evaluations else ()) for each in alone.runs]
    both = replace(alone, runs=tuple(runs), evaluator_names=("t", "s"))
    expected = interval_of_mean([1.0] * 7 + [0.0] * 4 + [0.5, share])
    assert 0 < expected.low < expected.high < 1, "no end hides another"
    assert [verdict(found, asked).interval for found in (alone, both)] == [expected, expected]
