"""Gates of an experiment whose budget ended before all runs were made (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.gate_results import SLACK
from evalwire.model import count, score_text

if TYPE_CHECKING:
    from evalwire.model import ExperimentResult, GateResult


def decide_without_runs(result: ExperimentResult, gate: GateResult, *, ignores_unscored: bool) -> GateResult:
    """Return the result of a gate, which is inconclusive unless no remaining run could change it.

    Args:
        result: the experiment, whose budget ended before all runs were made.
        gate: the result of the gate, on the runs that were made.
        ignores_unscored: whether the gate ignores runs with a label but no score.
    """
    if gate.rule == "min_kappa":
        return gate  # no run changes it
    if not gate.is_red and gate.rule in ("min_llm_calls", "min_examples"):
        return gate
    fails_anyway = gate.is_red and _fails_anyway(result, gate, ignores_unscored=ignores_unscored)
    if fails_anyway and gate.rule == "max_error_rate":
        return replace(gate, value=len(result.failed_runs) / result.expected_runs)
    if fails_anyway:
        anyway = f"; it fails whatever the {count(result.not_run, 'remaining run')} return"
        return replace(gate, text=f"{gate.text}{anyway}" if gate.evaluation else gate.text)
    score = next((score for score in result.scores if score.name == gate.evaluation), None)
    so_far, value = gate.text, gate.value
    if score is not None and score.mean is not None:
        shown = score_text(score.mean, is_rate=score.pass_rate is not None)
        so_far = f"{score.name} is {shown} over {count(score.count, 'run')}"
        value = score.mean if gate.rule in ("min", "max", "min_pass_rate", "max_pass_rate") else value
    note = f"{gate.name} is not decided, because {result.not_run} of {result.expected_runs} runs were not made"
    text = f"{note}; so far, {so_far}"
    return replace(gate, status="inconclusive", is_red=False, value=value, interval=None, text=text)


def _fails_anyway(result: ExperimentResult, gate: GateResult, *, ignores_unscored: bool) -> bool:
    """Check whether a failed gate would also fail if every remaining run were as good as possible."""
    if gate.rule in ("max_total_tokens", "max_cost_usd"):
        return True  # the total only grows, or is unknown
    if gate.rule == "max_error_rate":
        return len(result.failed_runs) / result.expected_runs > gate.threshold + SLACK
    score = next((score for score in result.scores if score.name == gate.evaluation), None)
    if score is None or score.pass_rate is None or score.mean is None:
        return False
    expected = result.expected_runs - score.not_applicable - (score.unscored if ignores_unscored else 0)
    passed = score.mean * score.count
    if gate.rule in ("min", "min_pass_rate"):
        return (passed + result.not_run) / expected < gate.threshold - SLACK
    return gate.rule in ("max", "max_pass_rate") and passed / expected > gate.threshold + SLACK
