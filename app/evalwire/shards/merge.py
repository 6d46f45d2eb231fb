"""Merge the results of all shards, and report missing ones."""

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
    """Return what the shards of a plan recorded, one result for each experiment; missing shards are its failure.

    Raises:
        NothingToRunError: the plan has no experiment.
        UsageError: an experiment of the plan is gone.
        EvalwireError: Phoenix cannot be asked.
    """
    if not plan.experiments:
        raise NothingToRunError("the plan has no experiment, so there is nothing to judge.")
    return [_merge(phoenix, begun, plan.shards) for begun in plan.past.past.values()]


def merge_agreed(
    phoenix: Phoenix, experiments: Sequence[Experiment], spec: JobSpec, *, run_key: str, shards: int
) -> list[ExperimentResult]:
    """Return what the shards recorded that agreed by a key, one result for each experiment.

    Args:
        phoenix: where they recorded it.
        experiments: loaded.
        spec: what the shards run.
        run_key: the key of this pipeline run.
        shards: the number of shards.

    Raises:
        UsageError: an experiment is gone, or was divided otherwise.
        EvalwireError: Phoenix cannot be asked.
    """
    finder = FindSharedExperiments(phoenix, spec, run_key=run_key)
    results = []
    for experiment in experiments:
        try:
            begun = finder.find(experiment)
        except ExperimentNotFound as error:
            raise UsageError(str(error)) from error
        results.append(_merge(phoenix, begun, shards) if begun else _not_begun(experiment, shards))
    return results


def _not_begun(experiment: Experiment, shards: int) -> ExperimentResult:
    message = f"none of the {shards} shards has begun it, in this pipeline run and with this code"
    return ExperimentResult(
        name=experiment.name,
        dataset_name=experiment.dataset_name,
        evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
        problems=experiment.problems,
        failure=Failure(kind="evalwire", stage="open", type="ShardsMissing", message=message),
    )


def _merge(phoenix: Phoenix, begun: PastExperiment, shards: int) -> ExperimentResult:
    """Return what was recorded of one experiment, with the shards that are missing as its failure.

    Raises:
        UsageError: the experiment is gone, or was divided otherwise.
    """
    try:
        result = phoenix.recorded.result(str(begun.id), with_examples=True)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    result = replace(result, used=None)  # what an earlier gate noted was of the runs that there were then
    name = result.opened.recorded_name if result.opened else ""
    if not begun.is_same(recorded_name=name, metadata=result.experiment_metadata):
        raise UsageError(
            f"the experiment {begun.id} of this Phoenix is another one ({name!r}) than the shards began "
            f"({begun.recorded_name!r}): somebody deleted theirs, or PHOENIX_ENDPOINT is another server."
        )
    divided = own_metadata(result.experiment_metadata).get("shards")
    if divided != shards:
        raise UsageError(
            f"{result.name} ({begun.id}) was divided into {divided} shards, not {shards}: name the right number."
        )
    missing = _missing(result, shards)
    if not missing:
        return result
    failure = Failure(kind="evalwire", stage="record", type="ShardsMissing", message="; ".join(missing))
    return replace(result, failure=failure)


def _missing(result: ExperimentResult, shards: int) -> list[str]:
    """Describe the shards of an experiment that are missing, wholly or in part."""
    examples = result.opened.dataset.examples if result.opened else ()
    # a run is sent before its evaluations, and its job may have been killed in between
    made = Counter(run.example.node_id for run in result.runs if run.failures or result.is_evaluated(run))
    incomplete = {example.id for example in examples if made[example.node_id] < result.repetitions}
    begun = {run.example.id for run in result.runs}
    return missing_shards([example.id for example in examples], incomplete, begun, shards, experiment=result.name)
