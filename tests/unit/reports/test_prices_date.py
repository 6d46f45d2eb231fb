"""Reports say once of which date the known prices in their costs are, and record the prices."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import reporting

from evalwire.model import GateResult, ModelUsage, Price, Report, usage_cost
from evalwire.model.prices import price_of
from evalwire.reports import console, html, markdown, results_json

USED = (ModelUsage(model="gpt-4o-mini", calls=1, total_tokens=1_000_000, unpriced=1, unpriced_prompt_tokens=1_000_000),)
DATE = price_of("gpt-4o-mini", {}).as_of  # type: ignore[union-attr] - it has a price


def report_of(**changes: object) -> Report:
    """Two experiments, each with a run of a known model and a gate on its cost that failed."""
    names = ("search", "router")
    found = [reporting.result(name, [reporting.run(1, usage=USED)], evaluators=()) for name in names]
    over = {"rule": "max_cost_usd", "threshold": 0.1, "value": 0.15, "status": "failed", "is_red": True}
    gates = tuple(GateResult(experiment=name, **over, text="the experiment cost 0.15 USD") for name in names)
    return reporting.red_report(**{"results": tuple(found), "gates": gates, "baselines": (), "prices": {}, **changes})


def page(report: Report) -> str:
    return "".join(html.pieces(report))


@pytest.mark.parametrize(
    ("render", "shown"),
    [
        (console.render, f"\nprices of {DATE}\n"),
        (markdown.render, f"2,000,000 tokens, 0.30 USD (prices of {DATE})"),
        (page, f"<dt>Prices</dt><dd>of {DATE}</dd>"),
    ],
)
def test_the_date_is_shown_once_and_only_with_known_prices(render, shown):
    assert render(report_of()).count(shown) == 1
    assert DATE not in render(report_of(prices={"gpt-4o-mini": Price(input=1, output=1)}))


def test_a_terminal_without_a_cost_has_no_date():
    passed = tuple(replace(gate, status="passed", is_red=False) for gate in report_of().gates)
    assert DATE not in console.render(report_of(gates=passed))
    assert DATE in console.render(report_of(gates=passed), verbose=True)
    assert DATE not in console.render(report_of(gates=()))


def test_results_json_has_the_known_prices_that_it_used():
    """Another version, with other prices, shows the same cost."""
    text = "".join(results_json.pieces(report_of()))
    assert json.loads(text)["prices"] == {
        "gpt-4o-mini": {"input": 0.15, "output": 0.6, "max_prompt_tokens": None, "as_of": DATE}
    }
    read = results_json.read_results(text)
    assert usage_cost(USED, read.prices) == usage_cost(USED, {})
    assert markdown.render(read) == markdown.render(results_json.read_results("".join(results_json.pieces(read))))


def test_a_results_json_from_before_known_prices_is_read():
    found = json.loads("".join(results_json.pieces(report_of())))
    found["prices"] = {"gpt-4o-mini": {"input": 1.0, "output": 2.0}}
    for experiment in found["experiments"]:
        for used in [*experiment["usage"], *(one for run in experiment["runs"] for one in run["usage"])]:
            del used["unpriced_longest_prompt"]
    assert results_json.read_results(json.dumps(found)).prices == {"gpt-4o-mini": Price(input=1.0, output=2.0)}
