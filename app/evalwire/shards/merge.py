"""Merge the results of all shards, and report missing shards."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.errors import ExperimentNotFound, NothingToRunError, UsageError
from evalwire.model import ExperimentResult, Failure, JobSpec, missing_shards, own_metadata
from evalwire.recording import FindSharedExperiments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Experiment
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastExperiment
    from evalwire.shards.plan_file import ShardPlan


def merge_planned(phoenix: Phoenix, plan: ShardPlan) -> list[ExperimentResult]:
    """Merge the recorded shards of a plan into a result for each experiment; missing shards are a failure in it.

    Raises:
        NothingToRunError: the plan has no experiment.
        UsageError: an experiment of the plan no longer exists.
        EvalwireError: Phoenix cannot be queried.
    """
    if not plan.experiments:
        raise NothingToRunError(
            "the plan has no experiments, so there are no results to apply gates to. "
            "Create a new plan with `evalwire plan`."
        )
    return [_merge(phoenix, started, plan.shards) for started in plan.past.past.values()]


def merge_agreed(
    phoenix: Phoenix, experiments: Sequence[Experiment], spec: JobSpec, *, run_key: str, shards: int
) -> list[ExperimentResult]:
    """Merge the recorded shards that share a run key into a result for each experiment.

    Args:
        phoenix: connection to the Phoenix that has the recorded shards.
        experiments: loaded experiments.
        spec: specification that the shards ran.
        run_key: key of this pipeline run.
        shards: number of shards.

    Raises:
        UsageError: an experiment no longer exists, or has another number of shards.
        EvalwireError: Phoenix cannot be queried.
    """
    finder = FindSharedExperiments(phoenix, spec, run_key=run_key)
    results = []
    for experiment in experiments:
        try:
            started = finder.find(experiment)
        except ExperimentNotFound as error:
            raise UsageError(str(error)) from error
        results.append(_merge(phoenix, started, shards) if started else _not_started(experiment, shards))
    return results


def _not_started(experiment: Experiment, shards: int) -> ExperimentResult:
    message = f"none of the {shards} shards started this experiment, in this pipeline run and with this code"
    return ExperimentResult(
        name=experiment.name,
        dataset_name=experiment.dataset_name,
        evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
        problems=experiment.problems,
        failure=Failure(kind="evalwire", stage="open", type="ShardsMissing", message=message),
    )


def _merge(phoenix: Phoenix, started: PastExperiment, shards: int) -> ExperimentResult:
    """Return the recorded result of an experiment; missing shards are a failure in it.

    Raises:
        UsageError: the experiment no longer exists, or has another number of shards.
    """
    try:
        result = phoenix.recorded.result(str(started.id), with_examples=True)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    result = replace(result, used=None)  # usage noted by an earlier gate covers only the runs of that time
    name = result.opened.recorded_name if result.opened else ""
    if not started.is_same(recorded_name=name, metadata=result.experiment_metadata):
        raise UsageError(
            f"experiment {started.id} in this Phoenix is {name!r}, not {started.recorded_name!r}, which the shards "
            "started. Either it was deleted, or PHOENIX_ENDPOINT points to another server."
        )
    recorded = own_metadata(result.experiment_metadata).get("shards")
    if recorded != shards:
        raise UsageError(
            f"{result.name} ({started.id}) has {recorded} shards, not {shards}. Set the number of shards to {recorded}."
        )
    missing = _missing(result, shards)
    if not missing:
        return result
    failure = Failure(kind="evalwire", stage="record", type="ShardsMissing", message="; ".join(missing))
    return replace(result, failure=failure)


def _missing(result: ExperimentResult, shards: int) -> list[str]:
    """Describe the shards of an experiment that are missing or incomplete."""
    examples = result.opened.dataset.examples if result.opened else ()
    # a job sends a run before its evaluations, and may have been killed in between
    made = Counter(run.example.node_id for run in result.runs if run.failures or result.is_evaluated(run))
    incomplete = {example.id for example in examples if made[example.node_id] < result.repetitions}
    started = {run.example.id for run in result.runs}
    return missing_shards([example.id for example in examples], incomplete, started, shards, experiment=result.name)
