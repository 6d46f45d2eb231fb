"""Budgets as values: which amounts exceed them, which usage they cannot count, and what a report says was used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalwire.model import Amount, Budget, BudgetUse, ModelUsage, Price

PRICES = {"priced": Price(input=2.0, output=4.0)}
BOTH = Budget(max_cost_usd=5.0, max_tokens=2_000)
NOT_COUNTED = "has no token counts, so the budget cannot count it"


def test_amounts_are_added_and_compared_in_cost_and_tokens():
    small, large = Amount(usd=1.5, tokens=30), Amount(usd=0.5, tokens=70)
    assert small + large == Amount(usd=2.0, tokens=100)
    assert small.at_least(large) == large.at_least(small) == Amount(usd=1.5, tokens=70)
    assert Amount() == Amount(usd=0.0, tokens=0)


@pytest.mark.parametrize(
    ("limits", "is_set", "limits_usage"),
    [
        ({}, False, False),
        ({"max_seconds": 0.0}, True, False),
        ({"max_cost_usd": 0.0}, True, True),
        ({"max_tokens": 0}, True, True),
    ],
)
def test_a_limit_of_nothing_is_a_limit(limits, is_set, limits_usage):
    budget = Budget(**limits)
    assert (budget.is_set, budget.limits_usage) == (is_set, limits_usage)


def test_each_shard_may_use_a_token_and_has_no_limit_that_the_job_does_not_have():
    assert Budget(max_tokens=3).of_shard(5) == Budget(max_tokens=1)
    assert Budget(max_cost_usd=3.0, max_seconds=9.0).of_shard(2) == Budget(max_cost_usd=1.5, max_seconds=9.0)
    assert Budget(max_cost_usd=0.0, max_tokens=5).of_shard(2) == Budget(max_cost_usd=0.0, max_tokens=2)


def test_the_deadline_is_after_the_seconds_that_earlier_attempts_left():
    assert Budget(max_seconds=10.0, spent_seconds=4.0).started_at(100.0).deadline == 106.0
    assert Budget(max_cost_usd=1.0, spent_seconds=4.0).started_at(100.0).deadline is None


@pytest.mark.parametrize(
    ("amount", "limit"),
    [
        (Amount(usd=5.0, tokens=2_000), None),
        (Amount(usd=5.0 + 1e-12), None),  # a rounding error
        (Amount(usd=5.01), "5.00 USD"),
        (Amount(tokens=2_001), "2,000 tokens"),
        (Amount(usd=5.01, tokens=2_001), "5.00 USD"),
    ],
)
def test_an_amount_exceeds_a_budget_by_more_than_a_rounding_error(amount, limit):
    assert BOTH.exceeded_by(amount) == limit
    assert Budget(max_seconds=1.0).exceeded_by(amount) is None


def unpriced(model: str, **changes: int) -> ModelUsage:
    return ModelUsage(model=model, calls=1, unpriced=1, **changes)


@pytest.mark.parametrize(
    ("budget", "usage", "reason"),
    [
        (
            BOTH,
            (unpriced("new"), unpriced("priced"), unpriced("")),
            (
                'the price of new, a model without a name is not known. Add "new" = { input = N, output = N } and '
                '"" = { input = N, output = N } below [prices], in USD per million tokens'
            ),
        ),
        (
            BOTH,
            (unpriced("priced", uncounted=1), ModelUsage(model="", uncounted=1), ModelUsage(model="fine")),
            f"an LLM span of priced, a model without a name {NOT_COUNTED}",
        ),
        (
            Budget(max_cost_usd=5.0),
            (unpriced("priced", uncounted=1), ModelUsage(model="free", cost_usd=1.0, uncounted=1)),
            f"an LLM span of priced {NOT_COUNTED}",
        ),
        (
            Budget(max_tokens=5),
            (unpriced("new"), ModelUsage(model="free", cost_usd=1.0, uncounted=1)),
            f"an LLM span of free {NOT_COUNTED}",
        ),
        (BOTH, (unpriced("priced"),), ""),
        (Budget(max_seconds=5.0), (unpriced("new", uncounted=1),), ""),
        (BOTH, (), ""),
        (Budget(max_seconds=5.0), None, ""),
        (Budget(max_tokens=5), None, "the usage of a call was not recorded, so the budget cannot count it"),
    ],
)
def test_usage_that_a_limit_needs_and_nobody_knows_is_named(budget, usage, reason):
    """All models at once, so that one change of the settings is enough."""
    assert replace(budget, prices=PRICES).unknown_in(usage) == reason


def test_the_amount_of_a_usage_has_the_cost_of_the_spans_and_of_the_prices():
    usage = (
        ModelUsage(model="m", cost_usd=0.5, total_tokens=10),
        unpriced("priced", total_tokens=7, unpriced_prompt_tokens=1_000_000, unpriced_completion_tokens=500_000),
        unpriced("new", total_tokens=3),
    )
    assert Budget(prices=PRICES).amount_of(usage) == Amount(usd=4.5, tokens=20)
    assert Budget().amount_of(None) == Budget().amount_of(()) == Amount()


def test_the_use_of_a_budget_names_each_limit():
    used = BudgetUse(spent_usd=4.984, spent_tokens=12_345, spent_seconds=59.6)
    assert used.text == ""
    limits = {"max_cost_usd": 5.0, "max_tokens": 20_000, "max_seconds": 90.5}
    parts = ["4.98 of 5.00 USD", "12,345 of 20,000 tokens", "60 of 90.5 s"]
    for (name, limit), part in zip(limits.items(), parts, strict=True):
        own = BudgetUse(spent_usd=4.984, spent_tokens=12_345, spent_seconds=59.6, **{name: limit})
        assert own.text == part
    assert BudgetUse(spent_usd=4.984, spent_tokens=12_345, spent_seconds=59.6, **limits).text == ", ".join(parts)
    assert (
        BudgetUse(max_cost_usd=0.0, max_tokens=0, max_seconds=0.0).text == "0.00 of 0.00 USD, 0 of 0 tokens, 0 of 0 s"
    )
