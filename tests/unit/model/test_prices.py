"""Known models have a price by their exact name, and only by it."""

from __future__ import annotations

import tomllib

import pytest

from evalwire.model import ModelUsage, Price, cost_text, price_line, prices_in, usage_cost
from evalwire.model.prices import price_of

MINI = (0.15, 0.6)


def rates(model: str) -> tuple[float, float] | None:
    found = price_of(model, {})
    return (found.input, found.output) if found else None


def used(model: str, *, prompt: int = 1_000_000, longest: int | None = None, **changes: int) -> ModelUsage:
    fields = {
        "calls": 1,
        "unpriced": 1,
        "unpriced_prompt_tokens": prompt,
        "unpriced_longest_prompt": prompt if longest is None else longest,
    }
    return ModelUsage(model=model, **{**fields, **changes})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", MINI),
        ("gpt-4o-mini-2024-07-18", MINI),
        ("gpt-4o-mini-2099-12-31", MINI),
        ("openai/gpt-4o-mini", MINI),
        ("gpt-4o-2024-05-13", (5, 15)),
        ("claude-haiku-4-5-20251001", (1, 5)),
        ("claude-haiku-4-5@20251001", (1, 5)),
        ("gemini/gemini-2.5-flash", (0.3, 2.5)),
        ("models/gemini-2.5-flash", (0.3, 2.5)),
        ("xai/grok-4", (3, 15)),
    ],
)
def test_a_known_name_has_its_price_with_a_date_and_a_provider(model, expected):
    assert rates(model) == expected


@pytest.mark.parametrize(
    "model",
    [
        "",
        "/",
        "gpt-4o-mini-",
        "GPT-4o-mini",
        " gpt-4o-mini",
        "gpt-4o-mini\n",
        "gpt-4o-mini-2024-07-18\n",
        "gpt-4o-mini-2024-13-18",
        "gpt-4o-mini-2024-0718",
        "gpt-4o-mini-20240718-preview",
        "gpt-4o-mini-turbo",
        "ft:gpt-4o-mini-2024-07-18:team::x",
        "anthropic/gpt-4o-mini",
        "azure/gpt-4o-mini",
        "openrouter/openai/gpt-4o-mini",
        "/gpt-4o-mini",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "gpt-oss-20b",
        "mistral-small",
        "gpt-4o-mini-audio-preview",
        "gpt-4o-mini-search-preview",
        "prices",
    ],
)
def test_a_name_that_is_not_exactly_known_has_no_price(model):
    assert price_of(model, {}) is None
    assert usage_cost((used(model),), {}).unpriced == (model,)


def test_the_users_own_price_wins_and_has_no_date():
    own = {"gpt-4o-mini": Price(input=100, output=0)}
    cost = usage_cost((used("gpt-4o-mini"),), own)
    assert (cost.usd, cost.as_of) == (100, "")
    assert usage_cost((used("openai/gpt-4o-mini"),), own).usd == 0.15


def test_a_cost_at_known_prices_has_their_date():
    cost = usage_cost((used("gpt-4o-mini"), used("other")), {})
    assert cost.usd == pytest.approx(0.15)
    assert (cost.unknown, cost.unpriced) == (("other",), ("other",))
    assert cost.as_of == price_of("gpt-4o-mini", {}).as_of != ""  # type: ignore[union-attr] - it has a price
    assert usage_cost((ModelUsage(model="gpt-4o-mini", calls=1, cost_usd=1.0),), {}).as_of == ""


def test_a_prompt_above_the_limit_of_the_price_makes_the_cost_unknown():
    """The sum of all prompts may be above it, a single prompt may not."""
    assert price_of("gemini-2.5-pro", {}).max_prompt_tokens == 200_000  # type: ignore[union-attr] - it has a price
    assert usage_cost((used("gemini-2.5-pro", longest=200_000),), {}).unpriced == ()
    cost = usage_cost((used("gemini-2.5-pro", longest=200_001),), {})
    assert (cost.usd, cost.unpriced) == (0, ("gemini-2.5-pro",))
    own = {"gemini-2.5-pro": Price(input=1, output=1)}
    assert usage_cost((used("gemini-2.5-pro", longest=200_001),), own).usd == 1


def test_the_prices_of_usages_are_the_users_and_those_that_apply():
    own = {"m": Price(input=1, output=2)}
    priced = ModelUsage(model="gpt-4o", calls=1, cost_usd=1.0)
    long = used("gemini-2.5-pro", longest=300_000)
    found = prices_in([(used("gpt-4o-mini"), used("other")), (used("gpt-4o-mini"), priced, long)], own)
    assert list(found) == ["m", "gpt-4o-mini"]
    assert usage_cost((used("gpt-4o-mini"),), found) == usage_cost((used("gpt-4o-mini"),), {})


@pytest.mark.parametrize("model", ["gpt-9", "a.b/c", 'a"b\\c', "名\x1b\n", ""])
def test_the_line_to_add_is_toml_of_that_model(model):
    line = price_line(model).replace("N", "1.5")
    assert tomllib.loads(f"[prices]\n{line}\n") == {"prices": {model: {"input": 1.5, "output": 1.5}}}


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.0, "0.00 USD"),
        (0.00037, "0.00037 USD"),
        (0.000123456, "0.000123 USD"),
        (1e-12, "0.00 USD"),
        (0.01, "0.01 USD"),
        (0.0504, "0.0504 USD"),
        (0.5, "0.50 USD"),
        (0.9999, "1.00 USD"),
        (1.005, "1.00 USD"),
        (12.345, "12.35 USD"),
        (1234567.0, "1,234,567.00 USD"),
    ],
)
def test_a_cost_is_in_cents_and_a_small_cost_has_three_digits(usd, text):
    assert cost_text(usd) == text
