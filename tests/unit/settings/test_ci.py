"""What the CI system's variables say of the job, by environments as each system sets them."""

from __future__ import annotations

import pytest

from evalwire.settings.ci import PipelineRun, ci_metadata, pipeline_run

# of a job of a change, `feature/x`, that is to go to `main`
GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "abc",
    "GITHUB_REF": "refs/pull/12/merge",
    "GITHUB_REF_NAME": "12/merge",
    "GITHUB_HEAD_REF": "feature/x",
    "GITHUB_BASE_REF": "main",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "team/repo",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "evaluate",
}
GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": "abc",
    "CI_COMMIT_REF_NAME": "feature/x",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/x",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_DEFAULT_BRANCH": "main",
    "CI_JOB_URL": "https://gitlab.example/team/repo/-/jobs/7",
    "CI_PROJECT_PATH": "team/repo",
    "CI_PIPELINE_ID": "42",
    "CI_JOB_NAME": "evaluate 2/5",
    "CI_NODE_INDEX": "2",
    "CI_NODE_TOTAL": "5",
}
CIRCLECI = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_SHA1": "abc",
    "CIRCLE_BRANCH": "feature/x",
    "CIRCLE_PULL_REQUEST": "https://github.example/team/repo/pull/12",
    "CIRCLE_BUILD_URL": "https://circleci.example/gh/team/repo/7",
    "CIRCLE_WORKFLOW_ID": "42",
    "CIRCLE_JOB": "evaluate",
    "CIRCLE_NODE_INDEX": "1",
    "CIRCLE_NODE_TOTAL": "5",
}
AZURE = {
    "TF_BUILD": "True",
    "BUILD_SOURCEVERSION": "abc",
    "BUILD_SOURCEBRANCH": "refs/pull/12/merge",
    "BUILD_SOURCEBRANCHNAME": "merge",
    "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature/x",
    "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "12",
    "SYSTEM_COLLECTIONURI": "https://azure.example/team/",
    "SYSTEM_TEAMPROJECT": "repo",
    "BUILD_BUILDID": "42",
    "SYSTEM_PHASENAME": "evaluate",
}
BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BUILD_NUMBER": "7",
    "BITBUCKET_COMMIT": "abc",
    "BITBUCKET_BRANCH": "feature/x",
    "BITBUCKET_PR_ID": "12",
    "BITBUCKET_PR_DESTINATION_BRANCH": "main",
    "BITBUCKET_GIT_HTTP_ORIGIN": "https://bitbucket.example/team/repo",
    "BITBUCKET_PIPELINE_UUID": "{42}",
}
BUILDKITE = {
    "CI": "true",
    "BUILDKITE": "true",
    "BUILDKITE_COMMIT": "abc",
    "BUILDKITE_BRANCH": "feature/x",
    "BUILDKITE_PULL_REQUEST": "12",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main",
    "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
    "BUILDKITE_BUILD_URL": "https://buildkite.example/team/repo/builds/7",
    "BUILDKITE_BUILD_ID": "42",
    "BUILDKITE_STEP_ID": "evaluate",
}
JENKINS = {
    "JENKINS_URL": "https://jenkins.example/",
    "GIT_COMMIT": "abc",
    "GIT_BRANCH": "PR-12",
    "BRANCH_NAME": "PR-12",
    "CHANGE_BRANCH": "feature/x",
    "CHANGE_TARGET": "main",
    "CHANGE_ID": "12",
    "BUILD_URL": "https://jenkins.example/job/repo/7/",
    "BUILD_TAG": "jenkins-repo-42",
}
CLOUD_RUN = {
    "CLOUD_RUN_JOB": "evals",
    "CLOUD_RUN_EXECUTION": "evals-42",
    "CLOUD_RUN_TASK_INDEX": "1",
    "CLOUD_RUN_TASK_COUNT": "5",
}
KUBERNETES = {"JOB_COMPLETION_INDEX": "1", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}

CHANGE = {"commit": "abc", "branch": "feature/x", "base_branch": "main", "pull_request": "12"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (GITHUB, {"ci": "github", **CHANGE, "job_url": "https://github.example/team/repo/actions/runs/42"}),
        (GITLAB, {"ci": "gitlab", **CHANGE, "job_url": "https://gitlab.example/team/repo/-/jobs/7"}),
        (
            CIRCLECI,
            {
                "ci": "circleci",
                "commit": "abc",
                "branch": "feature/x",
                "pull_request": "12",
                "job_url": "https://circleci.example/gh/team/repo/7",
            },
        ),
        (AZURE, {"ci": "azure", **CHANGE, "job_url": "https://azure.example/team/repo/_build/results?buildId=42"}),
        (
            BITBUCKET,
            {"ci": "bitbucket", **CHANGE, "job_url": "https://bitbucket.example/team/repo/pipelines/results/7"},
        ),
        (BUILDKITE, {"ci": "buildkite", **CHANGE, "job_url": "https://buildkite.example/team/repo/builds/7"}),
        (JENKINS, {"ci": "jenkins", **CHANGE, "job_url": "https://jenkins.example/job/repo/7/"}),
        (CLOUD_RUN, {"ci": "cloud-run"}),
        (KUBERNETES, {"ci": "kubernetes"}),
    ],
    ids=lambda value: value.get("ci") if "ci" in value else "",
)
def test_each_system_tells_of_a_change(environ, expected):
    """Commit, branch, base branch, pull request and the job's address, as far as the system has variables of them."""
    assert ci_metadata(environ) == expected


@pytest.mark.parametrize(
    ("environ", "branch"),
    [
        (GITHUB | {"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "feature/y"}, "feature/y"),
        ({"GITLAB_CI": "1", "CI_COMMIT_REF_NAME": "feature/y"}, "feature/y"),
        ({"TF_BUILD": "1", "BUILD_SOURCEBRANCH": "refs/heads/feature/y", "BUILD_SOURCEBRANCHNAME": "y"}, "feature/y"),
        ({"JENKINS_URL": "1", "GIT_BRANCH": "origin/feature/y"}, "feature/y"),
        ({"JENKINS_URL": "1", "BRANCH_NAME": "feature/y"}, "feature/y"),
        ({"BUILDKITE": "1", "BUILDKITE_BRANCH": "feature/y", "BUILDKITE_PULL_REQUEST": "false"}, "feature/y"),
    ],
)
def test_the_branch_of_a_push_is_whole(environ, branch):
    """A name with slashes is not cut, and nothing is put before it; there is no pull request."""
    assert ci_metadata(environ)["branch"] == branch
    assert "pull_request" not in ci_metadata(environ | {"GITHUB_REF": f"refs/heads/{branch}"})


def test_gitlab_names_the_default_branch_where_there_is_no_merge_request():
    """So that a push has something to be compared with."""
    assert ci_metadata({"GITLAB_CI": "1", "CI_DEFAULT_BRANCH": "trunk"})["base_branch"] == "trunk"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": ""}, {"CI": "true"}, {"GITHUB_SHA": "abc"}])
def test_outside_of_ci_nothing_is_known(environ):
    """Without the variable that shows a system nothing is claimed."""
    assert ci_metadata(environ) == {}
    assert pipeline_run(environ) is None


@pytest.mark.parametrize(
    ("environ", "run"),
    [
        (GITHUB, PipelineRun(key="github team/repo 42", attempt="2", job="evaluate")),
        (GITLAB, PipelineRun(key="gitlab team/repo 42", job="evaluate")),
        (
            {**GITLAB, "CI_JOB_NAME": "evaluate: [a, b]", "CI_JOB_GROUP_NAME": "evaluate"},
            PipelineRun(key="gitlab team/repo 42", job="evaluate: [a, b]"),
        ),
        (CIRCLECI, PipelineRun(key="circleci 42", job="evaluate")),
        (AZURE, PipelineRun(key="azure repo 42", job="evaluate")),
        (BITBUCKET, PipelineRun(key="bitbucket {42}")),
        (BUILDKITE, PipelineRun(key="buildkite 42", job="evaluate")),
        (JENKINS, PipelineRun(key="jenkins https://jenkins.example/ jenkins-repo-42")),
        (CLOUD_RUN, PipelineRun(key="cloud-run evals-42")),
        (KUBERNETES, None),
    ],
    ids=lambda value: value.key.split()[0] if isinstance(value, PipelineRun) else "",
)
def test_the_jobs_of_one_pipeline_run_have_a_key_in_common(environ, run):
    """It tells the run from others, and is the same for every job of it, whatever the attempt."""
    assert pipeline_run(environ) == run


def test_the_key_of_circleci_is_the_pipelines_where_it_has_one():
    """A workflow that is run again from its failed jobs has another id, and the pipeline has not."""
    assert pipeline_run(CIRCLECI | {"CIRCLE_PIPELINE_ID": "41"}) == PipelineRun(key="circleci 41", job="evaluate")
