"""Create the spec of a job from the settings or from an earlier job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.engine import Limits
from evalwire.model import JobSpec, StoppingRules
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Budget, ExampleSelection, Sharing
    from evalwire.settings import Settings


def job_spec(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    sharing: Sharing | None = None,
    selection: ExampleSelection | None = None,
) -> JobSpec:
    """Return the spec of a new job."""
    return JobSpec(
        prefix=settings.prefix,
        metadata=origin_metadata(environ, Path.cwd()),
        repetitions=settings.repetitions,
        split=settings.split,
        dataset_version=settings.dataset_version,
        gates=tuple(settings.gate),
        baseline=str(settings.baseline or ""),
        selection=selection,
        stopping=stopping_rules(settings),
        sharing=sharing,
    )


def stopping_rules(settings: Settings) -> StoppingRules | None:
    """Return the rules of early verdicts; None without `--stop-early`."""
    if not settings.stop_early:
        return None
    return StoppingRules(
        risk=settings.stop_risk,
        min_examples=settings.stop_min_examples,
        errors=settings.stop_errors,
        on_failed=settings.stop_on_failed,
    )


def resumed_spec(settings: Settings, earlier: JobSpec, *, sharing: Sharing | None, is_whole: bool = False) -> JobSpec:
    """Return the spec of a resumed job: the earlier spec, with the current gates and baseline if they are set.

    Args:
        settings: the current settings.
        earlier: the spec of the earlier job.
        sharing: the division of the experiments among shards; None for a job that runs everything.
        is_whole: whether to run all examples, although experiments of the earlier job ended early.
    """
    return replace(
        earlier,
        sharing=sharing,
        stopping=None if is_whole else earlier.stopping,
        gates=tuple(settings.gate) or earlier.gates,
        baseline=str(settings.baseline or earlier.baseline),
    )


def engine_limits(settings: Settings, budget: Budget) -> Limits:
    """Return the limits on concurrency, time, retries and usage."""
    return Limits(
        concurrency=settings.concurrency,
        task_concurrency=settings.task_concurrency,
        timeout_seconds=settings.timeout_seconds,
        grace_seconds=settings.grace_seconds,
        retries=settings.retries,
        retry_on=settings.retry_on,
        max_failures=settings.max_failures,
        budget=budget,
    )
