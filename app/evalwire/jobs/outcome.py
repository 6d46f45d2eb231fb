"""Decide the outcome of a job, and record it in Phoenix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from evalwire.model import end_metadata, has_passed, partial_facts, tolerates_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.model import BudgetUse, ExperimentResult, FailureKind, GateResult, Outcome


class ExperimentMetadata(Protocol):
    """Access to the metadata of experiments in Phoenix."""

    def note_end(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace an experiment's metadata."""


def decide_outcome(
    results: Sequence[ExperimentResult],
    gates: Sequence[GateResult],
    *,
    interrupted: bool = False,
    is_partial: bool = False,
) -> Outcome:
    """Return the outcome of a job or of an experiment.

    The kinds of the failures distinguish an outage from a defect: `infrastructure` means that only Phoenix failed, and
    `out_of_budget` that only the budget is the reason for missing runs. A failed gate or run is named first.

    Args:
        results: results of the experiments.
        gates: the gate results.
        interrupted: whether the job was stopped early.
        is_partial: whether only selected examples ran, which is never `passed`.
    """
    if interrupted:
        return "interrupted"
    if not results:
        return "nothing_to_run"
    names = {result.name for result in results}
    has_failed_gate = any(gate.is_red for gate in gates if gate.experiment not in names)
    if not has_failed_gate and all(has_passed(result, gates) for result in results):
        return "partial" if is_partial else "passed"
    failed = [
        result
        for result in results
        if not result.passed and not (result.is_complete and tolerates_errors(result, gates))
    ]
    if not failed:
        return "gate_failed"
    kinds = {kind for result in failed for kind in _kinds(result, gates)}
    if kinds == {"budget"}:
        return "gate_failed" if any(gate.is_red for gate in gates) else "out_of_budget"
    return "infrastructure" if kinds - {"budget"} == {"phoenix"} else "errors"


def exit_code_of(outcome: Outcome, *, signal_number: int | None, passes_partial: bool) -> int:
    """Return the exit code of a job.

    Args:
        outcome: the outcome.
        signal_number: the number of the signal that stopped the job; None without a signal.
        passes_partial: whether a partial run passes.
    """
    if signal_number is not None:
        return 128 + signal_number
    return int(outcome != "passed" and not (outcome == "partial" and passes_partial))


def _kinds(result: ExperimentResult, gates: Sequence[GateResult]) -> set[FailureKind]:
    """Return the kinds of an experiment's failures, without failures that a gate may still tolerate."""
    own = [gate for gate in gates if gate.experiment == result.name and gate.rule == "max_error_rate"]
    if not result.is_out_of_budget or not any(gate.status == "inconclusive" for gate in own):
        return {failure.kind for failure in result.failures}
    records = {run.record_failure.kind for run in result.runs if run.record_failure}
    return {failure.kind for failure in (*result.problems, result.failure) if failure} | records


def record_outcomes(
    experiments: ExperimentMetadata,
    results: Sequence[ExperimentResult],
    gates: Sequence[GateResult],
    *,
    budget: BudgetUse | None = None,
) -> None:
    """Record the outcome of each experiment in Phoenix; an experiment without an outcome is never a baseline.

    Args:
        experiments: the metadata in Phoenix.
        results: results of the experiments.
        gates: the gate results.
        budget: the budget of the job, and what it used of it; None without a budget.

    Raises:
        EvalwireError: Phoenix did not accept an outcome.
    """
    for result in results:
        if result.opened is not None and result.opened.id is not None:
            own = [gate for gate in gates if gate.experiment == result.name]
            is_partial = partial_facts(result.experiment_metadata) is not None
            outcome = decide_outcome([result], own, is_partial=is_partial)
            ended = end_metadata(result.experiment_metadata, result, outcome, budget=budget)
            experiments.note_end(result.opened.id, ended)
