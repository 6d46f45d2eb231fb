"""Derive the pages of the commit and the pull request from the page of the CI job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# CI system -> the end of a job's page after the project's page, then paths of a commit and of a pull request
_PATHS = {
    "github": (re.compile(r"/actions/runs/[0-9]+(/.*)?$"), "/commit/{}", "/pull/{}"),
    "gitlab": (re.compile(r"/-/jobs/[0-9]+$"), "/-/commit/{}", "/-/merge_requests/{}"),
    "bitbucket": (re.compile(r"/pipelines/results/[0-9]+$"), "/commits/{}", "/pull-requests/{}"),
}
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_NUMBER = re.compile(r"[0-9]+")


def commit_link(ci: Mapping[str, Any]) -> str | None:
    """Return the address of the job's commit; None if it is not known.

    Args:
        ci: facts about the CI job, from `Report.ci`.
    """
    return _link(ci, 1, ci.get("commit"), _COMMIT)


def pull_request_link(ci: Mapping[str, Any]) -> str | None:
    """Return the address of the job's pull or merge request; None if it is not known.

    Args:
        ci: facts about the CI job, from `Report.ci`.
    """
    return _link(ci, 2, ci.get("pull_request"), _NUMBER)


def _link(ci: Mapping[str, Any], place: int, value: object, form: re.Pattern[str]) -> str | None:
    found = _PATHS.get(str(ci.get("ci")))
    if found is None or not form.fullmatch(str(value or "")):
        return None
    job = str(ci.get("job_url") or "")
    project = found[0].sub("", job)
    return f"{project}{str(found[place]).format(value)}" if project != job else None
