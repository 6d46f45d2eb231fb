"""`evalwire plan`: create the experiments that all shards record to, and write the plan file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import EvalwireError, NothingToRunError, UsageError
from evalwire.experiments import importable
from evalwire.jobs import budget_of, check_early, discover, job_spec, opener, prepare_datasets
from evalwire.model import Sharing, count
from evalwire.recording import NoJournal
from evalwire.settings import pipeline_run
from evalwire.shards import ShardPlan, find_run_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalwire.cli.invocation import Invocation
    from evalwire.model import Experiment, OpenExperiment
    from evalwire.phoenix import Phoenix


def plan(invocation: Invocation, *, shards: int, output: Path | None = None, fresh: bool = False) -> int:
    """Create or find the experiments of this pipeline run, and write the plan.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        shards: the number of shards.
        output: the file to write; None for standard output.
        fresh: always create new experiments.

    Returns:
        0 if the plan was written; 1 if an experiment has a problem, without a plan.

    Raises:
        UsageError: a given path does not exist or cannot be written, or shards would have to end early.
        TestsetError: the testset to upload has errors.
        EvalwireError: Phoenix cannot be reached.
    """
    settings, console = invocation.settings, invocation.console
    phoenix = invocation.connect(None)
    with importable(settings.experiments):
        found = discover(invocation.inherited())
        console.learn_secrets()
        if not found.experiments:
            raise NothingToRunError(f"cannot write a plan: no experiment in {settings.experiments.resolve()}/.")
        failures = [
            f"{experiment.name}: {problem}" for experiment in found.experiments for problem in experiment.problems
        ]
        opened: list[OpenExperiment] = []
        if not failures:
            opened, failures = _open(invocation, phoenix, found.experiments, shards=shards, fresh=fresh)
    if failures:
        for failure in failures:
            console.warn(failure)
        console.warn("no plan was written")
        return 1
    made = ShardPlan.of(
        opened,
        shards=shards,
        prefix=settings.prefix,
        repetitions=settings.repetitions,
        split=settings.split,
        endpoint=phoenix.endpoint,
        budget=budget_of(settings),
    )
    _write(invocation, made, output)
    for each in opened:
        examples = count(len(each.dataset.examples), "example")
        console.say(f"{each.experiment.name}: {examples} in {count(shards, 'shard')}, {each.url}")
    return 0


def _open(
    invocation: Invocation, phoenix: Phoenix, experiments: Sequence[Experiment], *, shards: int, fresh: bool
) -> tuple[list[OpenExperiment], list[str]]:
    """Return the opened experiments and the failures to open others."""
    settings, environ = invocation.settings, invocation.environ
    knows_run = settings.run_key is not None or pipeline_run(environ) is not None
    key = find_run_key(settings, environ)[0] if knows_run and not fresh else None
    spec = job_spec(settings, environ, sharing=Sharing(total=shards, run_key=key))
    check_early(settings, spec)
    uploaded = prepare_datasets(settings, invocation.console, phoenix, experiments, spec, uploads=settings.sync)
    spec = replace(spec, uploaded=uploaded)
    experiment_opener = opener(phoenix, spec, NoJournal(), past={})
    opened, failures = [], []
    for experiment in experiments:
        try:
            found = experiment_opener.open(experiment)
        except EvalwireError as error:
            failures.append(f"{experiment.name}: {error}")
            continue
        if found.id is None:
            failures.append(f"{experiment.name}: the dataset {found.dataset.name!r} has no examples")
        opened.append(found)
    return opened, failures


def _write(invocation: Invocation, made: ShardPlan, output: Path | None) -> None:
    if output is None:
        invocation.console.out.write(made.dump())
        invocation.console.out.flush()
        return
    try:
        reports.write(output, [made.dump()])
    except OSError as error:
        raise UsageError(f"cannot write the plan to {output}: {error.strerror}.") from error
