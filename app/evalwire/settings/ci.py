"""Which CI system this is, and what it says of the commit, the branch, the job, and its place among parallel ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """One CI system: the variable that shows it, and where its facts are.

    A fact is made of the first template whose variables are all set.

    Attributes:
        run: what every job of one pipeline run has in common, also when some of them are run again.
        attempt: which time the pipeline run is run, where all its jobs have the same number of it.
        job: the name that a job has in common with those parallel to it.
        index: of a parallel job, counted from `first_index`.
        total: of parallel jobs.
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


_MATRIX_JOB = re.compile(r": \[.*\]$")  # of GitLab's `parallel: matrix`

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
        # no index: a step has to pass on `strategy.job-index`
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
        run=("$CIRCLE_PIPELINE_ID", "$CIRCLE_WORKFLOW_ID"),  # a workflow that is run again has another id
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

_BRANCH_PREFIX = re.compile(r"^(?:refs/heads/|origin/)")  # of Azure's; of Jenkins', which names the remote


def ci_metadata(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is known of the CI job: `ci`, `commit`, `branch`, `base_branch`, `pull_request`, `job_url`.

    The base branch is a pull request's target, else the default branch, where the CI system tells it. Outside of CI
    nothing is known.

    Passing these variables into a container is enough; no git and no checkout are needed.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """What the jobs of one run of a pipeline have in common.

    Attributes:
        key: tells this run from all others; the same when some of its jobs are run again.
        attempt: which time it is run; empty where the system has no such number for all its jobs.
        job: the name of this job and those parallel to it; empty where it is not known.
    """

    key: str
    attempt: str = ""
    job: str = ""


def pipeline_run(environ: Mapping[str, str]) -> PipelineRun | None:
    """The pipeline run that this job is of; None where none is known."""
    system = _system(environ)
    run = _fact(environ, system.run) if system else ""
    if system is None or not run:
        return None
    job = re.sub(r" \d+/\d+$", "", _fact(environ, system.job))  # GitLab numbers the parallel ones
    if system.name == "gitlab" and _MATRIX_JOB.search(name := environ.get("CI_JOB_NAME", "")):
        job = name  # its group has jobs with other variables in it: of other models, say
    return PipelineRun(key=f"{system.name} {run}", attempt=_fact(environ, system.attempt), job=job)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelJob:
    """The place of this job among those parallel to it, as its variables have it: unchecked texts.

    Attributes:
        index: counted from `first_index`; empty where it is not set.
        total: of these jobs; empty where it is not set.
        variables: that index and total come from, for messages.
    """

    index: str = ""
    total: str = ""
    first_index: int = 0
    variables: tuple[str, ...] = ()


def parallel_job(environ: Mapping[str, str]) -> ParallelJob | None:
    """The place of this job among those parallel to it; None on a system that is not known to tell it."""
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
