"""`evalwire comment`: one comment for each job, found again, never another's, and never a secret in it."""

from __future__ import annotations

import json
import ssl

import pytest
from action_runner import commands
from fake_github import NUMBER, TOKEN, fake_github
from fake_gitlab import NUMBER as MERGE_REQUEST
from fake_gitlab import USER, fake_gitlab

from conftest import Project, quiet_environment

MARKER = "<!-- evalwire:CI evaluate test-results/summary.md -->"
FORK = {"pull_request": {"number": NUMBER, "head": {"repo": {"full_name": "stranger/bot"}}}}
OWN = {"pull_request": {"number": NUMBER, "head": {"repo": {"full_name": "team/bot"}}}}


CERTIFICATES = ssl.create_default_context()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No waits, and certificates that are read once."""
    monkeypatch.setattr("evalwire.comments.comment._WAITS_SECONDS", (0, 0, 0))
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", lambda **_: CERTIFICATES)


@pytest.fixture
def github():
    with fake_github() as served:
        yield served


@pytest.fixture
def gitlab():
    with fake_gitlab() as served:
        yield served


class Job:
    """A CI job with a summary, which comments."""

    def __init__(self, project: Project, environ: dict[str, str]) -> None:
        self.project = project
        self.environ = environ

    def comment(self, summary: str | None = "## PASSED\n", *arguments: str, code: int = 0, event=None, **environ):
        """Comment; return what the user reads."""
        path = self.project.directory / "test-results/summary.md"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if summary is not None:
            path.write_text(summary)
        (self.project.directory / "event.json").write_text(json.dumps(event or OWN))
        given = {name: value for name, value in {**self.environ, **environ}.items() if value}
        done = self.project.run("comment", *arguments, **given)
        assert done.returncode == code, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path, quiet_environment())


@pytest.fixture
def on_github(github, project) -> Job:
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": github.url,
        "GITHUB_EVENT_PATH": str(project.directory / "event.json"),
        "GITHUB_JOB": "evaluate",
        "GITHUB_REPOSITORY": "team/bot",
        "GITHUB_RUN_ID": "123",
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_WORKFLOW": "CI",
    }
    return Job(project, environ)


@pytest.fixture
def on_gitlab(gitlab, project) -> Job:
    environ = {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": gitlab.url,
        "CI_JOB_NAME": "evaluate",
        "CI_JOB_URL": "https://git.example/team/bot/-/jobs/9",
        "CI_MERGE_REQUEST_IID": str(MERGE_REQUEST),
        "CI_MERGE_REQUEST_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
        "CI_PROJECT_PATH": "team/bot",
        "GITLAB_TOKEN": TOKEN,
    }
    return Job(project, environ)


# --- GitHub ----------------------------------------------------------------------------------------------


def test_a_comment_is_written_once_and_then_updated(github, on_github):
    """The second run of a job replaces what the first one said."""
    assert on_github.comment("## FAILED\n") == f"commented on pull request {NUMBER}\n"
    on_github.comment("## PASSED\n")
    (body,) = github.bodies()
    assert body == f"{MARKER}\n## PASSED\n\n[The job](https://git.example/team/bot/actions/runs/123)\n"


def test_it_is_found_on_any_page(github, on_github):
    """Behind hundreds of comments by people it is still the one that is updated."""
    for number in range(250):
        github.add(f"comment {number}", by="User")
    on_github.comment("first")
    github.requests.clear()
    on_github.comment("second")
    assert len(github.bodies()) == 1
    assert "second" in github.bodies()[0]
    assert [request.split()[0] for request in github.requests] == ["GET"] * 3 + ["PATCH"]


def test_jobs_and_files_have_comments_of_their_own(github, on_github):
    """Another job, file or key is another comment, and no key ends the marker."""
    (on_github.project.directory / "other.md").write_text("other")
    on_github.comment()
    on_github.comment(GITHUB_JOB="second")
    on_github.comment("", "other.md")
    for key in ("a", "a --> <b>", "a"):
        on_github.comment("text", "--key", key)
    assert [body.splitlines()[0] for body in github.bodies()] == [
        MARKER,
        MARKER.replace("evaluate", "second"),
        MARKER.replace("test-results/summary.md", "other.md"),
        "<!-- evalwire:a -->",
        "<!-- evalwire:a --%3E %3Cb%3E -->",
    ]


def test_a_persons_comment_is_not_touched(github, on_github):
    """A marker in a person's comment, or a bot's that quotes it, would let others choose where the job writes."""
    github.add(f"{MARKER}\nmine", by="User")
    github.add(f"> {MARKER}")
    on_github.comment("ours")
    assert github.bodies(by="User") == [f"{MARKER}\nmine"]
    assert [("ours" in body) for body in github.bodies()] == [False, True]


def test_the_comment_of_a_users_token_is_found_again(github, on_github):
    """A personal access token comments as its user."""
    github.user = 5
    github.add(f"{MARKER}\nanother person's", by="User", author=6)
    on_github.comment("first")
    on_github.comment("second")
    assert [body.splitlines()[1] for body in github.bodies(by="User")] == ["another person's", "second"]


def test_a_long_summary_is_cut_at_a_line(github, on_github):
    """GitHub would refuse the whole comment."""
    lines = [f"- line {number} ä{'x' * 50}" for number in range(2_000)]
    on_github.comment("\n".join(lines))
    (body,) = github.bodies()
    assert 60_000 < len(body.encode()) <= 65_536
    kept, _, rest = body.partition("\n\n*The rest is too long for a comment.*")
    assert rest.startswith("\n\n[The job]")
    assert kept.splitlines()[1:] == lines[: len(kept.splitlines()) - 1]


def test_a_summary_that_links_the_job_gets_no_second_link(github, on_github):
    on_github.comment("[CI job](https://git.example/team/bot/actions/runs/123)")
    assert github.bodies()[0].count("actions/runs/123") == 1


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("from_fork", [{"event": FORK}, {"GITHUB_ACTOR": "dependabot[bot]"}])
def test_a_fork_is_told_plainly_and_fails_nothing(github, on_github, status, from_fork):
    github.failures = [(status, "Resource not accessible by integration")]
    (said,) = commands(on_github.comment(**from_fork))
    assert said.startswith(
        f"::notice title=evalwire::No comment was written on pull request {NUMBER}: it comes from a fork"
    )
    assert f"HTTP {status}: Resource not accessible by integration" in said
    assert github.bodies() == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_may_not_write_says_what_it_needs(github, on_github, status):
    github.failures = [(status, "Resource not accessible by integration")]
    (said,) = commands(on_github.comment(code=1))
    assert said.startswith(
        f"::warning title=evalwire::Cannot comment on pull request {NUMBER}: the token in GITHUB_TOKEN"
    )
    assert "Add `permissions: pull-requests: write` to the job." in said
    assert len(github.requests) == 1


@pytest.mark.parametrize(
    "failures",
    [
        [(502, "Bad Gateway"), (429, "Too Many Requests")],
        [(403, "You have exceeded a secondary rate limit", ("Retry-After", "0"))],
        [(403, "API rate limit exceeded", ("X-RateLimit-Remaining", "0"))],
    ],
)
def test_a_temporary_error_is_retried(github, on_github, failures):
    github.failures = failures
    on_github.comment()
    assert len(github.bodies()) == 1


def test_a_comment_whose_answer_is_lost_is_not_written_twice(github, on_github):
    """GitHub may have done what it answered with an error."""
    github.failures, github.loses = [(502, "Bad Gateway")], True
    on_github.comment()
    assert len(github.bodies()) == 1


def test_a_github_that_stays_away_is_a_warning(github, on_github):
    github.failures = [(503, "down\n::error::from the outside")] * 9
    (said,) = commands(on_github.comment(code=1))
    assert said.startswith("::warning title=evalwire::")
    assert "HTTP 503: down ::error::from the outside" in said
    assert len(github.requests) == 4


def test_an_address_where_nothing_listens_is_a_warning(on_github):
    (said,) = commands(on_github.comment(code=1, GITHUB_API_URL="http://127.0.0.1:9"))
    assert "Cannot comment on pull request 7: ConnectError: " in said


def test_another_refusal_is_told_as_it_is(github, on_github):
    """A locked pull request is no matter of permissions, and is not tried again."""
    github.failures = [(422, "Unable to create comment because issue is locked.")]
    (said,) = commands(on_github.comment(code=1))
    assert "issue is locked" in said
    assert "permissions" not in said
    assert len(github.requests) == 1


def test_without_a_pull_request_there_is_no_comment(github, on_github):
    """A push has none; a comment's event names the pull request as an issue; without an event, the ref does."""
    (said,) = commands(on_github.comment(event={"ref": "refs/heads/main"}))
    assert said.startswith("::notice title=evalwire::No comment was written: this job does not run for a pull")
    assert commands(on_github.comment(event={"issue": {"number": 8}}))
    assert github.requests == []
    on_github.comment(event={"issue": {"number": NUMBER, "pull_request": {}}})
    on_github.comment("by the ref", GITHUB_EVENT_PATH="missing", GITHUB_REF=f"refs/pull/{NUMBER}/merge")
    assert "by the ref" in github.bodies()[0]


def test_a_job_without_a_summary_replaces_what_an_earlier_one_said(github, on_github):
    """Else a pull request would still show that it passed."""
    on_github.comment("## PASSED\n")
    assert "cannot read test-results/summary.md" in on_github.comment(None)
    (body,) = github.bodies()
    assert "## evalwire: no report\n" in body
    assert "PASSED" not in body


def test_secrets_and_control_characters_are_not_posted(github, on_github):
    """The file could be any file."""
    on_github.comment(f"a {TOKEN} and a-secret-value-123 \x1b[31m", MY_API_KEY="a-secret-value-123")
    assert "a *** and *** \\x1b[31m" in github.bodies()[0]


def test_a_file_of_the_project_does_not_redirect_the_token(github, on_github):
    """A pull request could bring a `.env` along."""
    on_github.project.write(
        {".env": "GITHUB_API_URL=http://127.0.0.1:9\nHTTP_PROXY=http://127.0.0.1:9\nGITHUB_REF=x\n"}
    )
    del on_github.environ["GITHUB_API_URL"]
    said = on_github.comment(code=2, GITHUB_TOKEN="")
    assert "GITHUB_TOKEN is not set" in said
    on_github.comment(GITHUB_API_URL=github.url)
    assert len(github.bodies()) == 1


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set, so evalwire cannot comment.\nAdd `permissions: "),
        ({"GITHUB_TOKEN": "a\u2019b"}, "GITHUB_TOKEN: the key contains U+2019"),
        ({"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY is not set."),
        ({"GITHUB_ACTIONS": ""}, "only a job of GitHub or GitLab can comment"),
    ],
)
def test_a_job_that_cannot_comment_is_wrong_use(github, on_github, environ, said):
    assert said in on_github.comment(code=2, **environ)
    assert github.requests == []


# --- GitLab ----------------------------------------------------------------------------------------------


def test_a_note_is_written_once_and_then_updated(gitlab, on_gitlab):
    for number in range(150):
        gitlab.add(f"note {number}", by="User")
    assert on_gitlab.comment("## FAILED\n") == f"commented on merge request {MERGE_REQUEST}\n"
    on_gitlab.comment("## PASSED\n")
    (body,) = [note["body"] for note in gitlab.comments if note["user"]["id"] == USER]
    assert body.startswith("<!-- evalwire:evaluate test-results/summary.md -->\n## PASSED\n")
    assert body.endswith("[The job](https://git.example/team/bot/-/jobs/9)\n")
    on_gitlab.comment(CI_JOB_NAME="second")
    assert len(gitlab.comments) == 152


def test_another_users_note_is_not_touched(gitlab, on_gitlab):
    marker = "<!-- evalwire:evaluate test-results/summary.md -->"
    gitlab.add(f"{marker}\nmine", by="User", author=USER + 1)
    on_gitlab.comment("ours")
    assert [note["body"].splitlines()[1] for note in gitlab.comments] == ["mine", "ours"]


def test_no_line_is_a_quick_action(gitlab, on_gitlab):
    """GitLab executes `/merge` at the start of a line with the permissions of the token."""
    on_gitlab.comment("/merge\n  /close\n> /label ~x\ntext /approve\n")
    body = gitlab.comments[0]["body"]
    assert body.splitlines()[1:5] == ["\\/merge", "  \\/close", "> \\/label ~x", "text /approve"]


def test_a_fork_of_gitlab_is_told_plainly(gitlab, on_gitlab):
    """Its pipelines run in the fork, without the variables of the project."""
    said = on_gitlab.comment(CI_MERGE_REQUEST_SOURCE_PROJECT_ID="43", GITLAB_TOKEN="")
    assert f"No comment was written on merge request {MERGE_REQUEST}: it comes from a fork" in said
    gitlab.failures = [(404, "404 Project Not Found")]
    said = on_gitlab.comment(CI_MERGE_REQUEST_SOURCE_PROJECT_ID="43")
    assert "404 Project Not Found" in said
    assert gitlab.comments == []


def test_a_pipeline_of_a_branch_finds_its_merge_request(gitlab, on_gitlab):
    branch = {"CI_MERGE_REQUEST_IID": "", "CI_MERGE_REQUEST_PROJECT_ID": "", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": ""}
    on_gitlab.comment(CI_OPEN_MERGE_REQUESTS=f"team/bot!{MERGE_REQUEST},team/bot!9", **branch)
    assert len(gitlab.comments) == 1
    assert "does not run for a pull or merge request" in on_gitlab.comment(**branch)


def test_an_invalid_token_says_what_it_needs(gitlab, on_gitlab):
    said = on_gitlab.comment(code=1, GITLAB_TOKEN="another-token-entirely")
    assert "the token in GITLAB_TOKEN is invalid or has no permission (HTTP 401: Bad credentials)" in said
    assert "with the scope `api` and the role Reporter" in said
    assert "CI_API_V4_URL is not set" in on_gitlab.comment(code=2, CI_API_V4_URL="")
