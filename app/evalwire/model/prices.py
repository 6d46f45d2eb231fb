"""Prices of language models: the user's own prices, and the prices of known models."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATE = re.compile(r"[-@]20\d{2}(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a model, in USD per million tokens.

    Attributes:
        input: the price of tokens sent to the model.
        output: the price of tokens that the model generated.
        max_prompt_tokens: the largest prompt to which the price applies, in tokens; None for any prompt.
        as_of: the date of the price, as YYYY-MM-DD; empty for the user's own price.
    """

    input: float
    output: float
    max_prompt_tokens: int | None = None
    as_of: str = ""


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """Return the user's own price of a model; otherwise the known price, or None.

    A known model has exactly the name in `known_prices.json`. The name can have a date at its end, such as
    `-2026-03-17` or `@20250929`, and a provider before a slash, such as `openai/`.

    Args:
        model: the name of the model in the spans.
        prices: the user's own prices, by model.
    """
    own = prices.get(model)
    if own is not None:
        return own
    known = _known_prices()
    prefix, slash, name = model.rpartition("/")
    tables = [known["prices"].get(known["prefixes"].get(prefix), {})] if slash else list(known["prices"].values())
    for exact in (name, _DATE.sub("", name)):
        for table in tables:
            if exact in table:
                sent, generated, *limit = table[exact]
                return Price(
                    input=sent, output=generated, max_prompt_tokens=limit[0] if limit else None, as_of=known["date"]
                )
    return None


def price_line(model: str) -> str:
    """Return the line for a model below `[prices]` in `evalwire.toml`, whose numbers the user fills in."""
    return f"{json.dumps(model, ensure_ascii=False)} = {{ input = N, output = N }}"


@functools.cache
def _known_prices() -> Any:
    """Return the content of `known_prices.json`, which `docs/prices.py` writes."""
    return json.loads(Path(__file__).with_name("known_prices.json").read_text(encoding="utf-8"))
