"""Scores that are missing, what does not apply, and bools with labels of their own, in every report."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from reporting import boolean, evaluation, red_report, result, run

from evalwire.model import GateResult
from evalwire.model.report import Report
from evalwire.reports import console, experiment_markdown, html, junit, markdown
from evalwire.reports.highlights import lowest

NA = {"label": "not applicable", "kind": "not_applicable"}
RUNS = [
    run(0, evaluations=(evaluation("judge", 1.0), boolean("cites", passed=True, label="as asked", kind="bool"))),
    run(
        1, evaluations=(evaluation("judge", None, label="N/A"), boolean("cites", passed=False, label="no", kind="bool"))
    ),
    run(2, evaluations=(evaluation("judge", None, label="N/A"), evaluation("cites", None, **NA))),
    run(3, evaluations=(evaluation("judge", None, **NA), boolean("cites", passed=True))),
]
RESULT = result("search", RUNS, evaluators=("judge", "cites"))
LIMIT = GateResult(
    experiment="search",
    evaluation="judge",
    rule="max_label_share",
    label="N/A",
    threshold=0.5,
    value=2 / 3,
    status="failed",
    is_red=True,
    text="judge share of 'N/A' 0.667 is above 0.5",
)
REPORT: Report = red_report(results=(RESULT,), gates=(LIMIT,), baselines=(), outcome="gate_failed")


def page() -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", "".join(html.pieces(REPORT))).split())


@pytest.mark.parametrize("text", [console.render(REPORT), markdown.render(REPORT)], ids=["console", "Markdown"])
def test_a_table_says_how_many_scores_are_missing_and_how_many_do_not_apply(text):
    text = " ".join(text.split())
    assert "1.000 (2 missing, 1 not applicable)" in text
    assert "66.7% (1 not applicable)" in text


def test_the_page_says_it_beside_the_mean():
    text = page()
    assert "judge 1.000 1 2 1 not applicable" in text
    assert "cites 66.7% pass 3 0 1 not applicable" in text


def test_the_page_shows_a_bool_as_one_with_its_own_label_beside_it():
    text = page()
    assert "True as asked" in text
    assert "False no" in text
    assert "True True" not in text
    assert "True: 2 of 3" in text, "the picture counts bools, not their labels"
    assert "judge max_label_share N/A" in text
    assert "66.7%" in text


def test_junit_counts_them_and_skips_what_does_not_apply():
    root = ET.fromstring("".join(junit.pieces(REPORT)))
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["mean judge"] == "1.000"
    assert properties["missing judge"] == "2 of 4 runs have no score"
    assert (properties["not applicable judge"], properties["not applicable cites"]) == ("1", "1")
    assert "missing cites" not in properties
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert "skipped" in cases["judge[q3]"]
    assert "skipped" in cases["cites[q2]"]
    assert "skipped" not in cases["judge[q1]"]
    assert cases["judge max_label_share N/A"] == ["failure"]


def test_a_recorded_experiment_says_it_as_well():
    lines = experiment_markdown.render(RESULT).splitlines()
    assert "- **judge**: 1.0000 (2 of 4 have no score, 1 not applicable)" in lines
    assert "- **cites**: 0.6667 (1 not applicable)" in lines


def test_a_broken_share_of_a_label_does_not_list_low_scores():
    """Which need not have the label."""
    assert "scores</summary>" not in markdown.render(REPORT)


def test_what_was_given_to_some_examples_only_counts_every_kind():
    runs = [*RUNS, run(4, evaluations=(RUNS[0].evaluations[1],))]
    partial = result("search", runs, evaluators=("judge", "cites"))
    text = console.render(red_report(results=(partial,), gates=(), baselines=()))
    assert "score judge: returned for only 4 of 5 examples" in text


def test_of_an_examples_runs_one_that_it_does_not_apply_to_is_shown_last():
    runs = [
        run(n, repetition=repetition, evaluations=(one,))
        for n, given in enumerate(
            [(evaluation("judge", None, **NA), evaluation("judge", 0.2)), (evaluation("judge", 0.9),)]
        )
        for repetition, one in enumerate(given, start=1)
    ]
    [shown] = lowest(result("search", runs, evaluators=("judge",), repetitions=2), "judge")
    assert (shown.run.repetition, shown.after) == (2, 0.2)
