"""`evalwire report`: a finished run in another format, from its results.json; or an experiment that Phoenix has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import UsageError
from evalwire.jobs import experiment_report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evalwire.cli.invocation import Invocation


def report(invocation: Invocation, *, path: Path | None, format_: str, output: Path | None = None) -> int:
    """Render a results.json; the exit code.

    Args:
        invocation: settings and streams.
        path: the file; the one in the report folder by default.
        format_: one of `evalwire.reports.FORMATS`.
        output: where to; standard output by default.

    Raises:
        UsageError: there is no such file or format, it is no results.json, or the output cannot be written.
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


def report_experiment(invocation: Invocation, *, experiment_id: str, output: Path | None = None) -> int:
    """Tell of a recorded experiment in Markdown; the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        experiment_id: Phoenix's.
        output: where to; standard output by default.

    Raises:
        UsageError: the output cannot be written.
        EvalwireError: Phoenix does not know the experiment, or cannot be asked.
    """
    text = experiment_report(invocation.connect(None), experiment_id)
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
