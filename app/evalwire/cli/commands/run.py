"""`evalwire run`: discover, fetch, run, score, record, report. Read `evalwire.jobs.lifecycle` next."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import check_requirements
from evalwire.jobs import (
    ExampleRequest,
    Job,
    Signals,
    budget_of,
    check_early,
    engine_limits,
    job_spec,
    loaded_experiments,
    local_notice,
    reachable_phoenix,
    resumed_spec,
    run_and_report,
    select_examples,
    select_names,
    with_uploads,
)
from evalwire.shards import find_membership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.cli.invocation import Invocation
    from evalwire.model import Budget, ExampleSelection, Experiment, JobSpec
    from evalwire.recording import PastJob
    from evalwire.settings import Settings
    from evalwire.shards import Membership

ALL_EXAMPLES = ExampleRequest()

_AT_ONCE = (
    "note: {} examples run in parallel; evalwire 0.6 ran one at a time. If a task keeps state between examples, set "
    "task_concurrency = 1 under [experiments]. To hide this note, set it to any number"
)


def run(
    invocation: Invocation,
    *,
    examples: ExampleRequest = ALL_EXAMPLES,
    dry_run: int | None = None,
    local: bool = False,
    fresh: bool = False,
    accept_changes: bool = False,
    allow_partial: bool = False,
) -> int:
    """Run the selected experiments and write the report; return the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        examples: the examples to select; by default all examples.
        dry_run: the number of examples per experiment to run without recording; None for a real run.
        local: start a local Phoenix for this job and upload the testset to it.
        fresh: start new experiments instead of continuing an earlier attempt of the same pipeline run (shards only).
        accept_changes: continue even if code or examples changed since the plan was written.
        allow_partial: let a partial run pass in CI, although its gates are not applied.

    Raises:
        UsageError: a given path does not exist or cannot be written, or no example is selected; nothing has run.
        TestsetError: the testset to upload has errors; nothing has run.
        EvalwireError: Phoenix cannot be reached, or the local Phoenix did not start.
        Interrupted: a signal arrived before the engine started, or a second signal arrived.
    """
    settings, environ, console = invocation.settings, invocation.environ, invocation.console
    _check_upload(settings)
    membership = find_membership(settings, environ, fresh=fresh, is_recorded=dry_run is None)
    selection = examples.selection(settings.report_dir)
    if membership is not None:
        _check_shards(selection, local=local)
    planned = membership.plan.past if membership is not None and membership.plan is not None else None
    spec = replace(_spec(invocation, membership, planned), selection=selection)
    check_early(settings, spec)

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        if not local:
            invocation.connect(None)  # fail on an invalid address before importing user code
        names = select_names(settings, planned.experiments, of="plan") if planned else None
        with contextlib.ExitStack() as running:
            loaded = running.enter_context(loaded_experiments(invocation.inherited(is_local=local), signals, names))
            experiments = loaded.experiments
            _check_version(settings.dataset_version, experiments)
            if local:
                check_requirements(experiments)
            if settings.source("task_concurrency") == "default" and dry_run != 1:
                console.say(_AT_ONCE.format(settings.task_concurrency))
            phoenix = running.enter_context(
                reachable_phoenix(settings, environ, console, invocation.connect, local=local)
            )
            versioned = spec  # a plan has the versions of the datasets
            if planned is None:
                is_dry = dry_run is not None
                versioned = with_uploads(settings, console, phoenix, experiments, spec, local=local, is_dry=is_dry)
            yield Job(
                experiments=select_examples(experiments, versioned, phoenix, say=console.say),
                phoenix=phoenix,
                spec=versioned,
                limits=engine_limits(settings, _budget(settings, membership)),
                environ=environ,
                mask=console.mask,
                dry_run=dry_run,
                record_connections=settings.record_connections,
                trace_evaluators=settings.trace_evaluators,
                past=planned.past if planned else {},
                retry_failed=membership is not None,  # a restarted shard completes its experiments
                accept_changes=accept_changes,
                allow_partial=allow_partial,
                processes=loaded.processes,
            )

    code = run_and_report(
        settings,
        environ,
        console,
        begin,
        announce=invocation.announce,
        has_journal=dry_run is None,
        shard=spec.sharing.shard if spec.sharing else None,
    )
    if local:
        console.say(local_notice(settings))
    return code


def _spec(invocation: Invocation, membership: Membership | None, planned: PastJob | None) -> JobSpec:
    """Return the spec of the job, from the plan or else from the settings."""
    sharing = membership.sharing if membership else None
    if planned is None:
        return job_spec(invocation.settings, invocation.environ, sharing=sharing)
    return resumed_spec(invocation.settings, planned.spec, sharing=sharing)


def _budget(settings: Settings, membership: Membership | None) -> Budget:
    """Return the budget of the job; a shard has its part of the budget in the settings or the plan."""
    if membership is None:
        return budget_of(settings)
    planned = membership.plan.budget if membership.plan is not None else None
    return budget_of(settings, shards=membership.sharing.total, planned=planned)


def _check_shards(selection: ExampleSelection | None, *, local: bool) -> None:
    """Check that the options of a shard suit the other shards.

    Raises:
        UsageError: the shard uses the local Phoenix, or selects examples.
    """
    if local:
        raise UsageError(
            "--local cannot be used with shards: the local Phoenix of a job is not reachable from the other jobs. "
            "Use a Phoenix server that all jobs can reach."
        )
    if selection is not None:
        raise UsageError(
            f"{selection} cannot be used with shards, because all shards together run all examples. Omit --shard and "
            "--plan, or run all examples."
        )


def _check_upload(settings: Settings) -> None:
    """Check that a job which uploads the testset decides alone which dataset versions run.

    Raises:
        UsageError: the versions are given, or other jobs share the experiments.
    """
    if not settings.sync:
        return
    source = settings.source("sync")
    if settings.shard is not None and settings.plan is None:
        raise UsageError(
            f"shards without a plan cannot upload the testset (from: {source}), because each shard could run another "
            "version. Upload it with `evalwire plan --upload` and give the shards the plan, or use --no-upload."
        )
    if settings.plan is not None and source == "flag":
        raise UsageError("--upload: the plan fixes the dataset versions. Use `evalwire plan --upload` instead.")
    if settings.dataset_version is not None and source in ("flag", "EVALWIRE_SYNC"):
        raise UsageError(
            f"--dataset-version and --upload cannot be used together (from: {source}): the job runs the version that "
            "it uploads. Omit one of them."
        )


def _check_version(version: str | None, experiments: Sequence[Experiment]) -> None:
    """Check that --dataset-version applies to a single dataset.

    Raises:
        UsageError: the selected experiments use several datasets.
    """
    datasets = {experiment.dataset_name for experiment in experiments}
    if version is not None and len(datasets) > 1:
        raise UsageError(
            f"--dataset-version needs a single dataset, but the selected experiments use {len(datasets)}: "
            f"{', '.join(sorted(datasets))}. Select an experiment with --name."
        )
