"""`evalwire resume`: deliver what a journal holds, run what never finished, and end as the run would have ended."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import find_experiments
from evalwire.jobs import (
    Job,
    Signals,
    engine_limits,
    load_selected,
    reachable_phoenix,
    resumed_spec,
    run_and_report,
    select_names,
)
from evalwire.model import JobSpec
from evalwire.recording import Journal, PastJob, newest_journal, past_experiment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evalwire.cli.invocation import Invocation
    from evalwire.phoenix import Phoenix


def resume(
    invocation: Invocation,
    *,
    path: Path | None = None,
    experiment_id: str | None = None,
    retry_failed: bool = False,
    local: bool = False,
    accept_changes: bool = False,
) -> int:
    """Go on with an earlier job, report, and give the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        path: the job's journal; the newest in the report folder by default.
        experiment_id: a Phoenix experiment to complete instead, from what Phoenix has of it.
        retry_failed: try failed tasks and evaluators again.
        local: start the local Phoenix for it.
        accept_changes: go on where code or examples were changed since the job began.

    Raises:
        UsageError: there is no such journal, it is still being written, or it cannot be read.
        EvalwireError: there is no Phoenix to talk to.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    settings, environ, console = invocation.settings, invocation.environ, invocation.console
    journal: Journal | None = None
    earlier: PastJob | None = None
    if experiment_id is None:
        journal, earlier = Journal.reopen(path or _newest(settings.report_dir))
        if earlier.damaged:
            console.warn(f"{journal.path}: {earlier.damaged} lines cannot be read and are left out")
        console.say(f"resuming {journal.path}")
    sharing = earlier.spec.sharing if earlier else None

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        with reachable_phoenix(
            settings, environ, console, invocation.connect, local=local, with_testset=False
        ) as phoenix:
            past = earlier or _from_phoenix(invocation, phoenix, str(experiment_id))
            names = select_names(settings, past.experiments, of="earlier job")
            yield Job(
                experiments=load_selected(settings, console, signals, names),
                phoenix=phoenix,
                spec=resumed_spec(settings, past.spec, sharing=sharing),
                limits=engine_limits(settings),
                environ=environ,
                mask=console.mask,
                record_connections=settings.record_connections,
                past=past.past,
                retry_failed=retry_failed,
                accept_changes=accept_changes,
            )

    return run_and_report(
        settings,
        environ,
        console,
        begin,
        announce=invocation.announce,
        journal=journal,
        shard=sharing.shard if sharing else None,
    )


def _newest(folder: Path) -> Path:
    path = newest_journal(folder)
    if path is None:
        raise UsageError(
            f"Cannot find a journal in {folder}/. Name a journal, name an experiment with --experiment ID, or start a "
            "new run with `evalwire run`."
        )
    return path


def _from_phoenix(invocation: Invocation, phoenix: Phoenix, experiment_id: str) -> PastJob:
    """Return what Phoenix knows of an experiment, in the form of a journal's past job."""
    found = phoenix.experiments.find(experiment_id)
    dataset = phoenix.datasets.fetch_version(found["dataset_id"], found["dataset_version_id"])
    settings = invocation.settings
    folders = [path.name for path in find_experiments(settings.experiments)[0]]
    names = [name for name in folders if settings.dataset_names.get(name, name) == dataset.name]
    if settings.names:
        names = [name for name in names if name in settings.names]
    if len(names) != 1:
        which = f"several do: {', '.join(names)}; choose one with --name" if names else "none does"
        raise UsageError(
            f"the experiment {experiment_id} ran on the dataset {dataset.name!r}: one experiment in "
            f"{settings.experiments}/ should be on it, and {which}."
        )
    past = past_experiment(found, names[0], dataset_name=dataset.name)
    spec = JobSpec(
        prefix=settings.prefix, repetitions=past.repetitions, split=past.dataset.split if past.dataset else None
    )
    return PastJob(experiments=names, spec=spec, past={names[0]: past})
