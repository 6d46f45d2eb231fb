"""Leave out pages that only the machine of a CI job could open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from evalwire.model import ExperimentResult, Report


def with_reachable_pages(report: Report) -> Report:
    """Return a report of CI without pages of a Phoenix on the machine of the job, which ends with the job.

    Outside of CI, a reader is on the same machine, and the report is returned unchanged.
    """
    if not report.ci.get("ci"):
        return report
    return replace(
        report,
        results=tuple(_with_reachable_page(result) for result in report.results),
        baselines=tuple(replace(baseline, url=_reachable(baseline.url)) for baseline in report.baselines),
        endpoint=_reachable(report.endpoint),
    )


def _with_reachable_page(result: ExperimentResult) -> ExperimentResult:
    if result.opened is None or result.url == _reachable(result.url):
        return result
    return replace(result, opened=replace(result.opened, url=None))


def _reachable(url: str | None) -> str | None:
    """Return an address; None if it is on this machine."""
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:  # an address that is not valid is shown as text
        return url
    return None if host in ("localhost", "::1") or host.startswith("127.") else url
