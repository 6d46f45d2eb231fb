"""A script that writes app/evalwire/model/known_prices.json from the package genai-prices."""  # noqa: INP001

import argparse
import json
import math
import re
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

FILE = Path(__file__).parents[1] / "app" / "evalwire" / "model" / "known_prices.json"
# Providers whose models only they and resellers at their price offer, by the prefix of a name. Models that
# anyone can host are left out: a span does not name the host, and hosts have different prices.
PREFIXES = {
    "anthropic": "anthropic",
    "gemini": "google",  # LiteLLM's, as `xai`
    "google": "google",
    "models": "google",  # its API's
    "openai": "openai",
    "x-ai": "x-ai",
    "xai": "x-ai",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
# Words in the names of models that are not priced by tokens of text alone, and of models with open weights.
_OTHER = {"audio", "embed", "image", "live", "oss", "realtime", "research", "search", "transcribe", "tts"}


def table(on: date) -> dict[str, Any]:
    """Return the prices of a day: by provider and exact name, as `[input, output]` or `[input, output, limit]`.

    Prices are in USD per million tokens. The limit is the number of prompt tokens above which a call costs more.

    Raises:
        ValueError: two providers have a model of the same name.
    """
    makers = [provider for provider in providers if provider.id in PREFIXES.values()]
    found = {provider.id: dict(sorted(_prices(provider, on))) for provider in makers}
    names = [name for prices in found.values() for name in prices]
    if len(names) != len(set(names)) or found.keys() != set(PREFIXES.values()):
        raise ValueError("a provider is missing, or providers share the name of a model")
    return {
        "source": f"genai-prices {metadata.version('genai-prices')}",
        "date": on.isoformat(),
        "prefixes": PREFIXES,
        "prices": found,
    }


def _prices(provider: types.Provider, on: date) -> Iterator[tuple[str, list[float]]]:
    """Yield the name and the price of each model whose name alone identifies the provider and the model."""
    for model in provider.models:
        price = _price(model, on)
        for name in {model.id, *_exact_names(model.match)} if price else ():
            is_text = _NAME.fullmatch(name) is not None and _OTHER.isdisjoint(name.split("-"))
            is_own = provider.model_match is not None and provider.model_match.is_match(name)
            if is_text and is_own and provider.find_model(name) is model:
                yield name, price


def _exact_names(clause: Any) -> Iterator[str]:
    """Yield the names that a rule of genai-prices spells out; a prefix is a name of its model, too."""
    match clause:
        case types.ClauseEquals():
            yield clause.equals
        case types.ClauseStartsWith():
            yield clause.starts_with
        case types.ClauseOr():
            for part in clause.or_:
                yield from _exact_names(part)


def _price(model: types.ModelInfo, on: date) -> list[float]:
    """Return the price of a model; an empty list if it is not a price per token alone."""
    priced = model.prices
    if isinstance(priced, list):
        if any(isinstance(each.constraint, types.TimeOfDateConstraint) for each in priced):
            return []
        priced = [each.prices for each in priced if each.constraint is None or each.constraint.start_date <= on][-1]
    values = [vars(priced).get(key) for key in ("input_mtok", "output_mtok")]
    if None in values or vars(priced).get("requests_kcount"):
        return []
    limits = [tier.start for value in values if isinstance(value, types.TieredPrices) for tier in value.tiers]
    bases = [value.base if isinstance(value, types.TieredPrices) else value for value in values]
    return [*map(_number, bases), *([min(limits)] if limits else [])]


def _number(value: Any) -> float:
    number = float(value)
    return int(number) if math.isclose(number, round(number)) and number >= 1 else number


def text(of: dict[str, Any]) -> str:
    """Return the table as JSON text, a line for each model."""
    head = "".join(f"  {json.dumps(key)}: {json.dumps(of[key])},\n" for key in ("source", "date", "prefixes"))
    blocks = [
        f"    {json.dumps(maker)}: {{\n"
        + ",\n".join(f"      {json.dumps(name)}: {json.dumps(price)}" for name, price in prices.items())
        + "\n    }"
        for maker, prices in of["prices"].items()
    ]
    return "{\n" + head + '  "prices": {\n' + ",\n".join(blocks) + "\n  }\n}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("date", type=date.fromisoformat, help="day of the release of genai-prices, as YYYY-MM-DD")
    FILE.write_text(text(table(parser.parse_args().date)), encoding="utf-8")
