"""Combine the results of gates on a part of an experiment with the decisions of their looks (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire.gates.resolve import ANY_ERROR
from evalwire.model import GateDecision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.gates.resolve import Gate
    from evalwire.model import ExperimentResult, GateResult, Rule, Stopping

_ON_WHAT_RAN: tuple[Rule, ...] = ("max_error_rate", "max_total_tokens", "max_cost_usd", "min_kappa")


def undecided(gate: Gate, *, baseline: str = "") -> GateDecision:
    """Return the state of a gate before its decision.

    Args:
        gate: the gate.
        baseline: for a drop, the baseline, as in `identity_of`.
    """
    return GateDecision(gate=gate.name, status=None, threshold=gate.threshold, basis=_basis(gate, baseline))


def identity_of(before: ExperimentResult | None) -> str:
    """Return the name and the ID of a baseline, by which later jobs recognize it; empty without a baseline."""
    opened = before.opened if before is not None else None
    return identity(opened.recorded_name, opened.id) if opened is not None else ""


def identity(recorded_name: str, experiment_id: str | None) -> str:
    """Return the name and the ID of a baseline."""
    return f"{recorded_name} {experiment_id or ''}".strip()


def _basis(gate: Gate, baseline: str) -> str:
    """Return the settings on which a decision depends, in addition to the threshold."""
    parts = [gate.direction, f"missing {gate.missing}"]
    parts += ["corrected"] if gate.is_corrected else []
    if gate.rule == "max_drop":
        policy = gate.drop_policy
        parts += ["of the baseline" if gate.is_relative else "absolute", policy.mode]
        parts += [f"significance {policy.significance:g}", f"min_paired {policy.min_paired:g}", f"baseline {baseline}"]
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyDecisions:
    """The decisions of an experiment's looks, for the gates that are applied to it now.

    A later job may have other gates or another baseline. A decision holds only for the gate and the baseline of its
    looks.

    Attributes:
        stopping: the extent of the experiment; None without early verdicts.
        gates: all gates of the experiment.
        baseline: the baseline, as in `identity_of`.
    """

    stopping: Stopping | None
    gates: Sequence[Gate]
    baseline: str = ""

    def of(self, gate: Gate) -> GateDecision | None:
        """Return the decision of a gate; None for a gate without looks, or with another setting or baseline."""
        found = self.stopping.decision(gate.name) if self.stopping is not None else None
        asked = undecided(gate, baseline=self.baseline)
        is_same = found is not None and (found.threshold, found.basis) == (asked.threshold, asked.basis)
        return found if is_same else None

    @property
    def _with_default(self) -> Sequence[Gate]:
        """The gates, with the default limit on the error rate if none of them limits it."""
        limits_errors = any(gate.rule == "max_error_rate" for gate in self.gates)
        return self.gates if limits_errors else (*self.gates, ANY_ERROR)

    @property
    def _has_failed(self) -> bool:
        """True if a gate that is applied now failed early."""
        found = map(self.of, self._with_default)
        return any(decision is not None and decision.status == "failed" for decision in found)

    def is_undecided(self, gate: Gate) -> bool:
        """Check whether the experiment ended early without deciding a gate, which then needs the whole experiment."""
        if self.stopping is None or not self.stopping.is_early:
            return False
        decision = self.of(gate)
        if gate.rule in _ON_WHAT_RAN:
            looked = self.stopping.decision(gate.name)  # only errors that were limited for all examples passed early
            return decision is None and looked is not None and looked.status == "passed"
        return decision is None or decision.status is None

    @property
    def missing(self) -> list[Gate]:
        """The gates that need the whole experiment; none if another gate failed, and with it the experiment."""
        return [] if self._has_failed else list(filter(self.is_undecided, self._with_default))

    def apply(self, gate: Gate, applied: GateResult) -> GateResult:
        """Return the result of a gate under the decision of its looks.

        A gate that passed early still fails if its result on the part failed, for example because scores are missing.

        Args:
            gate: the gate.
            applied: the result of the gate on the part that counts.
        """
        stopping = self.stopping
        if stopping is None or not stopping.is_early:
            return applied
        if self.is_undecided(gate):
            if self._has_failed:
                text = f"{applied.text}; not decided, because another gate failed after {stopping.extent}"
                return replace(applied, status="inconclusive", is_red=False, text=text)
            advice = "run the rest with `evalwire resume --whole`"
            text = f"{applied.text}; not decided after {stopping.extent}: {advice}"
            return replace(applied, status="failed", is_red=True, text=text)
        decision = self.of(gate)
        if decision is None or decision.status is None:
            return replace(applied, text=f"{applied.text}; over {stopping.extent}")
        text = f"{applied.text}; decided after {stopping.extent}: {decision.text}"
        if decision.status == "failed":
            return replace(applied, status="failed", is_red=True, text=text)
        return replace(applied, text=text) if not applied.is_red else applied
