"""Usage of language models: tokens and cost, by model (pure)."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from evalwire.model.prices import price_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalwire.model.prices import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """The usage of a model.

    Attributes:
        model: the name of the model in the spans; empty if they do not have a name.
        calls: the number of LLM spans.
        prompt_tokens: the number of tokens sent to the model.
        completion_tokens: the number of tokens that the model generated.
        total_tokens: the sum of both, or the total that the spans report.
        cost_usd: the cost of the calls whose spans report a cost, in USD.
        uncounted: the number of calls whose spans have no token counts.
        unpriced: the number of calls whose spans do not report a cost.
        unpriced_prompt_tokens: the prompt tokens of unpriced calls, to which a price table applies.
        unpriced_completion_tokens: the completion tokens of unpriced calls. They include tokens that a span counts only
            in its total.
        unpriced_longest_prompt: the prompt tokens of the unpriced call that has the most.
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
    unpriced_longest_prompt: int = 0


Usage = tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanUsage:
    """The usage that a span of a trace reports.

    Attributes:
        id: the ID of the span.
        parent_id: the ID of the parent span; None for a root span.
        is_llm: whether the span is a call to a language model, by its OpenInference kind.
        is_refused: whether the provider refused the call, such as for a rate limit, so that it used nothing.
        model: the name of the model; empty if the span does not report it.
        prompt_tokens: the number of prompt tokens; None if not reported.
        completion_tokens: the number of completion tokens; None if not reported.
        total_tokens: the total number of tokens; None if not reported.
        cost_usd: the cost in USD; None if not reported.
    """

    id: int
    parent_id: int | None = None
    is_llm: bool = False
    is_refused: bool = False
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def is_counted(self) -> bool:
        """True if the span reports any token count."""
        return any(count is not None for count in (self.prompt_tokens, self.completion_tokens, self.total_tokens))


_MOST_DECIMALS = 10

_NUMBERS = tuple(item.name for item in fields(ModelUsage) if item.name != "model")


def usage_of_spans(spans: Iterable[SpanUsage]) -> Usage:
    """Return the usage that the LLM spans of a trace report.

    Only LLM spans count, because other spans repeat the figures of the LLM spans in them. A refused call without tokens
    does not count. Nested LLM spans (a framework's span around its provider's) describe a single call. Of these, the
    outermost span with token counts counts. If none has token counts, the outermost span counts as a call without them.
    """
    by_id = {span.id: span for span in spans}
    llm = [span for span in by_id.values() if span.is_llm and (span.is_counted or not span.is_refused)]
    ids = {span.id for span in llm}
    around = {span.id: [outer for outer in _around(span, by_id) if outer.id in ids] for span in llm}
    covering = {outer.id for span in llm if span.is_counted for outer in around[span.id]}
    counted = [
        span
        for span in llm
        if not any(outer.is_counted for outer in around[span.id])
        and (span.is_counted or not (span.id in covering or any(outer.id not in covering for outer in around[span.id])))
    ]
    return total_usage((_of_span(span),) for span in counted)


def _around(span: SpanUsage, by_id: Mapping[int, SpanUsage]) -> list[SpanUsage]:
    """Return the ancestors of a span, innermost first."""
    found: list[SpanUsage] = []
    parent = span.parent_id
    while parent is not None and parent in by_id and len(found) < len(by_id):
        found.append(by_id[parent])
        parent = by_id[parent].parent_id
    return found


def _of_span(span: SpanUsage) -> ModelUsage:
    prompt, completion = span.prompt_tokens or 0, span.completion_tokens or 0
    unsplit = max(0, (span.total_tokens or 0) - prompt - completion)  # reasoning tokens, or only a total is reported
    is_priced = span.cost_usd is not None
    return ModelUsage(
        model=span.model,
        calls=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion if span.total_tokens is None else span.total_tokens,
        cost_usd=span.cost_usd or 0.0,
        uncounted=int(not span.is_counted),
        unpriced=int(not is_priced),
        unpriced_prompt_tokens=0 if is_priced else prompt,
        unpriced_completion_tokens=0 if is_priced else completion + unsplit,  # the higher price
        unpriced_longest_prompt=0 if is_priced else prompt,
    )


def total_usage(parts: Iterable[Usage]) -> Usage:
    """Add up several usages, by model, sorted by name."""
    sums: dict[str, dict[str, float]] = {}
    for part in parts:
        for usage in part:
            model_sums = sums.setdefault(usage.model, dict.fromkeys(_NUMBERS, 0))
            for name in _NUMBERS:
                combine = max if name == "unpriced_longest_prompt" else operator.add
                model_sums[name] = combine(model_sums[name], getattr(usage, name))
    return tuple(ModelUsage(model=model, **sums[model]) for model in sorted(sums))  # type: ignore[arg-type]


def usage_to_json(usage: Usage | None) -> list[dict[str, Any]] | None:
    """Convert a usage to JSON, for `usage_from_json`; None stays None."""
    return None if usage is None else [asdict(part) for part in usage]


def usage_from_json(parts: Iterable[Mapping[str, Any]] | None) -> Usage | None:
    """Read a usage that `usage_to_json` wrote; None stays None.

    Raises:
        TypeError: another version wrote the usage.
    """
    return None if parts is None else tuple(ModelUsage(**part) for part in parts)


def token_count(usage: Usage) -> int:
    """Return the total number of tokens of a usage."""
    return sum(part.total_tokens for part in usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a usage.

    Attributes:
        usd: the cost in USD, as far as it is known.
        unknown: the models whose cost is not fully known.
        unpriced: the models without a price, which are a part of `unknown`.
        as_of: the date of the known prices in the cost; empty if it has none.
    """

    usd: float
    unknown: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()
    as_of: str = ""

    @property
    def text(self) -> str:
        """The cost as text, marked as a minimum if a part is unknown."""
        return cost_text(self.usd) + (" or more" if self.unknown else "")


def usage_cost(usage: Usage, prices: Mapping[str, Price]) -> Cost:
    """Return the cost of a usage, without unknown parts.

    The cost in a span takes precedence, then `prices`, then the price of a known model.

    Args:
        usage: the usage.
        prices: the user's own prices, by model.
    """
    usd, as_of = 0.0, ""
    unknown, unpriced = [], []
    for part in usage:
        usd += part.cost_usd
        if not part.unpriced:
            continue
        price = _price_of_calls(part, prices)
        if price is None or part.uncounted:
            unknown.append(part.model)
        if price is None:
            unpriced.append(part.model)
        else:
            usd += part.unpriced_prompt_tokens * price.input / 1e6
            usd += part.unpriced_completion_tokens * price.output / 1e6
            as_of = max(as_of, price.as_of)
    return Cost(usd=usd, unknown=tuple(unknown), unpriced=tuple(unpriced), as_of=as_of)


def prices_in(usages: Iterable[Usage], prices: Mapping[str, Price]) -> dict[str, Price]:
    """Return the user's own prices, and the known prices that apply to usages, by the name of the model in spans."""
    parts = [part for part in total_usage(usages) if part.unpriced]
    found = {part.model: price for part in parts if (price := _price_of_calls(part, prices)) is not None}
    return {**prices, **found}


def cost_text(usd: float) -> str:
    """Return a cost as text: in cents, or with three digits if it is below a dollar."""
    decimals = 2 if usd >= 1 or usd <= 0 else min(_MOST_DECIMALS, 2 - math.floor(math.log10(usd)))
    whole, _, part = f"{usd:,.{decimals}f}".partition(".")
    return f"{whole}.{part[:2]}{part[2:].rstrip('0')} USD"


def _price_of_calls(part: ModelUsage, prices: Mapping[str, Price]) -> Price | None:
    """Return the price of the unpriced calls of a model; None if it does not apply to the longest of them."""
    price = price_of(part.model, prices)
    limit = price.max_prompt_tokens if price else None
    return None if limit is not None and part.unpriced_longest_prompt > limit else price
