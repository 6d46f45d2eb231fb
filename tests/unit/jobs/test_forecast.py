"""Forecasts: sums over experiments, their intervals, their texts, and the jobs that they refuse."""

from __future__ import annotations

import random

import pytest
from reporting import result, run

from evalwire.jobs.forecast import forecast_of, forecast_text, refusal
from evalwire.jobs.past_usage import PastUsage
from evalwire.model import Amount, Budget, Forecast, ModelUsage, run_tokens


def past(**changes):
    fields = {"runs": 100, "usd": 2.0, "tokens": 1_000, "spread": 0.5, "p95": 1.8, "source": "main 9e66459"}
    return PastUsage(**{**fields, **changes})


def test_forecast_is_the_sum_of_all_experiments():
    found = forecast_of({"a": 200, "b": 50}, {"a": past(), "b": past(usd=4.0, source="main 0000000")})
    assert (found.runs, found.usd, found.tokens) == (250, 6.0, 2_500)
    assert found.source == "main 9e66459 and main 0000000"
    assert found.low_usd < 6.0 < found.high_usd


def test_interval_holds_in_nine_of_ten_cases():
    """Runs are drawn like the runs of the past, whose mean is an estimate, too."""
    rng = random.Random(1)
    inside = 0
    for _ in range(400):
        before = [rng.gammavariate(4.0, 0.25) for _ in range(60)]
        mean = sum(before) / 60
        sd = (sum((cost - mean) ** 2 for cost in before) / 59) ** 0.5
        found = forecast_of({"a": 90}, {"a": past(runs=60, usd=sum(before), spread=sd / mean)})
        inside += found.low_usd <= sum(rng.gammavariate(4.0, 0.25) for _ in range(90)) <= found.high_usd
    assert 0.86 <= inside / 400 <= 0.94


def test_experiment_without_a_past_is_named():
    found = forecast_of({"a": 100, "new": 5}, {"a": past(), "new": None})
    assert found.unknown == ("new",)
    expected = "about 2.00 USD (1.77 to 2.23), 1,000 tokens for 105 runs, without new, based on main 9e66459"
    assert forecast_text(found, Budget()) == expected


def test_forecast_without_any_past_is_not_known():
    text = forecast_text(forecast_of({"a": 100}, {"a": None}), Budget(max_cost_usd=5.0))
    assert text == "not known, because no complete experiment with a recorded usage was found; budget 5.00 USD"


def test_unknown_spread_gives_no_interval():
    text = forecast_text(forecast_of({"a": 100}, {"a": past(spread=None)}), Budget(max_tokens=2_000))
    assert text == "about 2.00 USD, 1,000 tokens for 100 runs, based on main 9e66459; budget 2,000 tokens"


def test_free_experiment_shows_its_tokens():
    text = forecast_text(forecast_of({"a": 100}, {"a": past(usd=0.0)}), Budget())
    assert text == "about 1,000 tokens for 100 runs, based on main 9e66459"


@pytest.mark.parametrize(
    ("budget", "start", "refused"),
    [
        (Budget(max_cost_usd=1.99), "refuse", True),
        (Budget(max_cost_usd=2.0), "refuse", False),
        (Budget(max_cost_usd=1.99), "try", False),
        (Budget(max_tokens=999), "refuse", True),
        (Budget(max_tokens=1_000), "refuse", False),
        (Budget(max_seconds=1.0), "refuse", False),
        (Budget(max_cost_usd=0.5, spent=Amount(usd=0.1)), "refuse", True),
    ],
)
def test_job_is_refused_if_its_forecast_is_above_the_budget(budget, start, refused):
    assert bool(refusal(Forecast(runs=100, usd=2.0, tokens=1_000), budget, start=start)) == refused
    assert refusal(None, budget, start=start) == ""


def test_large_run_is_expected_from_the_percentile_of_the_past():
    assert past(usd=1.0, p95=2.0).largest == Amount(usd=0.02, tokens=20)
    assert past(p95=None).largest is None


def test_tokens_of_runs_are_summarized():
    usages = [(ModelUsage(model="m", calls=1, total_tokens=n),) for n in range(1, 22)]
    found = run_tokens(result("a", [run(n, usage=used) for n, used in enumerate(usages)], evaluators=()))
    assert found is not None
    assert (found["mean"], found["p95"]) == (11.0, 20.0)
    assert found["sd"] == pytest.approx(6.205, abs=0.001)


@pytest.mark.parametrize("usages", [[None, ()], [(), ()]])
def test_unknown_or_absent_usage_has_no_summary(usages):
    assert run_tokens(result("a", [run(n, usage=used) for n, used in enumerate(usages)], evaluators=())) is None
