"""Which CI system this is, and what it says of the commit, the branch and the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """One CI system: the variable that shows it, and those of its facts, the first one set counting."""

    name: str
    shown_by: str
    commit: tuple[str, ...]
    branch: tuple[str, ...]
    job_url: tuple[str, ...]
    base_branch: tuple[str, ...] = ()


_SYSTEMS = (
    _System(
        name="github",
        shown_by="GITHUB_ACTIONS",
        commit=("GITHUB_SHA",),
        branch=("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
        base_branch=("GITHUB_BASE_REF",),
        job_url=(),  # made of three variables
    ),
    _System(
        name="gitlab",
        shown_by="GITLAB_CI",
        commit=("CI_COMMIT_SHA",),
        branch=("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
        base_branch=("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_DEFAULT_BRANCH"),
        job_url=("CI_JOB_URL",),
    ),
    _System(
        name="circleci",
        shown_by="CIRCLECI",
        commit=("CIRCLE_SHA1",),
        branch=("CIRCLE_BRANCH",),
        job_url=("CIRCLE_BUILD_URL",),
    ),
    _System(
        name="azure",
        shown_by="TF_BUILD",
        commit=("BUILD_SOURCEVERSION",),
        branch=("SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"),
        base_branch=("SYSTEM_PULLREQUEST_TARGETBRANCH",),
        job_url=(),
    ),
    _System(
        name="bitbucket",
        shown_by="BITBUCKET_BUILD_NUMBER",
        commit=("BITBUCKET_COMMIT",),
        branch=("BITBUCKET_BRANCH",),
        base_branch=("BITBUCKET_PR_DESTINATION_BRANCH",),
        job_url=(),
    ),
    _System(
        name="buildkite",
        shown_by="BUILDKITE",
        commit=("BUILDKITE_COMMIT",),
        branch=("BUILDKITE_BRANCH",),
        base_branch=("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
        job_url=("BUILDKITE_BUILD_URL",),
    ),
    _System(
        name="jenkins",
        shown_by="JENKINS_URL",
        commit=("GIT_COMMIT",),
        branch=("CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"),
        base_branch=("CHANGE_TARGET",),
        job_url=("BUILD_URL",),
    ),
)


def facts(environ: Mapping[str, str]) -> dict[str, str]:
    """What is known of the CI job: `ci`, `commit`, `branch`, `base_branch`, `job_url`; empty outside of CI.

    The base branch is a pull request's target, else the default branch, where the CI system tells it.

    Passing these variables into a container is enough; no git and no checkout are needed.
    """
    for system in _SYSTEMS:
        if not environ.get(system.shown_by):
            continue
        known = {
            "ci": system.name,
            "commit": _first(environ, system.commit),
            "branch": _first(environ, system.branch).removeprefix("refs/heads/"),
            "base_branch": _first(environ, system.base_branch).removeprefix("refs/heads/"),
            "job_url": _first(environ, system.job_url) or _github_url(environ),
        }
        return {name: value for name, value in known.items() if value}
    return {}


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _github_url(environ: Mapping[str, str]) -> str:
    parts = [environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""
