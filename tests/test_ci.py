"""What the CI system's variables say of the job."""

from __future__ import annotations

import pytest

from evalwire.ci import facts

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "abc",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "team/repo",
    "GITHUB_RUN_ID": "42",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (GITHUB, ("github", "abc", "main", "https://github.com/team/repo/actions/runs/42")),
        (
            {"GITLAB_CI": "true", "CI_COMMIT_SHA": "abc", "CI_COMMIT_REF_NAME": "main", "CI_JOB_URL": "https://gl/1"},
            ("gitlab", "abc", "main", "https://gl/1"),
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_SHA1": "abc", "CIRCLE_BRANCH": "main", "CIRCLE_BUILD_URL": "https://cc/1"},
            ("circleci", "abc", "main", "https://cc/1"),
        ),
        (
            {"TF_BUILD": "True", "BUILD_SOURCEVERSION": "abc", "BUILD_SOURCEBRANCHNAME": "main"},
            ("azure", "abc", "main", None),
        ),
        (
            {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_COMMIT": "abc", "BITBUCKET_BRANCH": "main"},
            ("bitbucket", "abc", "main", None),
        ),
        (
            {
                "BUILDKITE": "true",
                "BUILDKITE_COMMIT": "abc",
                "BUILDKITE_BRANCH": "main",
                "BUILDKITE_BUILD_URL": "https://bk/1",
            },
            ("buildkite", "abc", "main", "https://bk/1"),
        ),
        (
            {"JENKINS_URL": "https://j", "GIT_COMMIT": "abc", "BRANCH_NAME": "main", "BUILD_URL": "https://j/1"},
            ("jenkins", "abc", "main", "https://j/1"),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_system_is_recognised(environ, expected):
    """The commit, the branch and the job's address are read from the system's own variables."""
    names = ("ci", "commit", "branch", "job_url")
    assert facts(environ) == {name: value for name, value in zip(names, expected, strict=True) if value}


@pytest.mark.parametrize(
    ("environ", "branch"),
    [
        (GITHUB | {"GITHUB_HEAD_REF": "feature", "GITHUB_REF_NAME": "5/merge"}, "feature"),
        (GITHUB | {"GITHUB_HEAD_REF": ""}, "main"),
        ({"GITLAB_CI": "1", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature", "CI_COMMIT_REF_NAME": "x"}, "feature"),
        ({"TF_BUILD": "1", "SYSTEM_PULLREQUEST_SOURCEBRANCH": "feature", "BUILD_SOURCEBRANCHNAME": "merge"}, "feature"),
        ({"JENKINS_URL": "1", "CHANGE_BRANCH": "feature", "BRANCH_NAME": "PR-5"}, "feature"),
    ],
)
def test_the_branch_of_a_pull_request_is_its_own(environ, branch):
    """For a pull request the branch is the one it comes from, not the merge that CI made."""
    assert facts(environ)["branch"] == branch


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": ""}, {"CI": "true"}, {"GITHUB_SHA": "abc"}])
def test_outside_of_ci_nothing_is_known(environ):
    """Without the variable that shows a system nothing is claimed."""
    assert facts(environ) == {}


def test_what_is_not_set_is_left_out():
    """A fact that the system does not give is absent, not empty."""
    assert facts({"GITHUB_ACTIONS": "true", "GITHUB_SHA": ""}) == {"ci": "github"}


def test_half_an_address_is_none():
    """The job's address is given whole or not at all."""
    assert "job_url" not in facts(GITHUB | {"GITHUB_RUN_ID": ""})
