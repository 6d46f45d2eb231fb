"""`evalwire run`: discover, fetch, run, score, record, report; start reading here, and go on in `evalwire.job`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.job import Job, Signals, execute, load, reachable

if TYPE_CHECKING:
    from evalwire.context import Context


def run(context: Context, *, dry_run: int | None = None, local: bool = False) -> int:
    """Run the selected experiments, report, and give the exit code.

    Args:
        context: settings, streams, and how to reach Phoenix.
        dry_run: so many examples of each experiment, recording nothing; None for all of them.
        local: start a Phoenix for this run, and upload the testset to it.

    Raises:
        UsageError: a path that was named does not exist or cannot be written; nothing has run.
        EvalwireError: there is no Phoenix to talk to: a wrong address, or the local one did not start.
        Interrupted: a signal came before the engine ran, or a second one did.
    """

    @contextlib.contextmanager
    def begin(signals: Signals) -> Iterator[Job]:
        experiments = load(context, signals)
        datasets = {one.dataset_name for one in experiments}
        if context.settings.dataset_version is not None and len(datasets) > 1:
            raise UsageError(
                f"--dataset-version is of one dataset, and the selected experiments have {len(datasets)}: "
                f"{', '.join(sorted(datasets))}. Select one with --name."
            )
        with reachable(context, local=local, with_testset=True) as phoenix:
            yield Job(experiments=experiments, phoenix=phoenix, dry_run=dry_run)

    code = execute(context, begin, is_noted=dry_run is None)
    if local:
        context.say("to look at these results in the local Phoenix: evalwire serve")
    return code
