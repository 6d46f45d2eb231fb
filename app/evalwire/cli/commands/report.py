"""`evalwire report`: show a results.json or a recorded experiment in another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import UsageError
from evalwire.jobs import Listing, RecordedNames, experiment_report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evalwire.cli.invocation import Invocation


def report(invocation: Invocation, *, path: Path | None, format_: str, output: Path | None = None) -> int:
    """Render a results.json and return the exit code.

    Args:
        invocation: settings and streams.
        path: the file; None for results.json in the report directory.
        format_: a name in `evalwire.reports.FORMATS`.
        output: the file to write; None for standard output.

    Raises:
        UsageError: the file does not exist or is not a results.json, the format is unknown, or the output cannot be
            written.
    """
    if format_ not in reports.FORMATS:
        raise UsageError(f"--format {format_}: expected one of: {', '.join(reports.FORMATS)}.")
    found = reports.load_results(path or invocation.settings.report_dir / "results.json")
    pieces = reports.pieces(found, format_)
    if output is None:
        write = invocation.console.write_command if format_ == "annotations" else invocation.console.out.write
        for piece in pieces:
            write(piece)
        return 0
    _write(output, pieces)
    invocation.console.say(f"{format_} report in {output}")
    return 0


def report_experiment(invocation: Invocation, *, name: str, output: Path | None = None) -> int:
    """Show a recorded experiment in Markdown and return the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        name: the name of a recorded experiment, as in `RecordedNames`.
        output: the file to write; None for standard output.

    Raises:
        UsageError: the name stands for no single experiment, or the output cannot be written.
        EvalwireError: Phoenix does not have the experiment, or cannot be reached.
    """
    phoenix = invocation.connect(None)
    text = experiment_report(phoenix, RecordedNames(invocation.settings, Listing(phoenix)).find_single(name))
    if output is None:
        invocation.console.out.write(text)
        return 0
    _write(output, [invocation.console.mask(text)])
    invocation.console.say(f"report in {output}")
    return 0


def _write(output: Path, pieces: Iterable[str]) -> None:
    try:
        reports.write(output, pieces)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}.") from error
