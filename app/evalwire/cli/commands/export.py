"""`evalwire export`: write a recorded experiment to a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.jobs import Listing, RecordedNames, export_experiment
from evalwire.model import count

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def export(invocation: Invocation, *, name: str, format_: str, output: Path | None = None) -> int:
    """Write an experiment to a file; return exit code 0 even if it has failures.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        name: the name of a recorded experiment, as in `RecordedNames`.
        format_: `csv` or `json`.
        output: the file to write. None for the name of the experiment in Phoenix, or for an ID, as in 0.6, the ID.

    Raises:
        UsageError: the format is unknown, the name stands for no single experiment, or the file cannot be written.
        EvalwireError: Phoenix does not have the experiment, or cannot be reached.
    """
    phoenix = invocation.connect(None)
    experiment_id = RecordedNames(invocation.settings, Listing(phoenix)).find_single(name)
    if output is None and name == experiment_id:
        output = Path(f"{experiment_id}.{format_}")
    found = export_experiment(phoenix, experiment_id, format_=format_, path=output, mask=invocation.console.mask)
    invocation.console.show(
        f"{found.path}: {count(found.runs, 'run')}, {found.failed} failed, {found.not_run} not run\n"
    )
    return 0
