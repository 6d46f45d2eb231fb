"""Variants of an experiment in reports: a column for each, which is better, by how much, and at which cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import boolean, red_report, result, run

from evalwire import reports
from evalwire.gates import compare_variants
from evalwire.model import FACTS_KEY, ModelUsage, Variant
from evalwire.reports.variant_table import variant_tables


def variant(name, passes, *, seconds, usd):
    usage = (ModelUsage(model="m", calls=1, prompt_tokens=90, completion_tokens=10, total_tokens=100, cost_usd=usd),)
    runs = [
        replace(
            run(n, seconds=seconds, evaluations=(replace(boolean("right", passed=n < passes), usage=()),)), usage=usage
        )
        for n in range(20)
    ]
    own = Variant(name=name, directory="answer", env={"MODEL": name}) if name else None
    made = result(own.experiment if own else "answer", runs, evaluators=("right",))
    metadata = {FACTS_KEY: {"variant": own.to_json()}} if own else {}
    return replace(made, opened=replace(made.opened, metadata=metadata))


@pytest.fixture
def report():
    results = (
        variant("", 8, seconds=2.0, usd=0.03),
        variant("small", 9, seconds=0.5, usd=0.01),
        variant("large", 18, seconds=4.0, usd=0.06),
    )
    return replace(
        red_report(), results=results, gates=(), baselines=(), history=(), variants=compare_variants(results, {})
    )


def test_the_table_has_a_column_for_each_variant(report):
    (table,) = variant_tables(report)
    assert (table.experiment, table.names) == ("answer", ("default", "small", "large"))
    assert dict(table.rows) == {
        "right": ("40.0%", "45.0%", "90.0%"),
        "variables": ("-", "MODEL=small", "MODEL=large"),
        "median time": ("2 s", "500 ms", "4 s"),
        "tokens": ("2,000", "2,000", "2,000"),
        "cost": ("0.60 USD", "0.20 USD", "1.20 USD"),
    }


def test_the_sentences_say_which_variant_is_better_by_how_much_and_at_which_cost(report):
    (table,) = variant_tables(report)
    assert [sentence.partition("(")[0].strip() for sentence in table.sentences] == [
        "no significant difference between default and small: right +5.0 points",
        "small costs 0.20 USD instead of 0.60 USD",
        "large is better than default: right 90.0% instead of 40.0%",
        "large costs 1.20 USD instead of 0.60 USD",
        "large is better than small: right 90.0% instead of 45.0%",
    ]
    assert "(0.33 times as much), and takes 500 ms instead of 2 s per run" in table.sentences[1]
    assert "95% interval" in table.sentences[2]
    assert "corrected over 3 differences" in table.note


def test_costs_of_different_numbers_of_runs_are_not_compared(report):
    first, second, third = report.results
    fewer = replace(report, results=(replace(first, runs=first.runs[:19]), second, third))
    assert not [text for text in variant_tables(fewer)[0].sentences if text.startswith("small costs")]


def test_an_unknown_price_is_no_cost(report):
    unpriced = tuple(
        replace(
            each, runs=tuple(replace(run, usage=(replace(run.usage[0], cost_usd=0, unpriced=1),)) for run in each.runs)
        )
        for each in report.results
    )
    (table,) = variant_tables(replace(report, results=unpriced))
    assert not [text for text in table.sentences if " costs " in text]


def test_every_format_for_people_compares_the_variants(report):
    formats = (reports.console, reports.markdown, reports.html)
    texts = ["".join(each.pieces(report)).replace("\\", "") for each in formats]
    for text in texts:
        assert "large is better than small: right 90.0% instead of 45.0%" in text
        assert "MODEL=large" in text
    lines = reports.console.render(report, width=80).splitlines()
    assert max(len(line) for line in lines if "://" not in line) <= 80


def test_a_report_without_variants_has_no_table(report):
    assert variant_tables(replace(report, variants=())) == []
    assert "ariants of" not in reports.console.render(replace(report, variants=()))


def test_runs_that_failed_in_a_variant_are_a_row(report):
    first, second, third = report.results
    fewer = replace(report, results=(replace(first, example_count=22), second, third))
    assert dict(variant_tables(fewer)[0].rows)["failed runs"] == ("2", "0", "0")
