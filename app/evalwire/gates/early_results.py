"""Combine the result of a gate on a part of an experiment with the decision of its looks (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import GateDecision, GateResult, Rule, Stopping

_ON_WHAT_RAN: tuple[Rule, ...] = ("max_error_rate", "max_total_tokens", "max_cost_usd")


def decision_of(stopping: Stopping | None, gate: Gate) -> GateDecision | None:
    """Return the decision of a gate; None if the gate did not look, or had another limit."""
    found = stopping.decision(gate.name) if stopping is not None else None
    return found if found is not None and found.threshold == gate.threshold else None


def is_undecided(stopping: Stopping | None, gate: Gate) -> bool:
    """Check whether only the whole run can decide a gate, because its experiment ended early without a decision."""
    if stopping is None or not stopping.is_early or gate.rule in _ON_WHAT_RAN:
        return False
    decision = decision_of(stopping, gate)
    return decision is None or decision.status is None


def decided_early(stopping: Stopping | None, gate: Gate, applied: GateResult) -> GateResult:
    """Return the result of a gate under the decision of its looks.

    A gate that was passed early still fails if its result on the part failed, for example because scores are missing.

    Args:
        stopping: how far the experiment ran; None without early verdicts.
        gate: the gate.
        applied: the result of the gate on the part that counts.
    """
    if stopping is None or not stopping.is_early:
        return applied
    decision = decision_of(stopping, gate)
    if is_undecided(stopping, gate):
        if stopping.has_failed:
            text = f"{applied.text}; not decided, because another gate failed after {stopping.extent}"
            return replace(applied, status="inconclusive", is_red=False, text=text)
        advice = "run the rest with `evalwire resume --whole`"
        text = f"{applied.text}; not decided after {stopping.extent}: {advice}"
        return replace(applied, status="failed", is_red=True, text=text)
    if decision is None or decision.status is None:
        return replace(applied, text=f"{applied.text}; of {stopping.extent}")
    text = f"{applied.text}; decided after {stopping.extent}: {decision.text}"
    if decision.status == "failed":
        return replace(applied, status="failed", is_red=True, text=text)
    return replace(applied, text=text) if not applied.is_red else applied
