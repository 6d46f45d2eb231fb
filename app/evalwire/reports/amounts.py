"""Describe the limit of a gate, the value that it limits, and the interval of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import change_text, cost_text, score_text, total_usage, usage_cost
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from evalwire.model import GateResult, Interval, Report


def limit_text(gate: GateResult) -> str:
    """Return the limit of a gate, such as `at least 80%`."""
    if gate.rule == "max_drop":
        if gate.is_relative:
            return f"drop of at most {gate.threshold * 100:g}% of the baseline"
        return f"drop of at most {f'{gate.threshold * 100:g} points' if gate.is_rate else f'{gate.threshold:g}'}"
    if gate.rule == "min_kappa":
        return f"kappa of at least {gate.threshold:g}"
    word = "at least" if gate.rule.startswith("min") else "at most"
    label = f" {plain(gate.label)}" if gate.label else ""
    return f"{word} {_amount(gate, gate.threshold, is_limit=True)}{label}"


def value_text(gate: GateResult) -> str:
    """Return the value that a gate limits, with its unit; a dash without a value."""
    return "-" if gate.value is None else _amount(gate, gate.value, is_limit=False)


def _amount(gate: GateResult, value: float, *, is_limit: bool) -> str:
    match gate.rule:
        case "min_examples":
            return f"{value:g} examples"
        case "max_p95_seconds":
            return f"{value:.3g} s"
        case "min_llm_calls":
            return f"{value:,.0f} model calls"
        case "max_total_tokens":
            return f"{value:,.0f} tokens"
        case "max_cost_usd":
            return f"{value:g} USD" if is_limit else cost_text(value)
    is_share = gate.is_rate or gate.rule in ("min_label_share", "max_label_share", "min_pass_rate", "max_pass_rate")
    if not is_limit:
        return score_text(value, is_rate=is_share)
    return f"{value * 100:.10g}%" if is_share else f"{value:g}"


def change_interval(interval: Interval, *, is_rate: bool) -> str:
    """Return the interval of a change, in percentage points for a pass rate."""
    low, high = (change_text(end, is_rate=is_rate) for end in (interval.low, interval.high))
    return f"{low.removesuffix(' points')} to {high}"


def prices_date(report: Report) -> str:
    """Return the date of the known prices in the report's costs; empty if the costs have none."""
    return usage_cost(total_usage(result.usage or () for result in report.results), report.prices).as_of
