"""`evalwire resume`: deliver what a journal holds, run what never finished, and end as the run would have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import find_experiments
from evalwire.jobs import Job, Signals, execute, load, reachable, selected
from evalwire.recording import Journal, PastJob, newest_journal, past_experiment
from evalwire.shards import of_past

if TYPE_CHECKING:
    from evalwire.jobs import Context
    from evalwire.phoenix import Phoenix
    from evalwire.recording import Sharing


def resume(
    context: Context,
    *,
    path: Path | None = None,
    experiment_id: str | None = None,
    retry_failed: bool = False,
    local: bool = False,
) -> int:
    """Go on with an earlier job, report, and give the exit code.

    Args:
        context: settings, streams, and how to reach Phoenix.
        path: the job's journal; the newest in the report folder by default.
        experiment_id: a Phoenix experiment to complete instead, from what Phoenix has of it.
        retry_failed: try failed tasks and evaluators again.
        local: start the local Phoenix for it.

    Raises:
        UsageError: there is no such journal, it is still being written, or it cannot be read.
        EvalwireError: there is no Phoenix to talk to.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    writer: Journal | None = None
    shared: Sharing | None = None
    if experiment_id is None:
        writer, past = Journal.reopen(path or _newest(context))
        if past.damaged:
            context.err.write(f"evalwire: {writer.path}: {past.damaged} lines cannot be read and are left out\n")
        context.say(f"resuming {writer.path}")
        shared = of_past(past)

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        with reachable(context, local=local, with_testset=False) as phoenix:
            found = past if experiment_id is None else _from_phoenix(context, phoenix, experiment_id)
            yield Job(
                experiments=load(context, signals, selected(context, found.experiments, of="earlier job")),
                phoenix=phoenix,
                past=found,
                retry_failed=retry_failed,
                sharing=shared,
            )

    return execute(context, begin, journal=writer, shard=shared.shard if shared else None)


def _newest(context: Context) -> Path:
    folder: Path = context.settings.report_dir
    path = newest_journal(folder)
    if path is None:
        raise UsageError(
            f"there is no journal in {folder}/: name one, name an experiment with --experiment ID, or begin anew "
            "with `evalwire run`."
        )
    return path


def _from_phoenix(context: Context, phoenix: Phoenix, experiment_id: str) -> PastJob:
    """What Phoenix itself knows of an experiment, as if a journal had told it."""
    found = phoenix.experiments.find(experiment_id)
    dataset = phoenix.datasets.fetch_version(found["dataset_id"], found["dataset_version_id"])
    settings = context.settings
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
    return PastJob(
        experiments=names,
        prefix=settings.prefix,
        metadata={},
        repetitions=past.repetitions,
        past={names[0]: past},
        split=past.dataset.get("split") if past.dataset else None,
    )
