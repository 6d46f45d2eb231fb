"""Reports of an experiment that ended early: each number of runs once, and all of them together the whole experiment."""

from __future__ import annotations

import re

import pytest
from reporting import boolean, red_report, result, run

from evalwire.model import ModelUsage, Report, Stopping
from evalwire.reports import annotations, console, html, markdown
from evalwire.reports.measured import not_needed_text


def early_report(*, seen: int = 3, of: int = 10, beyond: int = 2) -> Report:
    """A report of an experiment that passed after its first runs."""
    runs = [run(n, evaluations=(boolean("right", passed=True, usage=()),)) for n in range(1, seen + 1)]
    stopping = Stopping(seen=seen, of=of, beyond=beyond, risk=0.01)
    found = result("greeting", runs, evaluators=("right",), stopping=stopping)
    return red_report(outcome="passed", exit_code=0, results=(found,), gates=(), baselines=(), journal=None)


def words_of(report: Report) -> str:
    """Return the words of the page."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", "".join(html.pieces(report)), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize("text_of", [words_of, markdown.render, console.render])
@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({}, "5 runs not needed, 2 runs in flight not counted"),
        ({"beyond": 0}, "7 runs not needed"),
        ({"of": 4, "beyond": 1}, "1 run in flight not counted"),
    ],
)
def test_every_format_says_what_became_of_the_other_runs(text_of, numbers, said):
    text = text_of(early_report(**numbers))
    assert said in text
    assert ("in flight" in text) == ("in flight" in said)
    assert ("not needed" in text) == ("not needed" in said)


def test_the_page_says_once_after_which_part_the_gates_were_decided():
    said = "PASSED decided after 3 of 10 examples, risk 1% No gate failed. 5 runs not needed"
    assert said in words_of(early_report())
    assert "No gate failed. 1 run in flight not counted. " in words_of(early_report(of=4, beyond=1))


def test_the_page_shows_how_many_examples_count():
    said = words_of(early_report())
    assert "greeting passed 3 of 10 0 0" in said, "in the table of experiments"
    assert "greeting passed 3 of 10 examples dataset greeting" in said


def test_a_pull_request_shows_an_early_pass_as_a_notice():
    (line,) = annotations.lines(early_report())
    assert re.match(r"::notice title=evalwire::.*decided after 3 of 10 examples", line), line


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ((ModelUsage(model="m", calls=1, cost_usd=0.5),), "9 runs not needed (about 4.50 USD)"),
        ((ModelUsage(model="new", calls=1, unpriced=1, unpriced_prompt_tokens=5),), "9 runs not needed"),
        (None, "9 runs not needed"),
    ],
)
def test_what_early_verdicts_saved_is_estimated_only_from_costs_that_are_all_known(usage, said):
    priced = (ModelUsage(model="m", calls=1, cost_usd=0.5),)
    found = [
        result(name, [run(0, usage=used)], evaluators=(), stopping=Stopping(seen=1, of=of))
        for name, used, of in (("a", priced, 5), ("b", usage, 6))
    ]
    assert not_needed_text(red_report(results=tuple(found), gates=(), baselines=(), journal=None)) == said
