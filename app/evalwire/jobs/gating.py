"""Gates and baselines around a job: found before anything runs, held against what came out."""

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
    branches_for,
    changed_evaluators,
    changed_task,
    check_drop,
    compare_results,
    find_base_branch,
    is_of_base_branch,
    judge_gates,
    resolve_gates,
    unjudged_gates,
)
from evalwire.jobs.baselines import find_baselines
from evalwire.model import Baseline, GateResult, begun_at
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
    """What is asked of some experiments, before it is known which these are.

    Attributes:
        thresholds: the limits.
        baseline: which one; None for the default, `auto` where a drop is limited.
        prices: of models whose spans tell no cost.
    """

    thresholds: GateConfig
    baseline: BaselineChoice | None
    prices: Mapping[str, Price]

    @classmethod
    def of(cls, settings: Settings) -> GateRequest:
        """Read what the settings ask of the gates."""
        return cls(thresholds=settings.thresholds, baseline=settings.baseline, prices=settings.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gating:
    """What is asked of a job's experiments.

    Attributes:
        gates: every limit.
        asked: which baseline.
        prices: of models whose spans tell no cost.
        baselines: by experiment, what it is compared with, or the note why with nothing.
        is_base_branch: whether the job runs on the branch that baselines are of.
    """

    gates: Sequence[Gate]
    asked: BaselineChoice
    prices: Mapping[str, Price]
    baselines: Mapping[str, ExperimentResult | str]
    is_base_branch: bool = False

    def judge(
        self,
        results: Sequence[ExperimentResult],
        *,
        today: Callable[[str], str | None] = lambda _: None,
        usage: Mapping[tuple[str, str], Usage | None] | None = None,
    ) -> tuple[tuple[GateResult, ...], tuple[Baseline, ...]]:
        """Return what the gates came to, and how each experiment compares with its baseline.

        Args:
            results: of the experiments, with what changed evaluators returned for the baselines' outputs.
            today: the digest of a file of the project as it is now; None where this cannot be told.
            usage: what scoring baselines again used of language models, by experiment and evaluator.
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
                        replace(one, usage=(usage or {}).get((result.name, one.evaluator))) for one in baseline.rescored
                    )
                    found[result.name] = replace(baseline, rescored=tuple(rescored))
        gates = judge_gates(
            results, self.gates, baselines=found, prices=self.prices, is_base_branch=self.is_base_branch
        )
        return gates, tuple(found.values())


NO_GATING = Gating(gates=(), asked=BaselineChoice("none"), prices={}, baselines={})
"""No gates: an experiment passes when all of it ran, was scored and was recorded."""


def known_names(folder: Path, experiments: Sequence[Experiment]) -> KnownNames:
    """Return what gates may name: these experiments with their evaluators, and the others of the folder."""
    names = [experiment.name for experiment in experiments]
    return KnownNames(
        judged={
            one.name: None if one.problems else [evaluator.name for evaluator in one.evaluators] for one in experiments
        },
        others=[path.name for path in find_experiments(folder)[0] if path.name not in names],
    )


def prepare_gating(
    wanted: GateRequest,
    subjects: Sequence[BaselineQuery],
    known: KnownNames,
    *,
    phoenix: Phoenix | None,
    is_judged: bool = True,
    is_base_branch: bool = False,
) -> Gating:
    """Find the limits and the baselines of some experiments.

    Args:
        wanted: what is asked.
        subjects: the experiments.
        known: what limits may name.
        phoenix: where the baselines are; None where there is none to ask.
        is_judged: find the baselines too; False only checks what is asked.
        is_base_branch: whether the job runs on the branch that baselines are of.

    Raises:
        UsageError: a limit or a baseline names what does not exist.
        EvalwireError: Phoenix cannot be asked.
    """
    gates = resolve_gates(wanted.thresholds, known)
    asked = wanted.baseline or BaselineChoice("auto")
    if not is_judged:
        return Gating(gates=(), asked=asked, baselines={}, prices=wanted.prices)
    if asked.kind == "none":
        return Gating(
            gates=gates,
            asked=asked,
            baselines=_none_for(gates),
            prices=wanted.prices,
            is_base_branch=is_base_branch,
        )
    needing = {gate.experiment for gate in gates if gate.rule == "max_drop"}
    wanting = [one for one in subjects if wanted.baseline is not None or one.experiment in needing]
    baselines = find_baselines(asked, wanting, phoenix) if wanting else {}
    for gate in gates:
        check_drop(gate, baselines.get(gate.experiment))
    return Gating(gates=gates, asked=asked, baselines=baselines, prices=wanted.prices, is_base_branch=is_base_branch)


def _none_for(gates: Sequence[Gate]) -> dict[str, ExperimentResult | str]:
    return {gate.experiment: "none was asked for (--baseline none)" for gate in gates if gate.rule == "max_drop"}


def job_gating(job: Job, settings: Settings, *, say: Callable[[str], object]) -> Gating:
    """Find the gates and baselines of a job before anything runs.

    Where the settings are silent, the gates and the baseline of the earlier job that is resumed hold.

    Args:
        job: with its experiments.
        settings: what was asked for now.
        say: receives what will not be judged.

    Raises:
        UsageError: a gate or a baseline names what does not exist.
        EvalwireError: Phoenix cannot be asked for a baseline.
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
            dataset_version=job.spec.dataset_version,
            branches=branches,
            base_branch=base_branch,
            experiment_ids=own_ids,
            before=_begun(job, experiment.name),
        )
        for experiment in job.experiments
    ]
    known = known_names(settings.experiments, job.experiments)
    if job.dry_run is not None and not request.thresholds.is_empty:
        say("a dry run: the gates are not judged")
    if others := [name for name in unjudged_gates(request.thresholds, known) if name not in known.others]:
        say(f"not among what is judged, so these gates are not either: {', '.join(others)}")
    return prepare_gating(
        request,
        queries,
        known,
        phoenix=job.phoenix,
        is_judged=job.dry_run is None,
        is_base_branch=is_of_base_branch(ci, base_branch),
    )


def _begun(job: Job, experiment: str) -> datetime | None:
    """Return when an experiment began that shards share; None for one that this job begins."""
    past = job.past.get(experiment)
    if past is None or job.spec.sharing is None:
        return None
    return begun_at(past.metadata)


def _request(spec: JobSpec, settings: Settings) -> GateRequest:
    """Return what the settings ask; where they are silent, what the job's spec has from an earlier job."""
    thresholds, baseline = settings.thresholds, settings.baseline
    if not settings.gate:
        thresholds = thresholds.with_flags(spec.gates)
    if baseline is None and spec.baseline:
        baseline = BaselineChoice.parse(spec.baseline)
    return GateRequest(thresholds=thresholds, baseline=baseline, prices=settings.prices)
