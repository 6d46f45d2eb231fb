"""`evalwire score`: score recorded outputs again, record the new scores, and apply the gates, without calling tasks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.jobs import (
    Job,
    Signals,
    budget_of,
    engine_limits,
    job_spec,
    loaded_experiments,
    local_notice,
    project_experiments,
    reachable_phoenix,
    recorded_outputs,
    run_and_report,
    say_sources,
    scored_spec,
    with_task_files,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evalwire.cli.invocation import Invocation


def score(
    invocation: Invocation,
    *,
    experiments: Sequence[str] = (),
    path: Path | None = None,
    local: bool = False,
    allow_partial: bool = False,
) -> int:
    """Score recorded outputs, write the report, and return the exit code of an equivalent run.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        experiments: names of recorded experiments, as in `RecordedNames`; without names and a path, `last`.
        path: a journal or a results.json with the outputs.
        local: use the local Phoenix of the project.
        allow_partial: let the scores of a partial run pass in CI, although the gates are not applied.

    Raises:
        UsageError: the job is a shard, or the outputs cannot be scored; nothing has run.
        EvalwireError: Phoenix cannot be reached.
        Interrupted: a signal arrived before the engine started, or a second signal arrived.
    """
    settings, environ, console = invocation.settings, invocation.environ, invocation.console
    for name in ("shard", "plan"):
        if getattr(settings, name) is not None:
            raise UsageError(
                f"score cannot be divided into shards: {name} is set (from: {settings.source(name)}). Score all "
                "outputs in a single job."
            )

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        with contextlib.ExitStack() as running:
            phoenix = running.enter_context(
                reachable_phoenix(settings, environ, console, invocation.connect, local=local)
            )
            outputs = recorded_outputs(settings, phoenix, experiments=experiments or ("last",), path=path)
            spec = scored_spec(job_spec(settings, environ), outputs)
            loaded = running.enter_context(
                loaded_experiments(invocation.inherited(is_local=local), signals, list(outputs))
            )
            say_sources(outputs, console.say)
            if path is None and not experiments and not settings.names:
                known = [each.name for each in project_experiments(settings)]
                if unrecorded := [name for name in known if name not in outputs]:
                    console.say(f"not scored, because they have no recorded run: {', '.join(unrecorded)}")
            yield Job(
                experiments=with_task_files(loaded.experiments, spec),
                processes=loaded.processes,
                phoenix=phoenix,
                spec=spec,
                limits=engine_limits(settings, budget_of(settings)),
                environ=environ,
                mask=console.mask,
                record_connections=settings.record_connections,
                trace_evaluators=settings.trace_evaluators,
                past={name: each.past for name, each in outputs.items()},
                allow_partial=allow_partial,
            )

    code = run_and_report(settings, environ, console, begin, announce=invocation.announce)
    if local:
        console.say(local_notice(settings))
    return code
