"""A finished job, as every report and the exit code are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from evalwire.model.baseline import Baseline
    from evalwire.model.gates import GateResult
    from evalwire.model.result import ExperimentResult
    from evalwire.model.shard import Shard
    from evalwire.model.usage import Price

Outcome = Literal["passed", "gate_failed", "errors", "infrastructure", "nothing_to_run", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished job: what every report and the exit code are made from.

    Attributes:
        outcome: why it ended as it did, for programs.
        dry_run: whether nothing was written to Phoenix.
        abandoned_threads: plain functions that were still running when their time was up.
        lost_spans: spans that could not be delivered; they are not part of the verdict.
        journal: the file that `evalwire resume` goes on with; None without one.
        ci: what is known of the CI job.
        gates: what each gate came to; empty where none was judged, as in a dry run.
        baselines: what each experiment was compared with, of those that were to be.
        prices: of models whose spans tell no cost.
        directory: the job's working directory: paths below it are shown relative to it.
        shard: which part of every experiment this job ran; None for all of each.
        unwritten: the reports that could not be written, each with the reason.
    """

    outcome: Outcome
    exit_code: int
    results: tuple[ExperimentResult, ...]
    started_at: datetime
    seconds: float
    dry_run: bool = False
    endpoint: str | None = None
    evalwire_version: str = ""
    abandoned_threads: int = 0
    lost_spans: int = 0
    journal: str | None = None
    ci: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)
    directory: str = ""
    shard: Shard | None = None
    unwritten: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """The limit of the verdict in words; empty for a whole run."""
        parts = ["dry run, nothing recorded"] if self.dry_run else []
        if self.shard:
            parts.append(f"shard {self.shard}, whose gates are judged with the others")
        return "; ".join(parts)

    def gates_of(self, name: str) -> list[GateResult]:
        """Return the results of one experiment's gates."""
        return [gate for gate in self.gates if gate.experiment == name]

    def baseline_of(self, name: str) -> Baseline | None:
        """Return the comparison of one experiment with its baseline; None where none was asked for."""
        return next((baseline for baseline in self.baselines if baseline.experiment == name), None)

    def without(self, problems: Sequence[str]) -> Report:
        """Return the report of the same job, in which some reports could not be written: it has not passed."""
        outcome: Outcome = "errors" if self.outcome == "passed" else self.outcome
        unwritten = (*self.unwritten, *problems)
        return replace(self, unwritten=unwritten, outcome=outcome, exit_code=self.exit_code or 1)

    def passed(self, result: ExperimentResult) -> bool:
        """Check whether an experiment passed, and all its gates."""
        return has_passed(result, self.gates)

    def tolerates(self, result: ExperimentResult) -> bool:
        """Check whether the errors of an experiment do not fail the job."""
        return tolerates_errors(result, self.gates)

    @property
    def tolerated(self) -> list[GateResult]:
        """The gates on error rates that passed though there were errors."""
        return [gate for gate in self.gates if gate.is_tolerance and gate.value]

    @property
    def undelivered(self) -> int:
        """The number of runs and evaluations that could not be recorded."""
        runs = [run for result in self.results for run in result.runs if run.record_failure]
        return sum((run.id is None) + sum(one.id is None for one in run.evaluations) for run in runs)


def has_passed(result: ExperimentResult, gates: Sequence[GateResult]) -> bool:
    """Check whether an experiment passed, and all its gates; a tolerated rate of errors is a gate that passed."""
    own = [gate for gate in gates if gate.experiment == result.name]
    is_sound = result.passed or (result.is_complete and tolerates_errors(result, own))
    return is_sound and not any(gate.is_red for gate in own)


def tolerates_errors(result: ExperimentResult, gates: Sequence[GateResult]) -> bool:
    """Check whether a gate on the error rate of an experiment passed, so that its errors do not fail the job."""
    return any(gate.experiment == result.name and gate.is_tolerance for gate in gates)
