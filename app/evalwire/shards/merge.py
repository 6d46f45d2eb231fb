"""What all shards together recorded, and what of it is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.errors import ExperimentNotFound, NothingToRunError, UsageError
from evalwire.experiments import importable
from evalwire.model import ExperimentResult, Failure, missing_shards, own_metadata
from evalwire.recording import Opening, Sharing
from evalwire.shards.membership import run_key, terms_of
from evalwire.shards.plan_file import ShardPlan

if TYPE_CHECKING:
    from evalwire.jobs import Context
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastExperiment


def merged_results(
    context: Context, phoenix: Phoenix, *, shards: int | None, fresh: bool = False
) -> list[ExperimentResult]:
    """What the shards recorded, an experiment each; what is missing is its failure.

    Args:
        context: settings and environment.
        phoenix: where they recorded it.
        shards: how many there are, which agreed by the key of this pipeline run; None where the settings have a plan.
        fresh: they had `--fresh`.

    Raises:
        UsageError: there is no such plan or key, or an experiment of the plan is gone.
        EvalwireError: Phoenix cannot be asked.
    """
    try:
        if shards is None:
            plan = ShardPlan.load(context.settings.plan)
            return [_result(phoenix, one, plan.shards) for one in plan.experiments]
        return _agreed(context, phoenix, shards=shards, fresh=fresh)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error


def _agreed(context: Context, phoenix: Phoenix, *, shards: int, fresh: bool) -> list[ExperimentResult]:
    key, _ = run_key(context, fresh=fresh)
    settings = context.settings
    opening = Opening(phoenix, terms_of(context), sharing=Sharing(total=shards, run_key=key))
    results = []
    with importable(settings.experiments):
        experiments = context.discover().experiments
        context.learn_secrets()
        if not experiments:
            raise NothingToRunError(
                f"no experiment in {settings.experiments.resolve()}/, so there is nothing to judge."
            )
        for experiment in experiments:
            begun = opening.find(experiment)
            if begun is not None:
                results.append(_result(phoenix, begun, shards))
                continue
            failure = Failure(
                stage="open",
                type="ShardsMissing",
                message=f"none of the {shards} shards has begun it, in this pipeline run and with this code",
            )
            results.append(
                ExperimentResult(
                    name=experiment.name,
                    dataset_name=experiment.dataset_name,
                    evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
                    problems=experiment.problems,
                    failure=failure,
                )
            )
    return results


def _result(phoenix: Phoenix, begun: PastExperiment, shards: int) -> ExperimentResult:
    """What was recorded of one experiment, with the shards that are missing as its failure.

    Raises:
        ExperimentNotFound: it is gone.
        UsageError: it was divided otherwise.
    """
    result = phoenix.records.result(str(begun.id), with_examples=True)
    result = replace(result, used=None)  # what an earlier gate noted was of the runs that there were then
    name = result.opened.recorded_name if result.opened else ""
    if not begun.is_same(recorded_name=name, metadata=result.experiment_metadata):
        raise ExperimentNotFound(
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
    message = "; ".join(missing)
    return replace(result, failure=Failure(stage="record", type="ShardsMissing", message=message))


def _missing(result: ExperimentResult, shards: int) -> list[str]:
    examples = result.opened.dataset.examples if result.opened else ()
    # a run is sent before its evaluations, and its job may have been killed in between
    made = Counter(run.example.node_id for run in result.runs if run.failures or result.is_judged(run))
    incomplete = {example.id for example in examples if made[example.node_id] < result.repetitions}
    return missing_shards([example.id for example in examples], incomplete, shards, experiment=result.name)
