"""Which examples a report shows, in which order, and where their pages are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import boolean, evaluation, red_report, result, run

from evalwire.gates import compare_results
from evalwire.model import Baseline
from evalwire.reports.highlights import changed_examples, comparison_link


def ran(*scores: tuple[bool, float], repetitions: int = 1):
    runs = [
        run(
            n // repetitions,
            f"said {passed} {graded}",
            repetition=n % repetitions + 1,
            evaluations=(boolean("exact", passed=passed), evaluation("graded", graded)),
        )
        for n, (passed, graded) in enumerate(scores)
    ]
    return result("search", runs, evaluators=("exact", "graded"), repetitions=repetitions)


def changed(now, before, **directions):
    baseline = compare_results(now, before, asked="auto", directions=directions or None)
    return changed_examples(baseline, now)


def test_each_example_is_there_once_and_the_largest_loss_is_first():
    before = ran((True, 1.0), (True, 1.0), (True, 1.0), (False, 0.5), (True, 0.5))
    now = ran((True, 0.9), (False, 0.8), (True, 1.0), (True, 0.5), (False, 0.5))
    found = changed(now, before)
    assert [example.run.example.id for example in found] == ["q1", "q4", "q0", "q3"]
    assert [example.is_worse for example in found] == [True, True, True, False]
    assert [(score.evaluation, score.before, score.after) for score in found[0].scores] == [
        ("exact", 1.0, 0.0),
        ("graded", 1.0, 0.8),
    ]
    assert [score.evaluation for score in found[2].scores] == ["graded", "exact"], "the score that lost is first"


def test_a_small_loss_on_a_large_scale_is_small():
    before = ran((True, 100.0), (True, 100.0))
    now = ran((False, 100.0), (True, 99.0))
    other = ran((True, 100.0), (True, 100.0), (True, 100.0)), ran((False, 100.0), (True, 99.0), (True, 0.0))
    assert [example.run.example.id for example in changed(now, before)] == ["q0", "q1"]
    assert [example.run.example.id for example in changed(other[1], other[0])] == ["q0", "q2", "q1"]


def test_lower_is_better_where_it_is_said():
    found = changed(ran((True, 0.9)), ran((True, 0.5)), graded="minimize")
    assert found[0].is_worse
    assert not changed(ran((True, 0.9)), ran((True, 0.5)))[0].is_worse


def test_the_output_before_is_the_one_of_the_same_repetition():
    before = ran((True, 1.0), (True, 0.5), repetitions=2)
    now = ran((True, 1.0), (False, 0.25), repetitions=2)
    [example] = changed(now, before)
    assert example.run.repetition == 2
    assert example.baseline_run is not None
    assert (example.baseline_run.repetition, example.baseline_run.output) == (2, "said True 0.5")
    assert not any(score.is_bool for score in example.scores), "0.5 of two runs is no bool"


def test_without_a_baseline_nothing_changed():
    assert changed_examples(None, ran((True, 1.0))) == []


def test_the_page_of_both_sides_needs_both_on_one_server():
    search = red_report().results[0]
    [baseline] = red_report().baselines
    page = "https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main&experimentId=EXP-doc_search"
    assert comparison_link(baseline, search) == page


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://other.example.com/datasets/RDS1/compare?experimentId=EXP-main"},
        {"url": "https://phoenix.example.com/datasets/RDS2/compare?experimentId=EXP-main"},
        {"url": None},
        {"experiment_id": None},
    ],
)
def test_experiments_that_no_page_shows_together_have_no_link(fields):
    search = red_report().results[0]
    [baseline] = red_report().baselines
    assert comparison_link(replace(baseline, **fields), search) is None
    assert comparison_link(None, search) is None
    assert comparison_link(baseline, replace(search, opened=None)) is None
    assert isinstance(baseline, Baseline)
