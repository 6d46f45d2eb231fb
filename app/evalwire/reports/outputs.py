"""A report as the outputs of a GitHub Action's step: one `name=value` a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.text import in_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalwire.model import Report


def lines(report: Report, files: Mapping[str, Path]) -> Iterable[str]:
    """Each output as a line without its end.

    Args:
        report: of the job.
        files: its report files, by their formats, as far as there are any.
    """
    failed = sum(result.bad_runs for result in report.results)
    values = {
        "outcome": report.outcome,
        "passed": "true" if report.exit_code == 0 else "false",
        "failed-count": str(failed),
        "results-json": str(files.get("json", "")),
        "junit-xml": str(files.get("junit", "")),
        "summary": str(files.get("markdown", "")),
        "experiment-urls": " ".join(result.url for result in report.results if result.url),
    }
    return [f"{name}={in_one_line(value)}" for name, value in values.items()]
