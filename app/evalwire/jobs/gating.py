"""Resolve gates and baselines before a job, and apply them to its results."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import clocks
from evalwire.experiments import file_digest, find_experiments
from evalwire.gates import (
    NO_CALIBRATIONS,
    RULES_OF_CALLS,
    BaselineChoice,
    BaselineQuery,
    Calibrations,
    Gate,
    GateConfig,
    KnownNames,
    Limit,
    apply_gates,
    changed_evaluators,
    changed_task,
    check_drop,
    compare_results,
    compare_variants,
    find_base_branch,
    is_of_base_branch,
    on_branches,
    resolve_gates,
    unapplied_gates,
)
from evalwire.jobs.baselines import find_baselines, find_histories
from evalwire.jobs.judging import judges_directory
from evalwire.jobs.listing import Listing
from evalwire.judges import load_calibrations
from evalwire.model import FACTS_KEY, Baseline, GateResult, comparison_time, start_time_of
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from evalwire.jobs.run import Job
    from evalwire.model import (
        CalibrationState,
        Direction,
        Experiment,
        ExperimentResult,
        Forecast,
        History,
        JobSpec,
        Price,
        Usage,
        VariantComparison,
    )
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


OF_BUDGET = "[budget]"
"""The source of the limit on the number of model calls that a budget on their usage sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """The gate settings of a job.

    Attributes:
        thresholds: the limits.
        baseline: the choice of baseline; None for the default, which is `auto` for gates on a drop.
        base_branch: the setting `base_branch`; None if it is not set.
        prices: prices of models whose spans report no cost.
        judges: the directory of calibrations; None without one.
        project: the directory to which the paths of the files that evaluators read are relative.
    """

    thresholds: GateConfig
    baseline: BaselineChoice | None
    base_branch: str | None
    prices: Mapping[str, Price]
    judges: Path | None = None
    project: Path = Path()

    @classmethod
    def of(cls, settings: Settings) -> GateRequest:
        """Return the gate settings."""
        return cls(
            thresholds=settings.thresholds,
            baseline=settings.baseline,
            base_branch=settings.base_branch,
            prices=settings.prices,
            judges=judges_directory(settings),
            project=settings.experiments.resolve().parent,
        )

    def with_calls(self) -> GateRequest:
        """Return the gate settings with the default of a budget for the number of model calls."""
        everywhere = self.thresholds.everywhere
        calls = Limit(rule="min_llm_calls", threshold=1.0, is_relative=False, source=OF_BUDGET)
        limits = (calls, *everywhere.limits)
        return replace(self, thresholds=replace(self.thresholds, everywhere=replace(everywhere, limits=limits)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The results of applied gates.

    Attributes:
        gates: the gate results.
        baselines: the comparisons with baselines.
        calibrations: the calibrations of evaluations by language models.
    """

    gates: tuple[GateResult, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    calibrations: tuple[CalibrationState, ...] = ()


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
        history: the earlier experiments of the base branch, by experiment.
        forecast: the usage to expect of the job; None without a forecast.
        calibrations: the agreement of evaluators with people. Jobs of shards do not record the files that evaluators
            read during the run, so the current files of the project count instead.
    """

    gates: Sequence[Gate]
    asked: BaselineChoice
    prices: Mapping[str, Price]
    baselines: Mapping[str, ExperimentResult | str]
    is_base_branch: bool = False
    is_partial: bool = False
    history: tuple[History, ...] = ()
    forecast: Forecast | None = None
    calibrations: Calibrations = NO_CALIBRATIONS

    def of_experiment(self, name: str) -> Gating:
        """Return the gates and the baseline of an experiment."""
        return replace(
            self,
            gates=[gate for gate in self.gates if gate.experiment == name],
            baselines={name: self.baselines[name]} if name in self.baselines else {},
            history=(),
        )

    @property
    def _directions(self) -> dict[str, dict[str, Direction]]:
        """The directions of evaluations, by experiment."""
        found: dict[str, dict[str, Direction]] = {}
        for gate in self.gates:
            found.setdefault(gate.experiment, {})[gate.evaluation or ""] = gate.direction
        return found

    def compare_variants(self, results: Sequence[ExperimentResult]) -> tuple[VariantComparison, ...]:
        """Compare the variants of each experiment with each other."""
        return compare_variants(results, self._directions)

    def apply(
        self,
        results: Sequence[ExperimentResult],
        *,
        today: Callable[[str], str | None] = lambda _: None,
        usage: Mapping[tuple[str, str], Usage | None] | None = None,
    ) -> Applied:
        """Apply the gates, compare with the baselines, and check the calibrations.

        Args:
            results: results of the experiments, with rescored baselines.
            today: returns the current digest of a project file, or None if it is unknown.
            usage: token usage of rescoring, by experiment and evaluator.
        """
        directions = self._directions
        states = tuple(state for result in results for state in self.calibrations.of_llm_evaluators(result))
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
            return Applied(baselines=tuple(found.values()), calibrations=states)
        gates = apply_gates(
            results,
            self.gates,
            baselines=found,
            prices=self.prices,
            is_base_branch=self.is_base_branch,
            calibrations=self.calibrations,
        )
        return Applied(gates=gates, baselines=tuple(found.values()), calibrations=states)


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
        variants={
            experiment.name: experiment.variant.directory
            for experiment in experiments
            if experiment.variant is not None
        },
    )


def prepare_gating(
    wanted: GateRequest,
    subjects: Sequence[BaselineQuery],
    known: KnownNames,
    *,
    phoenix: Phoenix | None,
    ci: Mapping[str, Any],
    applies_gates: bool = True,
    is_partial: bool = False,
    has_history: bool = True,
) -> Gating:
    """Resolve the gates, and find the baselines and the history of experiments.

    Args:
        wanted: the gate settings.
        subjects: the experiments, without the branches of their baselines.
        known: names that gates may use.
        phoenix: the server of the baselines; None without a server.
        ci: metadata of the CI job, or of the working copy.
        applies_gates: whether to find the baselines; False only checks the settings.
        is_partial: whether the job runs only selected examples; it is compared only with a requested baseline.
        has_history: whether to read the history; shards and partial runs have no trend.

    Raises:
        UsageError: a gate or a baseline has an unknown name.
        EvalwireError: Phoenix cannot be reached.
    """
    gates = resolve_gates(wanted.thresholds, known)
    asked = wanted.baseline or BaselineChoice("auto")
    calibrations = Calibrations(
        found=load_calibrations(wanted.judges) if wanted.judges is not None else {},
        day=clocks.now().date(),
        today=partial(_digest_in, wanted.project),
    )
    base_branch = find_base_branch(ci, wanted.base_branch)
    gating = Gating(
        gates=gates,
        asked=asked,
        baselines={},
        prices=wanted.prices,
        is_base_branch=is_of_base_branch(ci, base_branch),
        is_partial=is_partial,
        calibrations=calibrations,
    )
    if not applies_gates:
        return replace(gating, gates=())
    listing = Listing(phoenix) if phoenix is not None else None
    baselines: Mapping[str, ExperimentResult | str] = {}
    if asked.kind == "none":
        baselines = _none_for(gates)
    else:
        needing = {gate.experiment for gate in gates if gate.rule == "max_drop" and not is_partial}
        wanting = [query for query in subjects if wanted.baseline is not None or query.experiment in needing]
        if wanting:
            baselines = find_baselines(asked, [on_branches(each, asked, ci, base_branch) for each in wanting], listing)
        for gate in gates:
            check_drop(gate, baselines.get(gate.experiment))
    if listing is not None and has_history:
        trends = [on_branches(query, BaselineChoice("auto"), ci, base_branch) for query in subjects]
        gating = replace(gating, history=find_histories(trends, listing))
    return replace(gating, baselines=baselines)


def _digest_in(project: Path, path: str) -> str:
    return file_digest(os.path.normpath(project / path))


def _none_for(gates: Sequence[Gate]) -> dict[str, ExperimentResult | str]:
    return {gate.experiment: "disabled by --baseline none" for gate in gates if gate.rule == "max_drop"}


def job_gating(job: Job, settings: Settings, *, directory: str, say: Callable[[str], object]) -> Gating:
    """Resolve the gates and baselines of a job before it runs.

    Settings that are not set now are taken from the resumed job.

    Args:
        job: the job and its experiments.
        settings: the current settings.
        directory: the working directory of the job.
        say: receives the names of gates that do not apply.

    Raises:
        UsageError: a gate or a baseline has an unknown name.
        EvalwireError: Phoenix cannot be reached.
    """
    request = _request(job.spec, settings)
    own_ids = {past.id for past in job.past.values() if past.id}
    own_ids |= {source.facts["experiment"] for source in job.spec.sources.values() if "experiment" in source.facts}
    queries = [
        BaselineQuery(
            experiment=experiment.name,
            dataset_name=experiment.dataset_name,
            prefix=spec.prefix,
            split=spec.split,
            dataset_version=spec.version_of(experiment.dataset_name),
            experiment_ids=own_ids,
            before=_started_at(job, experiment.name),
        )
        for experiment in job.experiments
        for spec in [job.spec.of_experiment(experiment.name)]
    ]
    known = known_names(settings.experiments, job.experiments)
    if job.spec.is_noise:
        return _of_noise(resolve_gates(request.thresholds, known), request)
    if job.dry_run is not None and not request.thresholds.is_empty:
        say("dry run: the gates are not applied")
    elif job.spec.selection is not None and not request.thresholds.is_empty:
        say("partial run: the gates are not applied, because their limits are for all examples")
    if others := [name for name in unapplied_gates(request.thresholds, known) if name not in known.others]:
        say(f"gates of unselected experiments are skipped: {', '.join(others)}")
    gating = prepare_gating(
        request.with_calls() if _needs_calls(job) else request,
        queries,
        known,
        phoenix=job.phoenix,
        ci=origin_metadata(job.environ, directory),
        applies_gates=job.dry_run is None,
        is_partial=job.spec.selection is not None,
        has_history=job.ends_experiments and job.spec.selection is None,
    )
    rules = dict.fromkeys(gate.rule for gate in gating.gates if gate.rule in RULES_OF_CALLS)
    if job.spec.sources and rules:
        say(f"no task is called: {' and '.join(rules)} {'is' if len(rules) == 1 else 'are'} not applied")
        return replace(gating, gates=[gate for gate in gating.gates if gate.rule not in RULES_OF_CALLS])
    return gating


def _of_noise(gates: Sequence[Gate], request: GateRequest) -> Gating:
    """Return the gates of a job that measures noise: only limits on failed runs, which decide whether it counts."""
    limits = [gate for gate in gates if gate.rule == "max_error_rate"]
    return Gating(gates=limits, asked=BaselineChoice("none"), baselines={}, prices=request.prices)


def _started_at(job: Job, experiment: str) -> datetime | None:
    """Return when a shared experiment, or the run whose outputs are scored, started; None for a run of this job."""
    source = job.spec.sources.get(experiment)
    if source is not None:
        return comparison_time({FACTS_KEY: {"source": source.facts}})
    past = job.past.get(experiment)
    if past is None or job.spec.sharing is None:
        return None
    return start_time_of(past.metadata)


def _needs_calls(job: Job) -> bool:
    """Check whether an experiment without model calls fails by default, because the budget could not count usage."""
    is_whole = job.dry_run is None and job.spec.selection is None
    return job.limits.budget.limits_usage and is_whole and not job.spec.sources


def _request(spec: JobSpec, settings: Settings) -> GateRequest:
    """Return the gate settings; the spec of an earlier job replaces missing settings."""
    thresholds, baseline = settings.thresholds, settings.baseline
    if not settings.gate:
        thresholds = thresholds.with_flags(spec.gates)
    if baseline is None and spec.baseline:
        baseline = BaselineChoice.parse(spec.baseline)
    return replace(GateRequest.of(settings), thresholds=thresholds, baseline=baseline)
