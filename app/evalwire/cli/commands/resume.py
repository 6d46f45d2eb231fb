"""`evalwire resume`: record the results in a journal, run the remaining examples, and apply the gates."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.jobs import (
    Job,
    Signals,
    check_outputs,
    engine_limits,
    loaded_experiments,
    local_notice,
    reachable_phoenix,
    recorded_names,
    resumed_budget,
    resumed_spec,
    run_and_report,
    select_names,
    with_task_files,
)
from evalwire.model import (
    ExampleSelection,
    JobSpec,
    StoppingRules,
    describe_source,
    own_metadata,
    partial_facts,
    source_facts,
)
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
    allow_partial: bool = False,
    whole: bool = False,
) -> int:
    """Resume an earlier job, write the report, and return the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        path: the journal of the job; None for the newest in the report directory.
        experiment_id: a Phoenix experiment to complete instead of resuming a journal.
        retry_failed: retry failed tasks and evaluators.
        local: start the local Phoenix for the job.
        accept_changes: continue even if code or examples changed since the job started.
        allow_partial: let a partial run pass in CI, although its gates are not applied.
        whole: run all examples of an experiment that ended early, and apply the gates to all of them.

    Raises:
        UsageError: the journal is missing, in use or unreadable.
        EvalwireError: Phoenix cannot be reached.
        Interrupted: a signal arrived before the engine started, or a second signal arrived.
    """
    settings, environ, console = invocation.settings, invocation.environ, invocation.console
    journal: Journal | None = None
    earlier: PastJob | None = None
    if experiment_id is None:
        journal, earlier = Journal.reopen(path or _newest(settings.report_dir))
        if earlier.damaged:
            console.warn(f"{journal.path}: ignored {earlier.damaged} damaged lines")
        check_outputs(earlier)
        selection = earlier.spec.selection
        console.say(f"resuming {journal.path}" + (f" (PARTIAL: {selection})" if selection else ""))
    sharing = earlier.spec.sharing if earlier else None

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        with contextlib.ExitStack() as running:
            phoenix = running.enter_context(
                reachable_phoenix(settings, environ, console, invocation.connect, local=local)
            )
            past = earlier or _from_phoenix(invocation, phoenix, str(experiment_id))
            names = select_names(settings, past.experiments, of="earlier job")
            loaded = running.enter_context(loaded_experiments(invocation.inherited(is_local=local), signals, names))
            yield Job(
                experiments=with_task_files(loaded.experiments, past.spec),
                processes=loaded.processes,
                phoenix=phoenix,
                spec=resumed_spec(settings, past.spec, sharing=sharing, is_whole=whole),
                limits=engine_limits(settings, resumed_budget(settings, earlier)),
                environ=environ,
                mask=console.mask,
                record_connections=settings.record_connections,
                trace_evaluators=settings.trace_evaluators,
                past=past.past,
                retry_failed=retry_failed,
                accept_changes=accept_changes,
                allow_partial=allow_partial,
            )

    code = run_and_report(
        settings,
        environ,
        console,
        begin,
        announce=invocation.announce,
        journal=journal,
        shard=sharing.shard if sharing else None,
    )
    if local:
        console.say(local_notice(settings))
    return code


def _newest(directory: Path) -> Path:
    path = newest_journal(directory)
    if path is None:
        raise UsageError(
            f"cannot find a journal in {directory}/. Name a journal, name an experiment with --experiment ID, or start "
            "a new run with `evalwire run`."
        )
    return path


def _from_phoenix(invocation: Invocation, phoenix: Phoenix, experiment_id: str) -> PastJob:
    """Return the past job that matches an experiment in Phoenix."""
    found = phoenix.experiments.find(experiment_id)
    dataset = phoenix.datasets.fetch_version(found["dataset_id"], found["dataset_version_id"])
    settings = invocation.settings
    names = [name for name, dataset_name in recorded_names(settings).items() if dataset_name == dataset.name]
    if (own := own_metadata(found.get("metadata")).get("experiment")) in names:
        names = [own]
    if len(names) != 1:
        found_here = f"{', '.join(names)} use it. Select a directory with --name" if names else "none does"
        raise UsageError(
            f"cannot find the code of the recorded experiment {experiment_id}: exactly 1 directory in "
            f"{settings.experiments}/ must use the dataset {dataset.name!r}, but {found_here}."
        )
    past = past_experiment(found, names[0], dataset_name=dataset.name)
    if (source := source_facts(past.metadata)) is not None:
        raise UsageError(
            f"{experiment_id} has new scores of the outputs of {describe_source(source)}, so only its journal can "
            "complete it. Resume the journal, or start again with `evalwire score`."
        )
    spec = JobSpec(
        prefix=settings.prefix,
        repetitions=past.repetitions,
        split=past.dataset.split if past.dataset else None,
        selection=ExampleSelection.from_json(partial_facts(past.metadata)),
        stopping=StoppingRules.from_json(own_metadata(past.metadata).get("stopping")),
    )
    return PastJob(experiments=names, spec=spec, past={names[0]: past})
