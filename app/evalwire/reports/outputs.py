"""Render a report as the step outputs of a GitHub Action: a `name=value` on each line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.text import single_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalwire.model import Report


def lines(report: Report, files: Mapping[str, Path]) -> Iterable[str]:
    """Return each output as a line without a line end.

    Args:
        report: report of the job.
        files: report files that were written, by format.
    """
    failed = sum(result.bad_runs for result in report.results)
    values = {
        "outcome": report.outcome,
        "passed": "true" if report.exit_code == 0 and report.partial is None else "false",
        "failed-count": str(failed),
        "results-json": str(files.get("json", "")),
        "junit-xml": str(files.get("junit", "")),
        "summary": str(files.get("markdown", "")),
        "experiment-urls": " ".join(result.url for result in report.results if result.url),
    }
    return [f"{name}={single_line(value)}" for name, value in values.items()]
