"""Compute the numbers for the first line of every report format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evalwire.model import GateResult, Report

# reasons for the outcome of a job without results
REASONS = {
    "nothing_to_run": "there was nothing to run",
    "infrastructure": "Phoenix could not be used",
    "interrupted": "the job was interrupted",
    "out_of_budget": "the forecast of the job is above its budget",
    "partial": "a partial run does not pass in CI while gates are configured, without --allow-partial",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The result of a job in numbers.

    Attributes:
        word: outcome of the job.
        failed_experiments: experiments that did not pass, including failed gates.
        unfinished_experiments: experiments that could not be loaded, or did not finish.
        examples: examples of all experiments.
        expected_runs: runs that the job should make.
        failed_runs: runs whose task, evaluator or recording failed.
        tolerated_runs: failed runs of experiments whose gate on the error rate passed.
        not_run: runs that were not made.
        failed_gates: gates of the settings that fail the job. The default gate on errors shows in `failed_runs`.
        tolerating: gates on the error rate that passed although runs failed.
        has_no_gates: whether the job would apply gates, but none are set. An experiment that cannot be loaded, or
            whose budget allowed no run, never has gates, so it does not count.
    """

    word: Literal["PASSED", "PARTIAL", "INTERRUPTED", "OUT OF BUDGET", "FAILED"]
    failed_experiments: int
    unfinished_experiments: int
    examples: int
    expected_runs: int
    failed_runs: int
    tolerated_runs: int
    not_run: int
    failed_gates: int
    tolerating: list[GateResult]
    has_no_gates: bool

    @classmethod
    def of(cls, report: Report) -> Digest:
        """Compute the digest of a report."""
        results = report.results
        failed = {result.name: len(result.failed_runs) for result in results}
        ended: dict[str, Literal["PASSED", "PARTIAL", "INTERRUPTED", "OUT OF BUDGET"]] = {
            "passed": "PASSED",
            "partial": "PARTIAL",
            "interrupted": "INTERRUPTED",
            "out_of_budget": "OUT OF BUDGET",
        }
        is_part = report.dry_run or report.partial is not None or report.shard is not None
        unmeasured = [result.problems or (result.is_out_of_budget and not result.runs) for result in results]
        applies_gates = not all(unmeasured) and not is_part
        return cls(
            word=ended.get(report.outcome, "FAILED"),
            failed_experiments=sum(not report.passed(result) for result in results),
            unfinished_experiments=sum(bool(result.problems or result.failure) for result in results),
            examples=sum(result.example_count for result in results),
            expected_runs=sum(result.expected_runs for result in results),
            failed_runs=sum(failed.values()),
            tolerated_runs=sum(failed[result.name] for result in results if report.tolerates(result)),
            not_run=sum(result.not_run for result in results),
            failed_gates=sum(gate.is_red and gate.source != "default" for gate in report.gates),
            tolerating=report.tolerated,
            has_no_gates=applies_gates and all(gate.source == "default" for gate in report.gates),
        )
