"""`evalwire plan`: create the experiments that several shards will record to, and say which they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import EvalwireError, NothingToRunError, UsageError
from evalwire.experiments import importable
from evalwire.recording import Opening, Sharing
from evalwire.settings import pipeline_run
from evalwire.shards import ShardPlan, run_key, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.jobs import Context
    from evalwire.model import Experiment, OpenExperiment


def plan(context: Context, *, shards: int, output: Path | None = None, fresh: bool = False) -> int:
    """Create the experiments, or find those that jobs of this pipeline run have begun, and write the plan.

    Args:
        context: settings, streams, and how to reach Phoenix.
        shards: how many there will be.
        output: the file to write; None for the screen.
        fresh: create them in any case.

    Returns:
        0 when there is a plan; 1 when an experiment cannot be planned, and nothing is written.

    Raises:
        UsageError: a path that was named does not exist or cannot be written.
        EvalwireError: Phoenix cannot be asked.
    """
    with importable(context.settings.experiments):
        found = context.discover()
        context.learn_secrets()
        if not found.experiments:
            raise NothingToRunError(f"no experiment in {context.settings.experiments.resolve()}/, so there is no plan.")
        broken = [
            f"{experiment.name}: {problem}" for experiment in found.experiments for problem in experiment.problems
        ]
        opened, failures = ([], broken) if broken else _open(context, found.experiments, shards=shards, fresh=fresh)
    if failures:
        for failure in failures:
            context.err.write(f"evalwire: {failure}\n")
        context.err.write("evalwire: there is no plan\n")
        return 1
    settings = context.settings
    made = ShardPlan.of(
        opened,
        shards=shards,
        prefix=settings.prefix,
        repetitions=settings.repetitions,
        split=settings.split,
        endpoint=context.connect(None).endpoint,
    )
    _write(context, made, output)
    for one in opened:
        context.say(f"{one.experiment.name}: {len(one.dataset.examples)} examples in {shards} shards, {one.url}")
    return 0


def _open(
    context: Context, experiments: Sequence[Experiment], *, shards: int, fresh: bool
) -> tuple[list[OpenExperiment], list[str]]:
    """The experiments in Phoenix, and why some are not there."""
    settings = context.settings
    knows_run = settings.run_key is not None or pipeline_run(context.environ) is not None
    key = run_key(context)[0] if knows_run and not fresh else None
    opening = Opening(context.connect(None), terms_of(context), sharing=Sharing(total=shards, run_key=key))
    opened, failures = [], []
    for experiment in experiments:
        try:
            one = opening.open(experiment)
        except EvalwireError as error:
            failures.append(f"{experiment.name}: {error}")
            continue
        if one.id is None:
            failures.append(f"{experiment.name}: the dataset {one.dataset.name!r} has no examples")
        opened.append(one)
    return opened, failures


def _write(context: Context, made: ShardPlan, output: Path | None) -> None:
    if output is None:
        context.out.write(made.dump())
        context.out.flush()
        return
    try:
        reports.write(output, [made.dump()])
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {output}: {error.strerror}.") from error
