"""`evalwire export`: write a recorded experiment to a file for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.jobs import export_experiment
from evalwire.model import count

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.cli.invocation import Invocation


def export(invocation: Invocation, *, experiment_id: str, format_: str, output: Path | None = None) -> int:
    """Write an experiment to a file; return exit code 0 even if it has failures.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        experiment_id: the ID in Phoenix.
        format_: `csv` or `json`.
        output: the file to write; None for `<id>.<format>`.

    Raises:
        UsageError: the format is unknown, or the file cannot be written.
        EvalwireError: Phoenix does not have the experiment, or cannot be reached.
    """
    phoenix = invocation.connect(None)
    found = export_experiment(phoenix, experiment_id, format_=format_, path=output, mask=invocation.console.mask)
    invocation.console.show(
        f"{found.path}: {count(found.runs, 'run')}, {found.failed} failed, {found.not_run} not run\n"
    )
    return 0
