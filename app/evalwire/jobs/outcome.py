"""Decide why a job ended as it did, and record it in Phoenix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from evalwire.model import end_metadata, has_passed, tolerates_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.model import ExperimentResult, GateResult, Outcome


class ExperimentMetadata(Protocol):
    """Replaces the metadata of experiments in Phoenix."""

    def note_end(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace an experiment's metadata."""


def decide_outcome(
    results: Sequence[ExperimentResult], gates: Sequence[GateResult], *, interrupted: bool = False
) -> Outcome:
    """Return why a job, or one experiment of it, ended as it did.

    An outage is told from a defect by the kinds of the failures: `infrastructure` means that Phoenix alone failed.

    Args:
        results: of the experiments.
        gates: what the gates came to.
        interrupted: whether the job was stopped before its end.
    """
    if interrupted:
        return "interrupted"
    if not results:
        return "nothing_to_run"
    names = {result.name for result in results}
    is_red = any(gate.is_red for gate in gates if gate.experiment not in names)
    if not is_red and all(has_passed(result, gates) for result in results):
        return "passed"
    broken = [
        result
        for result in results
        if not result.passed and not (result.is_complete and tolerates_errors(result, gates))
    ]
    if not broken:
        return "gate_failed"
    kinds = {failure.kind for result in broken for failure in result.failures}
    return "infrastructure" if kinds == {"phoenix"} else "errors"


def record_outcomes(
    experiments: ExperimentMetadata, results: Sequence[ExperimentResult], gates: Sequence[GateResult]
) -> None:
    """Record in Phoenix how each experiment ended; an experiment without an outcome is nobody's baseline.

    Raises:
        EvalwireError: Phoenix did not accept it.
    """
    for result in results:
        if result.opened is not None and result.opened.id is not None:
            own = [gate for gate in gates if gate.experiment == result.name]
            outcome = decide_outcome([result], own)
            experiments.note_end(result.opened.id, end_metadata(result.experiment_metadata, result, outcome))
