"""Resolve gates and baselines before a job, and apply them to its results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire.experiments import find_experiments
from evalwire.gates import (
    BaselineChoice,
    BaselineQuery,
    Gate,
    GateConfig,
    KnownNames,
    apply_gates,
    branches_for,
    changed_evaluators,
    changed_task,
    check_drop,
    compare_results,
    find_base_branch,
    is_of_base_branch,
    resolve_gates,
    unapplied_gates,
)
from evalwire.jobs.baselines import find_baselines
from evalwire.model import Baseline, GateResult, start_time_of
from evalwire.settings import ci_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from evalwire.jobs.run import Job
    from evalwire.model import Direction, Experiment, ExperimentResult, JobSpec, Price, Usage
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """The gate settings of a job.

    Attributes:
        thresholds: the limits.
        baseline: the choice of baseline; None for the default, which is `auto` for gates on a drop.
        prices: prices of models whose spans report no cost.
    """

    thresholds: GateConfig
    baseline: BaselineChoice | None
    prices: Mapping[str, Price]

    @classmethod
    def of(cls, settings: Settings) -> GateRequest:
        """Return the gate settings."""
        return cls(thresholds=settings.thresholds, baseline=settings.baseline, prices=settings.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gating:
    """The resolved gates and baselines of a job.

    Attributes:
        gates: all gates.
        asked: the choice of baseline.
        prices: prices of models whose spans report no cost.
        baselines: by experiment, its baseline or the reason why it has no baseline.
        is_base_branch: whether the job runs on the base branch.
        is_partial: whether the job runs only selected examples, so that its gates are not applied.
    """

    gates: Sequence[Gate]
    asked: BaselineChoice
    prices: Mapping[str, Price]
    baselines: Mapping[str, ExperimentResult | str]
    is_base_branch: bool = False
    is_partial: bool = False

    def apply(
        self,
        results: Sequence[ExperimentResult],
        *,
        today: Callable[[str], str | None] = lambda _: None,
        usage: Mapping[tuple[str, str], Usage | None] | None = None,
    ) -> tuple[tuple[GateResult, ...], tuple[Baseline, ...]]:
        """Apply the gates; return the gate results and the comparisons with baselines.

        Args:
            results: results of the experiments, with rescored baselines.
            today: returns the current digest of a project file, or None if it is unknown.
            usage: token usage of rescoring, by experiment and evaluator.
        """
        directions: dict[str, dict[str, Direction]] = {}
        for gate in self.gates:
            directions.setdefault(gate.experiment, {})[gate.evaluation or ""] = gate.direction
        found: dict[str, Baseline] = {}
        for result in results:
            match self.baselines.get(result.name):
                case None:
                    continue
                case str() as note:
                    found[result.name] = Baseline(experiment=result.name, asked=str(self.asked), note=note)
                case before:
                    baseline = compare_results(
                        result,
                        before,
                        asked=str(self.asked),
                        directions=directions.get(result.name),
                        changed=changed_evaluators(result, before, today),
                        changed_task=changed_task(result, before, today),
                    )
                    rescored = (
                        replace(score, usage=(usage or {}).get((result.name, score.evaluator)))
                        for score in baseline.rescored
                    )
                    found[result.name] = replace(baseline, rescored=tuple(rescored))
        if self.is_partial:
            return (), tuple(found.values())
        gates = apply_gates(
            results, self.gates, baselines=found, prices=self.prices, is_base_branch=self.is_base_branch
        )
        return gates, tuple(found.values())


NO_GATING = Gating(gates=(), asked=BaselineChoice("none"), prices={}, baselines={})
"""No gates: an experiment passes if all examples ran, were scored and were recorded."""


def known_names(directory: Path, experiments: Sequence[Experiment]) -> KnownNames:
    """Return the names that gates may use: experiments of the job with their evaluators, and other experiments."""
    names = [experiment.name for experiment in experiments]
    return KnownNames(
        gated={
            experiment.name: None if experiment.problems else [evaluator.name for evaluator in experiment.evaluators]
            for experiment in experiments
        },
        others=[path.name for path in find_experiments(directory)[0] if path.name not in names],
    )


def prepare_gating(
    wanted: GateRequest,
    subjects: Sequence[BaselineQuery],
    known: KnownNames,
    *,
    phoenix: Phoenix | None,
    applies_gates: bool = True,
    is_base_branch: bool = False,
    is_partial: bool = False,
) -> Gating:
    """Resolve the gates and find the baselines of experiments.

    Args:
        wanted: the gate settings.
        subjects: the experiments.
        known: names that gates may use.
        phoenix: the server of the baselines; None without a server.
        applies_gates: whether to find the baselines; False only checks the settings.
        is_base_branch: whether the job runs on the base branch.
        is_partial: whether the job runs only selected examples; it is compared only with a requested baseline.

    Raises:
        UsageError: a gate or a baseline has an unknown name.
        EvalwireError: Phoenix cannot be reached.
    """
    gates = resolve_gates(wanted.thresholds, known)
    asked = wanted.baseline or BaselineChoice("auto")
    if not applies_gates:
        return Gating(gates=(), asked=asked, baselines={}, prices=wanted.prices)
    if asked.kind == "none":
        return Gating(
            gates=gates,
            asked=asked,
            baselines=_none_for(gates),
            prices=wanted.prices,
            is_base_branch=is_base_branch,
            is_partial=is_partial,
        )
    needing = {gate.experiment for gate in gates if gate.rule == "max_drop" and not is_partial}
    wanting = [query for query in subjects if wanted.baseline is not None or query.experiment in needing]
    baselines = find_baselines(asked, wanting, phoenix) if wanting else {}
    for gate in gates:
        check_drop(gate, baselines.get(gate.experiment))
    return Gating(
        gates=gates,
        asked=asked,
        baselines=baselines,
        prices=wanted.prices,
        is_base_branch=is_base_branch,
        is_partial=is_partial,
    )


def _none_for(gates: Sequence[Gate]) -> dict[str, ExperimentResult | str]:
    return {gate.experiment: "disabled by --baseline none" for gate in gates if gate.rule == "max_drop"}


def job_gating(job: Job, settings: Settings, *, say: Callable[[str], object]) -> Gating:
    """Resolve the gates and baselines of a job before it runs.

    Settings that are not set now are taken from the resumed job.

    Args:
        job: the job and its experiments.
        settings: the current settings.
        say: receives the names of gates that do not apply.

    Raises:
        UsageError: a gate or a baseline has an unknown name.
        EvalwireError: Phoenix cannot be reached.
    """
    request = _request(job.spec, settings)
    ci = ci_metadata(job.environ)
    base_branch = find_base_branch(ci, settings.base_branch)
    branches = branches_for(request.baseline or BaselineChoice("auto"), ci, base_branch)
    own_ids = {past.id for past in job.past.values() if past.id}
    queries = [
        BaselineQuery(
            experiment=experiment.name,
            dataset_name=experiment.dataset_name,
            prefix=job.spec.prefix,
            split=job.spec.split,
            dataset_version=job.spec.version_of(experiment.dataset_name),
            branches=branches,
            base_branch=base_branch,
            experiment_ids=own_ids,
            before=_started_at(job, experiment.name),
        )
        for experiment in job.experiments
    ]
    known = known_names(settings.experiments, job.experiments)
    if job.dry_run is not None and not request.thresholds.is_empty:
        say("dry run: the gates are not applied")
    elif job.spec.selection is not None and not request.thresholds.is_empty:
        say("partial run: the gates are not applied, because their limits are for all examples")
    if others := [name for name in unapplied_gates(request.thresholds, known) if name not in known.others]:
        say(f"gates of unselected experiments are skipped: {', '.join(others)}")
    return prepare_gating(
        request,
        queries,
        known,
        phoenix=job.phoenix,
        applies_gates=job.dry_run is None,
        is_base_branch=is_of_base_branch(ci, base_branch),
        is_partial=job.spec.selection is not None,
    )


def _started_at(job: Job, experiment: str) -> datetime | None:
    """Return when a shared experiment started; None for an experiment that this job starts."""
    past = job.past.get(experiment)
    if past is None or job.spec.sharing is None:
        return None
    return start_time_of(past.metadata)


def _request(spec: JobSpec, settings: Settings) -> GateRequest:
    """Return the gate settings; the spec of an earlier job replaces missing settings."""
    thresholds, baseline = settings.thresholds, settings.baseline
    if not settings.gate:
        thresholds = thresholds.with_flags(spec.gates)
    if baseline is None and spec.baseline:
        baseline = BaselineChoice.parse(spec.baseline)
    return GateRequest(thresholds=thresholds, baseline=baseline, prices=settings.prices)
