"""The budget of a job: its limits on cost, tokens and time, and the usage that counts against them (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.model.json_values import EMPTY
from evalwire.model.prices import price_line
from evalwire.model.usage import cost_text, token_count, usage_cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalwire.model.prices import Price
    from evalwire.model.usage import Usage

_SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount of usage: its cost and its tokens, as far as they are known."""

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(usd=self.usd + other.usd, tokens=self.tokens + other.tokens)

    def at_least(self, other: Amount) -> Amount:
        """Return the larger cost and the larger number of tokens of two amounts."""
        return Amount(usd=max(self.usd, other.usd), tokens=max(self.tokens, other.tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits on the usage and the time of a job; None for no limit.

    Attributes:
        max_cost_usd: the limit on the cost in USD.
        max_tokens: the limit on the number of tokens.
        max_seconds: the limit on the time of the job in seconds.
        prices: prices of models whose spans report no cost.
        spent: the usage of earlier attempts of a resumed job, which counts against the limits.
        largest: the usage to expect of a run before any run of this job has finished; None if it is not known.
        spent_seconds: the time of earlier attempts in seconds.
        deadline: the time of the monotonic clock after which no run starts; None for no limit.
        counts_recorded: whether recorded runs of an experiment that the job continues count against the limits.
    """

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None
    prices: Mapping[str, Price] = field(default_factory=lambda: EMPTY)
    spent: Amount = field(default_factory=Amount)
    largest: Amount | None = None
    spent_seconds: float = 0.0
    deadline: float | None = None
    counts_recorded: bool = False

    @property
    def is_set(self) -> bool:
        """True if there is any limit."""
        return self.limits_usage or self.max_seconds is not None

    @property
    def limits_usage(self) -> bool:
        """True if there is a limit on cost or tokens, which requires traces of the calls."""
        return self.max_cost_usd is not None or self.max_tokens is not None

    def of_shard(self, total: int) -> Budget:
        """Return the part of a shard: shards divide cost and tokens, but run at the same time."""
        cost, tokens = self.max_cost_usd, self.max_tokens
        return replace(
            self,
            max_cost_usd=None if cost is None else cost / total,
            max_tokens=None if tokens is None else max(1, tokens // total),
        )

    def started_at(self, seconds: float) -> Budget:
        """Return the budget of a job that started at this time of the monotonic clock."""
        limit = self.max_seconds
        return replace(self, deadline=None if limit is None else seconds + limit - self.spent_seconds)

    def exceeded_by(self, amount: Amount) -> str | None:
        """Return the limit that an amount exceeds, such as `5.00 USD`; None if it is within the limits."""
        if self.max_cost_usd is not None and amount.usd > self.max_cost_usd + _SLACK:
            return cost_text(self.max_cost_usd)
        if self.max_tokens is not None and amount.tokens > self.max_tokens:
            return f"{self.max_tokens:,} tokens"
        return None

    def unknown_in(self, usage: Usage | None) -> str:
        """Return why the budget cannot count a usage; empty if the cost and the tokens that it limits are known."""
        if not self.limits_usage:
            return ""
        if usage is None:
            return "the usage of a call was not recorded, so the budget cannot count it"
        cost = usage_cost(usage, self.prices)
        if self.max_cost_usd is not None and cost.unpriced:
            advice = f"Add {' and '.join(map(price_line, cost.unpriced))} below [prices], in USD per million tokens"
            return f"the price of {_names(cost.unpriced)} is not known. {advice}"
        uncounted = cost.unknown if self.max_tokens is None else [used.model for used in usage if used.uncounted]
        if uncounted:
            return f"an LLM span of {_names(uncounted)} has no token counts, so the budget cannot count it"
        return ""

    def amount_of(self, usage: Usage | None) -> Amount:
        """Return the cost and the tokens of a usage, without unknown parts."""
        if not usage:
            return Amount()
        return Amount(usd=usage_cost(usage, self.prices).usd, tokens=token_count(usage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The usage to expect of a job, from recorded experiments.

    Attributes:
        runs: the number of runs that the forecast is for.
        usd: the expected cost in USD.
        low_usd: the lower end of the 90% interval of the cost; None if the spread is not known.
        high_usd: the upper end of the interval; None if the spread is not known.
        tokens: the expected number of tokens.
        source: the recorded experiments, such as `main 9e66459`.
        unknown: the experiments without a recorded usage, which the forecast leaves out.
    """

    runs: int
    usd: float
    tokens: int
    low_usd: float | None = None
    high_usd: float | None = None
    source: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """The budget of a finished job, and the part of it that the job used.

    Attributes:
        max_cost_usd: the limit on the cost in USD; None for no limit.
        max_tokens: the limit on the number of tokens; None for no limit.
        max_seconds: the limit on the time in seconds; None for no limit.
        spent_usd: the cost of all calls, also of rescored baselines and of earlier attempts, as far as it is known.
        spent_tokens: the tokens of all calls, as far as they are known.
        spent_seconds: the time of the job and its earlier attempts in seconds.
        ended: the reason why the budget ended the job; empty if it did not.
        is_unknown: whether the budget ended the job because the price or the tokens of a call are not known.
        forecast: the forecast from before the job; None without a forecast.
    """

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None
    spent_usd: float = 0.0
    spent_tokens: int = 0
    spent_seconds: float = 0.0
    ended: str = ""
    is_unknown: bool = False
    forecast: Forecast | None = None

    @property
    def text(self) -> str:
        """The used part of each limit, such as `4.98 of 5.00 USD`."""
        parts = []
        if self.max_cost_usd is not None:
            spent, limit = (cost_text(usd).removesuffix(" USD") for usd in (self.spent_usd, self.max_cost_usd))
            parts.append(f"{spent} of {limit} USD")
        if self.max_tokens is not None:
            parts.append(f"{self.spent_tokens:,} of {self.max_tokens:,} tokens")
        if self.max_seconds is not None:
            parts.append(f"{self.spent_seconds:.0f} of {self.max_seconds:g} s")
        return ", ".join(parts)


def _names(models: Iterable[str]) -> str:
    return ", ".join(model or "a model without a name" for model in models)
