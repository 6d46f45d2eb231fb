"""CI system detection, with the commit, branch, job and parallel index from the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from evalwire.settings.git import git_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """A CI system: the variable that identifies it, and templates for its metadata.

    The first template whose variables are all set gives the value.

    Attributes:
        run: the ID that all jobs of a pipeline run share, also when some jobs are run again.
        attempt: the attempt of the pipeline run, if all jobs of the run have the same number.
        job: the name that parallel jobs share.
        index: the index of a parallel job, counted from `first_index`.
        total: the number of parallel jobs.
    """

    name: str
    shown_by: str
    commit: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    base_branch: tuple[str, ...] = ()
    pull_request: tuple[str, ...] = ()
    job_url: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    attempt: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    total: tuple[str, ...] = ()
    first_index: int = 0


_MATRIX_JOB = re.compile(r": \[.*\]$")  # GitLab's `parallel: matrix`

_SYSTEMS = (
    _System(
        name="github",
        shown_by="GITHUB_ACTIONS",
        commit=("$GITHUB_SHA",),
        branch=("$GITHUB_HEAD_REF", "$GITHUB_REF_NAME"),
        base_branch=("$GITHUB_BASE_REF",),
        pull_request=("$GITHUB_REF",),
        job_url=("$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID",),
        run=("$GITHUB_REPOSITORY $GITHUB_RUN_ID", "$GITHUB_RUN_ID"),
        attempt=("$GITHUB_RUN_ATTEMPT",),
        job=("$GITHUB_JOB",),
        # no index variable: a workflow step must pass `strategy.job-index`
    ),
    _System(
        name="gitlab",
        shown_by="GITLAB_CI",
        commit=("$CI_COMMIT_SHA",),
        branch=("$CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "$CI_COMMIT_REF_NAME"),
        base_branch=("$CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "$CI_DEFAULT_BRANCH"),
        pull_request=("$CI_MERGE_REQUEST_IID",),
        job_url=("$CI_JOB_URL",),
        run=("$CI_PROJECT_PATH $CI_PIPELINE_ID", "$CI_PIPELINE_ID"),
        job=("$CI_JOB_GROUP_NAME", "$CI_JOB_NAME"),
        index=("$CI_NODE_INDEX",),
        total=("$CI_NODE_TOTAL",),
        first_index=1,
    ),
    _System(
        name="circleci",
        shown_by="CIRCLECI",
        commit=("$CIRCLE_SHA1",),
        branch=("$CIRCLE_BRANCH",),
        pull_request=("$CIRCLE_PULL_REQUEST", "$CIRCLE_PR_NUMBER"),
        job_url=("$CIRCLE_BUILD_URL",),
        run=("$CIRCLE_PIPELINE_ID", "$CIRCLE_WORKFLOW_ID"),  # a rerun has a new workflow ID
        job=("$CIRCLE_JOB",),
        index=("$CIRCLE_NODE_INDEX",),
        total=("$CIRCLE_NODE_TOTAL",),
    ),
    _System(
        name="azure",
        shown_by="TF_BUILD",
        commit=("$BUILD_SOURCEVERSION",),
        branch=("$SYSTEM_PULLREQUEST_SOURCEBRANCH", "$BUILD_SOURCEBRANCH", "$BUILD_SOURCEBRANCHNAME"),
        base_branch=("$SYSTEM_PULLREQUEST_TARGETBRANCH",),
        pull_request=("$SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "$SYSTEM_PULLREQUEST_PULLREQUESTID"),
        job_url=("${SYSTEM_COLLECTIONURI}${SYSTEM_TEAMPROJECT}/_build/results?buildId=$BUILD_BUILDID",),
        run=("$SYSTEM_TEAMPROJECT $BUILD_BUILDID", "$BUILD_BUILDID"),
        job=("$SYSTEM_PHASENAME",),
        index=("$SYSTEM_JOBPOSITIONINPHASE",),
        total=("$SYSTEM_TOTALJOBSINPHASE",),
        first_index=1,
    ),
    _System(
        name="bitbucket",
        shown_by="BITBUCKET_BUILD_NUMBER",
        commit=("$BITBUCKET_COMMIT",),
        branch=("$BITBUCKET_BRANCH",),
        base_branch=("$BITBUCKET_PR_DESTINATION_BRANCH",),
        pull_request=("$BITBUCKET_PR_ID",),
        job_url=("$BITBUCKET_GIT_HTTP_ORIGIN/pipelines/results/$BITBUCKET_BUILD_NUMBER",),
        run=("$BITBUCKET_PIPELINE_UUID", "$BITBUCKET_REPO_FULL_NAME $BITBUCKET_BUILD_NUMBER"),
        index=("$BITBUCKET_PARALLEL_STEP",),
        total=("$BITBUCKET_PARALLEL_STEP_COUNT",),
    ),
    _System(
        name="buildkite",
        shown_by="BUILDKITE",
        commit=("$BUILDKITE_COMMIT",),
        branch=("$BUILDKITE_BRANCH",),
        base_branch=("$BUILDKITE_PULL_REQUEST_BASE_BRANCH", "$BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
        pull_request=("$BUILDKITE_PULL_REQUEST",),
        job_url=("$BUILDKITE_BUILD_URL#$BUILDKITE_JOB_ID", "$BUILDKITE_BUILD_URL"),
        run=("$BUILDKITE_BUILD_ID",),
        job=("$BUILDKITE_STEP_ID",),
        index=("$BUILDKITE_PARALLEL_JOB",),
        total=("$BUILDKITE_PARALLEL_JOB_COUNT",),
    ),
    _System(
        name="jenkins",
        shown_by="JENKINS_URL",
        commit=("$GIT_COMMIT",),
        branch=("$CHANGE_BRANCH", "$BRANCH_NAME", "$GIT_LOCAL_BRANCH", "$GIT_BRANCH"),
        base_branch=("$CHANGE_TARGET",),
        pull_request=("$CHANGE_ID",),
        job_url=("$BUILD_URL",),
        run=("$JENKINS_URL $BUILD_TAG",),
    ),
    _System(
        name="cloud-run",
        shown_by="CLOUD_RUN_JOB",
        run=("$CLOUD_RUN_EXECUTION",),
        index=("$CLOUD_RUN_TASK_INDEX",),
        total=("$CLOUD_RUN_TASK_COUNT",),
    ),
    _System(
        name="kubernetes",
        shown_by="JOB_COMPLETION_INDEX",
        index=("$JOB_COMPLETION_INDEX",),
    ),
)

_PULL_REQUEST = re.compile(r"(?:^|/pull(?:-requests)?/)([0-9]+)(?=/|$)")

_BRANCH_PREFIX = re.compile(r"^(?:refs/heads/|origin/)")  # Azure has full refs; Jenkins includes the remote


def ci_metadata(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the CI job's `ci`, `commit`, `branch`, `base_branch`, `pull_request` and `job_url`, as far as known.

    The base branch is a pull request's target, else the default branch if the CI system provides it. Outside CI, the
    result is empty.

    Only environment variables are read. In a container, pass these variables; git and a checkout are not needed.
    """
    system = _system(environ)
    if system is None:
        return {}
    pull_request = _PULL_REQUEST.search(_fact(environ, system.pull_request))
    known = {
        "ci": system.name,
        "commit": _fact(environ, system.commit),
        "branch": _BRANCH_PREFIX.sub("", _fact(environ, system.branch)),
        "base_branch": _BRANCH_PREFIX.sub("", _fact(environ, system.base_branch)),
        "pull_request": pull_request[1] if pull_request else "",
        "job_url": _fact(environ, system.job_url),
    }
    return {name: value for name, value in known.items() if value}


def is_ci(environ: Mapping[str, str]) -> bool:
    """Check whether the command runs in CI: on a known system, or with the variable `CI`."""
    return _system(environ) is not None or environ.get("CI", "").lower() not in ("", "0", "false")


def origin_metadata(environ: Mapping[str, str], directory: str | Path) -> Mapping[str, str | bool]:
    """Return the metadata of the CI job, or outside of CI the metadata of the working copy, from git.

    Only the metadata of a working copy has the key `dirty`. In CI, git completes a commit or a branch that no variable
    provides.

    Args:
        environ: the environment of the job.
        directory: the working directory of the job.
    """
    ci = ci_metadata(environ)
    if not ci:
        return git_metadata(str(directory))
    if "commit" in ci and "branch" in ci:
        return ci
    return {
        **{name: value for name, value in git_metadata(str(directory)).items() if name in ("commit", "branch")},
        **ci,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """The identity that all jobs of a pipeline run share.

    Attributes:
        key: the unique key of the run, unchanged when some jobs are run again.
        attempt: the attempt of the run; empty if the CI system has no attempt number for the whole run.
        job: the name that this job shares with its parallel jobs; empty if unknown.
    """

    key: str
    attempt: str = ""
    job: str = ""


def pipeline_run(environ: Mapping[str, str]) -> PipelineRun | None:
    """Return the pipeline run of this job, or None if it is unknown."""
    system = _system(environ)
    run = _fact(environ, system.run) if system else ""
    if system is None or not run:
        return None
    job = re.sub(r" \d+/\d+$", "", _fact(environ, system.job))  # GitLab numbers parallel jobs
    if system.name == "gitlab" and _MATRIX_JOB.search(name := environ.get("CI_JOB_NAME", "")):
        job = name  # the job group also contains jobs with other variables, such as other models
    return PipelineRun(key=f"{system.name} {run}", attempt=_fact(environ, system.attempt), job=job)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelJob:
    """The index of this job among parallel jobs, as unchecked texts from variables.

    Attributes:
        index: the index, counted from `first_index`; empty if not set.
        total: the number of parallel jobs; empty if not set.
        first_index: the index of the first job, 0 or 1.
        variables: the names of the variables for index and total, for messages.
    """

    index: str = ""
    total: str = ""
    first_index: int = 0
    variables: tuple[str, ...] = ()


def parallel_job(environ: Mapping[str, str]) -> ParallelJob | None:
    """Return the index of this job among parallel jobs, or None if the CI system does not provide it."""
    system = _system(environ)
    if system is None or not system.index:
        return None
    return ParallelJob(
        index=_fact(environ, system.index),
        total=_fact(environ, system.total),
        first_index=system.first_index,
        variables=tuple(template.removeprefix("$") for template in (*system.index, *system.total)),
    )


def _system(environ: Mapping[str, str]) -> _System | None:
    return next((system for system in _SYSTEMS if environ.get(system.shown_by)), None)


def _fact(environ: Mapping[str, str], templates: tuple[str, ...]) -> str:
    for text in templates:
        template = Template(text)
        if all(environ.get(name) for name in template.get_identifiers()):
            return template.substitute(environ)
    return ""
