"""Which shard a job is, and how it finds the experiments that it shares with the others: by a plan, or by a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.model import Shard
from evalwire.recording import Sharing, Terms
from evalwire.settings import ShardOption, ci_metadata, parallel_job, pipeline_run
from evalwire.shards.plan_file import ShardPlan

if TYPE_CHECKING:
    from evalwire.jobs import Context
    from evalwire.recording import PastJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a job runs of its experiments.

    Attributes:
        sharing: with the jobs that run the rest.
        plan: that names the experiments; None where the jobs find them by a key.
    """

    sharing: Sharing
    plan: ShardPlan | None = None


def part_of(context: Context, *, fresh: bool = False, is_recorded: bool = True) -> Part | None:
    """The part that the settings ask for; None for all of every experiment.

    Args:
        context: settings and environment.
        fresh: not the experiments of an earlier attempt of the same pipeline run.
        is_recorded: whether anything is recorded, so that there is something to share.

    Raises:
        UsageError: no shard is named, or none that there is; or there is nothing by which its jobs could agree.
    """
    settings = context.settings
    asked: ShardOption | None = settings.shard
    if asked is None:
        if settings.plan is not None:
            raise UsageError(
                f"there is a plan (from: {settings.source('plan')}), but no shard of it is named: use --shard 2/5, or "
                "--shard auto."
            )
        if fresh:
            raise UsageError("--fresh is for shards; a run without --shard always begins anew.")
        return None
    plan = ShardPlan.load(settings.plan) if settings.plan is not None else None
    try:
        shard = asked.resolve(parallel_job(context.environ), planned=plan.shards if plan else None)
    except ValueError as error:
        raise UsageError(f"shard {asked} (from: {settings.source('shard')}): {error}.") from error
    if plan is not None:
        if fresh:
            raise UsageError("--fresh contradicts --plan: make a new plan, with `evalwire plan --fresh`.")
        _check_terms(context, plan)
        return Part(sharing=Sharing(total=shard.total, shard=shard), plan=plan)
    if not is_recorded:
        return Part(sharing=Sharing(total=shard.total, shard=shard))
    key, job = run_key(context, fresh=fresh)
    return Part(sharing=Sharing(total=shard.total, shard=shard, run_key=key, job=job))


def of_past(past: PastJob) -> Sharing | None:
    """How an earlier job shared its experiments; None where it had them for itself.

    Raises:
        UsageError: its journal names no shard that there is.
    """
    if past.shard is None:
        return None
    try:
        shard = Shard.parse(past.shard)
    except ValueError as error:
        raise UsageError(f"the journal names the shard {past.shard!r}: {error}.") from error
    return Sharing(total=shard.total, shard=shard, run_key=past.run_key)


def run_key(context: Context, *, fresh: bool = False) -> tuple[str, str]:
    """What the jobs of this pipeline run have in common and no others, and the name of this job's group.

    Raises:
        UsageError: nothing tells it, or no new attempt can be told from an earlier one.
    """
    own = context.settings.run_key
    if own is not None:
        if fresh:
            raise UsageError("--fresh and EVALWIRE_RUN_KEY: to begin anew, give the jobs another key instead.")
        return f"given {own}", ""
    run = pipeline_run(context.environ)
    if run is None:
        raise UsageError(
            "nothing tells which jobs run the other shards: there is no plan, and no variable of a CI system that is "
            "known here.\nSet EVALWIRE_RUN_KEY to a text that the jobs of this run share with no others, or use "
            "`evalwire plan`."
        )
    if not fresh:
        return run.key, run.job
    if not run.attempt:
        raise UsageError(
            "--fresh: this CI system does not number the attempts of a whole run, so the shards could not agree on a "
            "new one.\nSet EVALWIRE_RUN_KEY to a new text, or use `evalwire plan --fresh`."
        )
    return f"{run.key} attempt {run.attempt}", run.job


def terms_of(context: Context) -> Terms:
    """What the settings say that experiments are created with."""
    settings = context.settings
    return Terms(
        prefix=settings.prefix,
        metadata=ci_metadata(context.environ),
        repetitions=settings.repetitions,
        split=settings.split,
        version_id=settings.dataset_version,
    )


def _check_terms(context: Context, plan: ShardPlan) -> None:
    settings = context.settings
    for name, planned in (("repetitions", plan.repetitions), ("split", plan.split), ("prefix", plan.prefix)):
        if settings.source(name) != "default" and getattr(settings, name) != planned:
            raise UsageError(
                f"{name} is {getattr(settings, name)!r} (from: {settings.source(name)}), and the plan was made with "
                f"{planned!r}: give it to `evalwire plan`."
            )
    if settings.dataset_version is not None:
        raise UsageError("--dataset-version: the plan pins the versions; give it to `evalwire plan`.")
