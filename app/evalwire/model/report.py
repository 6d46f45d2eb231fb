"""A finished job, the source of every report and of the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model.metadata import source_facts
from evalwire.model.source import describe_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from evalwire.model.baseline import Baseline
    from evalwire.model.budget import BudgetUse
    from evalwire.model.calibration import CalibrationState
    from evalwire.model.gates import GateResult
    from evalwire.model.history import History
    from evalwire.model.prices import Price
    from evalwire.model.result import ExperimentResult
    from evalwire.model.selection import PartialRun
    from evalwire.model.shard import Shard
    from evalwire.model.variant import VariantComparison

Outcome = Literal[
    "passed",
    "partial",
    "gate_failed",
    "errors",
    "infrastructure",
    "nothing_to_run",
    "interrupted",
    "out_of_budget",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished job, the source of every report and of the exit code.

    Attributes:
        outcome: the reason why the job ended, for programs.
        dry_run: whether nothing was written to Phoenix.
        abandoned_threads: the number of plain functions that were still running after their timeout.
        lost_spans: the number of spans that could not be delivered; they do not affect the outcome.
        journal: the file that `evalwire resume` reads; None without a journal.
        ci: facts about the CI job.
        gates: the gate results; empty if no gate was applied, as in a dry run.
        baselines: the baseline of each experiment for which a comparison was requested.
        history: the earlier experiments of the base branch, by experiment, for trends.
        variants: the comparisons of the variants of each experiment with each other.
        prices: the prices of models whose spans do not report a cost.
        directory: the job's working directory; reports show paths in it as relative.
        shard: the part of every experiment that this job ran; None for whole experiments.
        partial: the size of a partial run, whose gates are not applied; None for a run of all examples.
        failing: by experiment, the IDs of the examples that failed or became worse, also in earlier results if this
            job did not run them; None for all examples of an experiment.
        unwritten: the reports that could not be written, each with the reason.
        calibrations: the calibration of each evaluation by a language model, by experiment and name.
        budget: the budget, and the part of it that the job used; None without a budget.
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
    history: tuple[History, ...] = ()
    variants: tuple[VariantComparison, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)
    directory: str = ""
    shard: Shard | None = None
    partial: PartialRun | None = None
    failing: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    unwritten: tuple[str, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()
    budget: BudgetUse | None = None

    @property
    def scope(self) -> str:
        """The restriction of the outcome in words, or the source of its outputs; empty for a complete run."""
        parts = ["dry run, nothing recorded"] if self.dry_run else []
        if self.partial:
            parts.append(str(self.partial) if self.outcome == "partial" else f"PARTIAL: {self.partial}")
        if self.early_note:
            parts.append(self.early_note)
        if self.source_note:
            parts.append(self.source_note)
        if self.shard:
            parts.append(f"shard {self.shard}, gates are applied after the merge")
        return "; ".join(parts)

    @property
    def decided_early(self) -> list[ExperimentResult]:
        """The experiments that ended early, because their gates were decided."""
        return [result for result in self.results if result.stopping is not None and result.stopping.is_early]

    @property
    def early_note(self) -> str:
        """The extent of the experiments that ended early, and the risk; empty if all experiments are whole."""
        parts = [result.stopping for result in self.decided_early if result.stopping is not None]
        if not parts:
            return ""
        if len(self.results) == 1:
            extent = f"decided after {parts[0].extent}"
        else:
            extent = f"{len(parts)} of {len(self.results)} experiments ended early"
        return f"{extent}, risk {parts[0].risk * 100:g}%"

    @property
    def not_needed(self) -> int:
        """The number of runs that early verdicts made unnecessary."""
        return sum(result.stopping.not_needed for result in self.decided_early if result.stopping is not None)

    @property
    def source_note(self) -> str:
        """The origin of outputs that were scored without calling tasks; empty if tasks were called."""
        sources = [source for result in self.results if (source := source_facts(result.experiment_metadata))]
        if not sources:
            return ""
        origin = describe_source(sources[0]) if len(sources) == 1 else f"{len(sources)} recorded experiments"
        return f"new scores of the outputs of {origin}"

    @property
    def gates_note(self) -> str:
        """The reason why the gates were not applied to a partial run, and whether that fails the job; else empty."""
        note = self.partial.note if self.partial else ""
        is_refused = self.outcome == "partial" and self.exit_code != 0
        return f"{note}. In CI, such a run fails without --allow-partial" if is_refused else note

    def gates_of(self, name: str) -> list[GateResult]:
        """Return the gate results of an experiment."""
        return [gate for gate in self.gates if gate.experiment == name]

    def baseline_of(self, name: str) -> Baseline | None:
        """Return the comparison of an experiment with its baseline; None if no comparison was requested."""
        return next((baseline for baseline in self.baselines if baseline.experiment == name), None)

    def calibrations_of(self, name: str) -> list[CalibrationState]:
        """Return the calibrations of an experiment's evaluations by language models."""
        return [state for state in self.calibrations if state.experiment == name]

    def history_of(self, name: str) -> History | None:
        """Return the history of an experiment; None if it has none."""
        return next((history for history in self.history if history.experiment == name), None)

    def without(self, problems: Sequence[str]) -> Report:
        """Return a copy with reports that could not be written; a job with unwritten reports does not pass."""
        outcome: Outcome = "errors" if self.outcome in ("passed", "partial") else self.outcome
        unwritten = (*self.unwritten, *problems)
        return replace(self, unwritten=unwritten, outcome=outcome, exit_code=self.exit_code or 1)

    def passed(self, result: ExperimentResult) -> bool:
        """Check whether an experiment and all its gates passed."""
        return has_passed(result, self.gates)

    def tolerates(self, result: ExperimentResult) -> bool:
        """Check whether a gate on the error rate keeps the errors of an experiment from failing the job."""
        return tolerates_errors(result, self.gates)

    @property
    def tolerated(self) -> list[GateResult]:
        """The gates on error rates that passed despite errors."""
        return [gate for gate in self.gates if gate.is_tolerance and gate.value]

    @property
    def undelivered(self) -> int:
        """The number of runs and evaluations that could not be recorded."""
        runs = [run for result in self.results for run in result.runs if run.record_failure]
        return sum((run.id is None) + sum(evaluation.id is None for evaluation in run.evaluations) for run in runs)


def has_passed(result: ExperimentResult, gates: Sequence[GateResult]) -> bool:
    """Check whether an experiment and all its gates passed; a gate on the error rate can tolerate errors."""
    own = [gate for gate in gates if gate.experiment == result.name]
    is_sound = result.passed or (result.is_complete and tolerates_errors(result, own))
    return is_sound and not any(gate.is_red for gate in own)


def tolerates_errors(result: ExperimentResult, gates: Sequence[GateResult]) -> bool:
    """Check whether an experiment passed a gate on its error rate: its errors do not fail the job."""
    return any(gate.experiment == result.name and gate.is_tolerance for gate in gates)
