"""What calls of language models used: tokens and money, by model (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What the calls of one model used.

    Attributes:
        model: its name, as the spans have it; empty where they do not say.
        calls: LLM spans.
        prompt_tokens: sent to it.
        completion_tokens: made by it.
        total_tokens: of the two, or as the spans give it.
        cost_usd: of the calls whose spans tell their cost.
        uncounted: calls whose spans have no token counts.
        unpriced: calls whose spans do not tell their cost.
        unpriced_prompt_tokens: of those calls, to be priced by a table.
        unpriced_completion_tokens: likewise.
    """

    model: str
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost_usd: float = 0.0
    uncounted: int = 0
    unpriced: int = 0
    unpriced_prompt_tokens: int = 0
    unpriced_completion_tokens: int = 0


Usage = tuple[ModelUsage, ...]

_NUMBERS = tuple(item.name for item in fields(ModelUsage) if item.name != "model")


def total(parts: Iterable[Usage]) -> Usage:
    """The sum of several usages, by model, in the order of the names."""
    sums: dict[str, dict[str, float]] = {}
    for part in parts:
        for one in part:
            mine = sums.setdefault(one.model, dict.fromkeys(_NUMBERS, 0))
            for name in _NUMBERS:
                mine[name] += getattr(one, name)
    return tuple(ModelUsage(model=model, **sums[model]) for model in sorted(sums))  # type: ignore[arg-type]


def tokens(usage: Usage) -> int:
    """All tokens of a usage."""
    return sum(one.total_tokens for one in usage)


def cost_usd(usage: Usage, prices: Mapping[str, Price]) -> tuple[float, list[str]]:
    """The cost in US dollars, and the models whose cost is not known (part of it then lacks in the sum).

    A span's own cost counts first; what has none is priced by `prices`, by the model's name.
    """
    cost, unknown = 0.0, []
    for one in usage:
        cost += one.cost_usd
        price = prices.get(one.model)
        if not one.unpriced:
            continue
        if price is None or one.uncounted:
            unknown.append(one.model)
        if price is not None:
            cost += one.unpriced_prompt_tokens * price.input / 1e6
            cost += one.unpriced_completion_tokens * price.output / 1e6
    return cost, unknown
