"""Append the summary of a job to the page of the GitHub workflow run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import reports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalwire.model import Report

VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST_BYTES = 1024 * 1024  # of all summaries of a step; GitHub rejects more


def append_step_summary(
    report: Report, environ: Mapping[str, str], warn: Callable[[str], object], *, is_in_action: bool
) -> None:
    """Append the report in Markdown to the file that GITHUB_STEP_SUMMARY names, if it is set.

    A file that cannot be written does not fail the job.

    Args:
        report: the masked report.
        environ: the environment of the job.
        warn: receives the reason why the summary could not be written.
        is_in_action: whether the job runs in the GitHub Action, which publishes the summary itself.
    """
    name = environ.get(VARIABLE)
    if not name or is_in_action:
        return
    try:
        text = "".join(reports.pieces(report, "markdown")).rstrip("\n")
        with Path(name).open("ab") as file:
            size = file.tell()
            added = f"{chr(10) if size else ''}{text}\n".encode(errors="replace")
            if size + len(added) > _MOST_BYTES:
                warn(f"the summary was not added to {VARIABLE}: a step can have 1 MiB. Use a step for each job.")
                return
            file.write(added)
    except OSError as error:
        warn(f"cannot write the summary to {VARIABLE} ({name}): {error.strerror or error}")
    except Exception as error:  # an error in this format must not affect the job
        warn(f"cannot write the summary to {VARIABLE} ({name}): {type(error).__name__}: {error}")
