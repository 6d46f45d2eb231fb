"""`evalwire export`: a recorded experiment as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.jobs import export_experiment

if TYPE_CHECKING:
    from evalwire.jobs import Context


def export(context: Context, *, experiment_id: str, format_: str, output: Path | None = None) -> int:
    """Write an experiment to a file; the exit code, which failures in it do not change.

    Args:
        context: settings, streams, and how to reach Phoenix.
        experiment_id: Phoenix's.
        format_: `csv` or `json`.
        output: the file; `<id>.<format>` by default.

    Raises:
        UsageError: there is no such format, or the file cannot be written.
        EvalwireError: Phoenix does not know the experiment, or cannot be asked.
    """
    phoenix = context.connect(None)
    found = export_experiment(phoenix, experiment_id, format_=format_, path=output, mask=context.mask)
    runs = "1 run" if found.runs == 1 else f"{found.runs} runs"
    context.out.write(f"{found.path}: {runs}, {found.failed} failed, {found.not_run} not run\n")
    return 0
