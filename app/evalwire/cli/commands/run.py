"""`evalwire run`: discover, fetch, run, score, record, report; start reading here, and go on in `evalwire.jobs.job`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.jobs import Job, Signals, execute, load, reachable, selected
from evalwire.shards import part_of

if TYPE_CHECKING:
    from evalwire.jobs import Context


def run(context: Context, *, dry_run: int | None = None, local: bool = False, fresh: bool = False) -> int:
    """Run the selected experiments, report, and give the exit code.

    Args:
        context: settings, streams, and how to reach Phoenix.
        dry_run: so many examples of each experiment, recording nothing; None for all of them.
        local: start a Phoenix for this run, and upload the testset to it.
        fresh: of a shard: not what an earlier attempt of the same pipeline run began.

    Raises:
        UsageError: a path that was named does not exist or cannot be written; nothing has run.
        EvalwireError: there is no Phoenix to talk to: a wrong address, or the local one did not start.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    part = part_of(context, fresh=fresh, is_recorded=dry_run is None)
    if part is not None and local:
        raise UsageError("--local: the Phoenix of one job is out of the reach of the other shards.")
    past = part.plan.past if part is not None and part.plan is not None else None

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        experiments = load(context, signals, selected(context, past.experiments, of="plan") if past else None)
        datasets = {one.dataset_name for one in experiments}
        if context.settings.dataset_version is not None and len(datasets) > 1:
            raise UsageError(
                f"--dataset-version is of one dataset, and the selected experiments have {len(datasets)}: "
                f"{', '.join(sorted(datasets))}. Select one with --name."
            )
        with reachable(context, local=local, with_testset=True) as phoenix:
            yield Job(
                experiments=experiments,
                phoenix=phoenix,
                dry_run=dry_run,
                past=past,
                retry_failed=part is not None,  # a shard that is started again mends what it can
                sharing=part.sharing if part else None,
            )

    code = execute(context, begin, is_noted=dry_run is None, shard=part.sharing.shard if part else None)
    if local:
        context.say("to look at these results in the local Phoenix: evalwire serve")
    return code
