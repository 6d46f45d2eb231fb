"""What calls of language models used: tokens and money, by model (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
        unpriced_completion_tokens: likewise, with what is in a span's total and in neither of its parts.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanUsage:
    """One span of a trace, and what it says of usage.

    Attributes:
        id: of the span. `parent_id`: of the span around it.
        is_llm: whether it is a call of a language model, by its OpenInference kind.
        is_refused: whether the provider refused it, such as for its rate limit, so that it used nothing.
        model: as far as the span tells it; likewise all that follows.
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
        """True if the usage has any number of tokens."""
        return any(count is not None for count in (self.prompt_tokens, self.completion_tokens, self.total_tokens))


_NUMBERS = tuple(item.name for item in fields(ModelUsage) if item.name != "model")


def usage_of_spans(spans: Iterable[SpanUsage]) -> Usage:
    """Return the usage that the LLM spans of one trace tell.

    Only LLM spans count, since the spans around them repeat their figures. A refused call without tokens does not
    count. Of LLM spans within each other (a framework's around its provider's) the outermost that tells its tokens
    counts, since they tell of one call; where none of them does, the outermost counts as a call without.
    """
    by_id = {span.id: span for span in spans}
    llm = [span for span in by_id.values() if span.is_llm and (span.is_counted or not span.is_refused)]
    ids = {span.id for span in llm}
    around = {span.id: [one for one in _around(span, by_id) if one.id in ids] for span in llm}
    covering = {one.id for span in llm if span.is_counted for one in around[span.id]}
    counted = [
        span
        for span in llm
        if not any(one.is_counted for one in around[span.id])  # else the one around it tells
        and (span.is_counted or not (span.id in covering or any(one.id not in covering for one in around[span.id])))
    ]
    return total_usage((_of_span(span),) for span in counted)


def _around(span: SpanUsage, by_id: Mapping[int, SpanUsage]) -> list[SpanUsage]:
    """The spans around one, from the inside out."""
    found: list[SpanUsage] = []
    parent = span.parent_id
    while parent is not None and parent in by_id and len(found) < len(by_id):
        found.append(by_id[parent])
        parent = by_id[parent].parent_id
    return found


def _of_span(span: SpanUsage) -> ModelUsage:
    prompt, completion = span.prompt_tokens or 0, span.completion_tokens or 0
    unsplit = max(0, (span.total_tokens or 0) - prompt - completion)  # thoughts, or a client that tells the total only
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
        unpriced_completion_tokens=0 if is_priced else completion + unsplit,  # the dearer price
    )


def total_usage(parts: Iterable[Usage]) -> Usage:
    """The sum of several usages, by model, in the order of the names."""
    sums: dict[str, dict[str, float]] = {}
    for part in parts:
        for one in part:
            mine = sums.setdefault(one.model, dict.fromkeys(_NUMBERS, 0))
            for name in _NUMBERS:
                mine[name] += getattr(one, name)
    return tuple(ModelUsage(model=model, **sums[model]) for model in sorted(sums))  # type: ignore[arg-type]


def usage_to_json(usage: Usage | None) -> list[dict[str, Any]] | None:
    """A usage as `from_json` reads it."""
    return None if usage is None else [asdict(part) for part in usage]


def usage_from_json(parts: Iterable[Mapping[str, Any]] | None) -> Usage | None:
    """A usage as `to_json` wrote it; None stays None.

    Raises:
        TypeError: they are of another version.
    """
    return None if parts is None else tuple(ModelUsage(**part) for part in parts)


def token_count(usage: Usage) -> int:
    """All tokens of a usage."""
    return sum(one.total_tokens for one in usage)


def usage_cost_usd(usage: Usage, prices: Mapping[str, Price]) -> tuple[float, list[str]]:
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
