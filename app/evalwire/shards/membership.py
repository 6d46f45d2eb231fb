"""Find the shard that a job runs, and the plan or key by which all shards find the same experiments."""

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
        sharing: how the job shares experiments with other jobs.
        plan: plan that names the experiments; None if the jobs find them by a key.
    """

    sharing: Sharing
    plan: ShardPlan | None = None


def find_membership(
    settings: Settings, environ: Mapping[str, str], *, fresh: bool = False, is_recorded: bool = True
) -> Membership | None:
    """Return the shard that the settings request; None to run the experiments in full.

    Args:
        settings: settings of the job.
        environ: environment variables, which may describe parallel CI jobs.
        fresh: start new experiments instead of continuing an earlier attempt of the same pipeline run.
        is_recorded: whether the job records experiments, which the shards then share.

    Raises:
        UsageError: the shard is missing or does not exist, or the shards cannot find a common plan or key.
    """
    option = settings.shard
    if option is None:
        if settings.plan is not None:
            raise UsageError(
                f"a plan was given (from: {settings.source('plan')}), but no shard. "
                "Name the shard with --shard 2/5 or --shard auto."
            )
        if fresh:
            raise UsageError("--fresh requires --shard. A run without --shard always starts new experiments.")
        return None
    plan = ShardPlan.load(settings.plan) if settings.plan is not None else None
    try:
        shard = option.resolve(parallel_job(environ), planned=plan.shards if plan else None)
    except ValueError as error:
        raise UsageError(f"shard {option} (from: {settings.source('shard')}): {error}.") from error
    if plan is not None:
        if fresh:
            raise UsageError(
                "--fresh and --plan cannot be used together. Create a new plan with `evalwire plan --fresh`."
            )
        _check_plan(settings, plan)
        return Membership(sharing=Sharing(total=shard.total, shard=shard), plan=plan)
    if not is_recorded:
        return Membership(sharing=Sharing(total=shard.total, shard=shard))
    key, job = find_run_key(settings, environ, fresh=fresh)
    return Membership(sharing=Sharing(total=shard.total, shard=shard, run_key=key, job=job))


def find_run_key(settings: Settings, environ: Mapping[str, str], *, fresh: bool = False) -> tuple[str, str]:
    """Return the key that only the jobs of this pipeline run share, and the name of this job's group.

    Raises:
        UsageError: the key cannot be determined, or it would be the same for a new attempt.
    """
    own = settings.run_key
    if own is not None:
        if fresh:
            raise UsageError(
                "--fresh and EVALWIRE_RUN_KEY cannot be used together. "
                "To start new experiments, set EVALWIRE_RUN_KEY to another value in all jobs of this run."
            )
        return f"given {own}", ""
    run = pipeline_run(environ)
    if run is None:
        raise UsageError(
            "cannot determine which jobs belong to this run: no plan was given, and no supported CI system was "
            "detected.\n"
            "Set EVALWIRE_RUN_KEY to a value that only the jobs of this run have, or use `evalwire plan`."
        )
    if not fresh:
        return run.key, run.job
    if not run.attempt:
        raise UsageError(
            "--fresh is not supported here: this CI system does not number the attempts of a run, so the shards "
            "cannot agree on a new attempt.\nSet EVALWIRE_RUN_KEY to a new value, or use `evalwire plan --fresh`."
        )
    return f"{run.key} attempt {run.attempt}", run.job


def _check_plan(settings: Settings, plan: ShardPlan) -> None:
    """Check that the settings do not contradict the plan.

    Raises:
        UsageError: a setting contradicts the plan.
    """
    for name, given, planned in (
        ("repetitions", settings.repetitions, plan.repetitions),
        ("split", settings.split, plan.split),
        ("prefix", settings.prefix, plan.prefix),
        ("max_cost_usd", settings.max_cost_usd, plan.max_cost_usd or settings.max_cost_usd),
        ("max_tokens", settings.max_tokens, plan.max_tokens or settings.max_tokens),
    ):
        if settings.source(name) != "default" and given != planned:
            raise UsageError(
                f"{name} is {given!r} (from: {settings.source(name)}), but the plan was created with {planned!r}. "
                "Set it in `evalwire plan` instead."
            )
    if settings.dataset_version is not None:
        raise UsageError("--dataset-version: the plan fixes the versions. Set it in `evalwire plan` instead.")
