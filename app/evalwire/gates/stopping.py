"""Decide the gates of an experiment while it runs, from the runs in a random order (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from evalwire.gates.early_drops import EarlyDrop
from evalwire.gates.early_limits import RISKY_RULES, EarlyCount, EarlyRate, EarlyTotal, WholeOnly
from evalwire.gates.resolve import ANY_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.gates.resolve import Gate
    from evalwire.model import Example, ExperimentResult, GateDecision, Price, StoppingRules, TaskRun


class EarlyGate(Protocol):
    """A gate that looks at runs in their random order.

    Attributes:
        gate: the gate.
        decision: the decision; its status is None before the gate is decided.
        is_needed: whether the gate has to be decided before its experiment passes early.
    """

    gate: Gate
    decision: GateDecision
    is_needed: bool

    def add(self, run: TaskRun) -> None:
        """Look at the next run."""

    def end_round(self, part: ExperimentResult) -> None:
        """Look at all runs of the first repetitions."""

    def end(self, part: ExperimentResult) -> None:
        """Look at the whole experiment, after earlier looks."""


def with_shares(rules: StoppingRules, gates: Sequence[Gate]) -> StoppingRules:
    """Return the rules with the number of limits that share the risk, and of drop gates that share the significance."""
    return replace(
        rules,
        limits=sum(gate.rule in RISKY_RULES for gate in gates),
        drops=sum(gate.rule == "max_drop" for gate in gates),
    )


class ExperimentStopping:
    """Looks at the runs of an experiment with all its gates: a `GateWatch` for the engine.

    Args:
        gates: the gates of the experiment.
        examples: the examples, in the dataset's order.
        order: the positions of the examples in the dataset, in the random order of the runs.
        repetitions: the number of runs of each example.
        rules: the rules of the job.
        before: the baseline; None without a baseline.
        changed: the evaluators whose recorded scores cannot be compared.
        prices: prices by model, for spans without a cost.

    Attributes:
        order: the positions of the examples in the dataset, in the random order of the runs.
        risk: the maximum probability that the whole experiment would decide any limit of the job otherwise.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        examples: Sequence[Example],
        *,
        order: Sequence[int],
        repetitions: int,
        rules: StoppingRules,
        before: ExperimentResult | None,
        changed: Sequence[str],
        prices: Mapping[str, Price],
    ) -> None:
        self.order = order
        self.risk = rules.risk
        self._rules = rules
        self._n = len(examples)
        self._seen = 0
        self._is_repeated = repetitions > 1
        risk = rules.risk / max(rules.limits, 1) / max(repetitions - 1, 1)
        ordered = [examples[place] for place in order]
        siblings = sum(gate.rule == "max_drop" for gate in gates)

        def early(gate: Gate) -> EarlyGate:
            if gate.is_corrected:
                return WholeOnly(gate)
            match gate.rule:
                case "max_drop":
                    return EarlyDrop(
                        gate,
                        ordered,
                        repetitions=repetitions,
                        rules=rules,
                        before=before,
                        changed=changed,
                        siblings=siblings,
                    )
                case "max_total_tokens" | "max_cost_usd":
                    return EarlyTotal(gate, prices)
                case "min_examples" | "min_llm_calls":
                    return EarlyCount(gate)
            return EarlyRate(gate, self._n, rules=rules, risk=risk, before=before, repetitions=repetitions)

        self._gates = [early(gate) for gate in gates if gate.rule != "min_kappa"]  # no run changes it
        if not any(gate.rule == "max_error_rate" for gate in gates):
            self._gates.append(early(ANY_ERROR))
        # a budget alone sets a limit on calls, which says nothing about outputs
        self._can_pass = any(each.is_needed and each.gate.rule != "min_llm_calls" for each in self._gates)

    @property
    def is_over(self) -> bool:
        """Check whether the experiment may end: a gate failed, or all needed gates are decided.

        A limit on the number of model calls alone never ends an experiment.
        """
        if self._seen < min(self._rules.min_examples, self._n):
            return False
        statuses = [each.decision.status for each in self._gates if each.is_needed]
        if self._rules.on_failed == "stop" and any(each.decision.status == "failed" for each in self._gates):
            return True
        return self._can_pass and None not in statuses

    @property
    def decisions(self) -> tuple[GateDecision, ...]:
        """The decisions of the gates, with the built-in limit on the error rate only if this limit failed."""
        own = [each for each in self._gates if each.gate is not ANY_ERROR or each.decision.status == "failed"]
        return tuple(each.decision for each in own)

    def add(self, run: TaskRun) -> bool:
        """Look at the next run of the random order; return `is_over`."""
        self._seen += 1
        if not self._is_repeated:
            for each in self._gates:
                if each.decision.status is None:
                    each.add(run)
        return self.is_over

    def end_round(self, part: ExperimentResult) -> bool:
        """Look at all runs of the first repetitions; return `is_over`."""
        for each in self._gates:
            if each.decision.status is None:
                each.end_round(part)
        return self.is_over

    def end(self, part: ExperimentResult) -> None:
        """Account for the earlier looks after the whole experiment."""
        for each in self._gates:
            each.end(part)
