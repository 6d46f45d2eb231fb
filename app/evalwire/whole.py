"""What all shards together recorded, and what of it is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import discovery, sharding
from evalwire.errors import ExperimentNotFound, NothingToRunError, UsageError
from evalwire.facts import facts_of
from evalwire.model import ExperimentResult, Failure
from evalwire.opening import Opening, Sharing
from evalwire.shard_plan import ShardPlan
from evalwire.sharing import run_key, terms_of

if TYPE_CHECKING:
    from evalwire.context import Context
    from evalwire.gateway import Phoenix


def found(context: Context, phoenix: Phoenix, *, shards: int | None, fresh: bool = False) -> list[ExperimentResult]:
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
    if shards is None:
        plan = ShardPlan.load(context.settings.plan)
        return [_result(phoenix, str(one.id), plan.shards) for one in plan.experiments]
    return _agreed(context, phoenix, shards=shards, fresh=fresh)


def _agreed(context: Context, phoenix: Phoenix, *, shards: int, fresh: bool) -> list[ExperimentResult]:
    key, _ = run_key(context, fresh=fresh)
    settings = context.settings
    opening = Opening(phoenix, terms_of(context), sharing=Sharing(total=shards, run_key=key))
    results = []
    with discovery.importable(settings.experiments):
        experiments = context.discover().experiments
        context.learn_secrets()
        if not experiments:
            raise NothingToRunError(
                f"no experiment in {settings.experiments.resolve()}/, so there is nothing to judge."
            )
        for experiment in experiments:
            id_ = opening.find(experiment)
            if id_ is not None:
                results.append(_result(phoenix, id_, shards))
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


def _result(phoenix: Phoenix, experiment_id: str, shards: int) -> ExperimentResult:
    """What was recorded of one experiment, with the shards that are missing as its failure.

    Raises:
        UsageError: it is gone, or was divided otherwise.
    """
    try:
        result = phoenix.recorded_result(experiment_id, with_examples=True)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    divided = facts_of(result.experiment_metadata).get("shards")
    if divided != shards:
        raise UsageError(
            f"{result.name} ({experiment_id}) was divided into {divided} shards, not {shards}: name the right number."
        )
    missing = _missing(result, shards)
    if not missing:
        return result
    message = "; ".join(missing)
    return replace(result, failure=Failure(stage="record", type="ShardsMissing", message=message))


def _missing(result: ExperimentResult, shards: int) -> list[str]:
    examples = result.opened.dataset.examples if result.opened else ()
    made = Counter(run.example.node_id for run in result.runs)
    incomplete = {example.id for example in examples if made[example.node_id] < result.repetitions}
    return sharding.missing([example.id for example in examples], incomplete, shards, experiment=result.name)
