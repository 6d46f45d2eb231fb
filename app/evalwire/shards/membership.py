"""Find out which shard a job runs, and how it agrees with the jobs that run the others: by a plan, or by a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.model import Sharing
from evalwire.settings import parallel_job, pipeline_run
from evalwire.shards.plan_file import ShardPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The part of every experiment that a job runs.

    Attributes:
        sharing: how the job shares its experiments.
        plan: the plan that names the experiments; None where the jobs find them by a key.
    """

    sharing: Sharing
    plan: ShardPlan | None = None


def find_membership(
    settings: Settings, environ: Mapping[str, str], *, fresh: bool = False, is_recorded: bool = True
) -> Membership | None:
    """Return the part that the settings ask for; None for all of every experiment.

    Args:
        settings: of the job.
        environ: the environment, for what CI says of parallel jobs.
        fresh: start new experiments instead of continuing an earlier attempt of the same pipeline run.
        is_recorded: whether anything is recorded, so that there is something to share.

    Raises:
        UsageError: no shard is named, or none that exists; or there is nothing by which its jobs could agree.
    """
    option = settings.shard
    if option is None:
        if settings.plan is not None:
            raise UsageError(
                f"there is a plan (from: {settings.source('plan')}), but no shard of it is named: use --shard 2/5, or "
                "--shard auto."
            )
        if fresh:
            raise UsageError("--fresh is for shards only: a run without --shard always starts new experiments.")
        return None
    plan = ShardPlan.load(settings.plan) if settings.plan is not None else None
    try:
        shard = option.resolve(parallel_job(environ), planned=plan.shards if plan else None)
    except ValueError as error:
        raise UsageError(f"shard {option} (from: {settings.source('shard')}): {error}.") from error
    if plan is not None:
        if fresh:
            raise UsageError("--fresh contradicts --plan: make a new plan, with `evalwire plan --fresh`.")
        _check_plan(settings, plan)
        return Membership(sharing=Sharing(total=shard.total, shard=shard), plan=plan)
    if not is_recorded:
        return Membership(sharing=Sharing(total=shard.total, shard=shard))
    key, job = find_run_key(settings, environ, fresh=fresh)
    return Membership(sharing=Sharing(total=shard.total, shard=shard, run_key=key, job=job))


def find_run_key(settings: Settings, environ: Mapping[str, str], *, fresh: bool = False) -> tuple[str, str]:
    """Return the key that the jobs of this pipeline run share with no others, and the name of this job's group.

    Raises:
        UsageError: nothing tells it, or no new attempt can be told from an earlier one.
    """
    own = settings.run_key
    if own is not None:
        if fresh:
            raise UsageError(
                "--fresh and EVALWIRE_RUN_KEY cannot be used together. "
                "To start new experiments, give the jobs another key."
            )
        return f"given {own}", ""
    run = pipeline_run(environ)
    if run is None:
        raise UsageError(
            "Cannot tell which jobs belong to this run: no plan was given and no supported CI system was detected.\n"
            "Set EVALWIRE_RUN_KEY to a text that the jobs of this run share with no others, or use `evalwire plan`."
        )
    if not fresh:
        return run.key, run.job
    if not run.attempt:
        raise UsageError(
            "--fresh: this CI system does not number the attempts of a whole run, so the shards could not agree on a "
            "new one.\nSet EVALWIRE_RUN_KEY to a new text, or use `evalwire plan --fresh`."
        )
    return f"{run.key} attempt {run.attempt}", run.job


def _check_plan(settings: Settings, plan: ShardPlan) -> None:
    """Check that the settings do not contradict the plan.

    Raises:
        UsageError: they do.
    """
    for name, given, planned in (
        ("repetitions", settings.repetitions, plan.repetitions),
        ("split", settings.split, plan.split),
        ("prefix", settings.prefix, plan.prefix),
    ):
        if settings.source(name) != "default" and given != planned:
            raise UsageError(
                f"{name} is {given!r} (from: {settings.source(name)}), and the plan was made with "
                f"{planned!r}: give it to `evalwire plan`."
            )
    if settings.dataset_version is not None:
        raise UsageError("--dataset-version: the plan pins the versions; give it to `evalwire plan`.")
