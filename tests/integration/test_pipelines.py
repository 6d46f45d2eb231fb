"""The pipelines that `evalwire init` writes: their own commands, run as the CI system runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from action_runner import BASH
from fake_github import NUMBER, TOKEN, fake_github
from workflow_runner import WorkflowRunner

from conftest import quiet_environment

MAIN, PULL = "refs/heads/main", f"refs/pull/{NUMBER}/merge"
GATE = "[experiments.ticket_router.gates]\nexact_match = { max_drop = 0.02 }\n"
# The Phoenix of `--local` is the one of this session, and the packages are those of this environment.
EVALWIRE = """#!/bin/sh
case "$*" in
  serve) echo served >>"$SERVED" ;;
  'run --local') exec "{python}" -m evalwire run ;;
  *) exec "{python}" -m evalwire "$@" ;;
esac
"""


@pytest.fixture
def programs(tmp_path):
    """A `PATH` whose installers install nothing, and whose `evalwire` is this one."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in {
        "evalwire": EVALWIRE.format(python=sys.executable),
        "pip": "#!/bin/sh\necho pip $*\n",
        "uv": "#!/bin/sh\necho uv $*\n",
        "python": "#!/bin/sh\n",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def runner(programs, phoenix_project, make_dataset, tmp_path):
    """A repository with the project that `init` writes, whose dataset is in Phoenix."""
    assert phoenix_project.run("init", "app", "--ci", "github").returncode == 0
    app = phoenix_project.directory / "app"
    rows = [({"user_query": f"My invoice {n} is wrong"}, {"expected_output": "billing"}) for n in range(20)]
    dataset = make_dataset([{"input": question, "output": team} for question, team in rows])
    settings = f"[experiments.ticket_router]\ndataset = {dataset!r}\n{GATE}"
    (app / "evalwire.toml").write_text(settings)
    environ = {**phoenix_project.environ, "PATH": programs, "SERVED": str(tmp_path / "served")}
    environ |= {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "team/bot", "GITHUB_RUN_ID": "1"}
    environ |= {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "TOKEN_OF_THE_JOB": TOKEN}
    return WorkflowRunner(file=app / ".github/workflows/evalwire.yml", workspace=app, environ=environ)


@pytest.mark.needs_phoenix
def test_a_pull_request_is_compared_with_the_last_passed_run_of_main(runner, tmp_path):
    """The first one has no baseline; a red main is never one; a worse task fails."""
    installed = {"INSTALL_EVALWIRE_FROM": "git+https://git.example/evalwire"}
    code, said = runner.run("evaluate", ref=PULL, run_id=1, **installed)
    assert code == 0, said
    assert "::notice title=evalwire::No baseline: no run of main has passed yet." in said
    assert "uv pip install --system evalwire[local] @ git+https://git.example/evalwire\n" in said
    assert (tmp_path / "served").read_text() == "served\n"
    assert "PASSED, but 1 drop gate had no baseline" in (tmp_path / "summary").read_text().splitlines()[0]
    assert runner.caches == {}

    code, said = runner.run("evaluate", ref=MAIN, run_id=2, **installed)
    assert code == 0, said
    assert list(runner.caches) == ["evalwire-baseline:main:2-1"]
    assert json.loads(runner.caches["evalwire-baseline:main:2-1"])["outcome"] == "passed"

    task = runner.workspace / "experiments/ticket_router/task.py"
    task.write_text("WORDS = {}\n\n\nasync def task(example):\n    return 'other'\n")
    code, said = runner.run("evaluate", ref=MAIN, run_id=3, **installed)
    assert code == 1, said
    assert "No baseline" not in said
    results = json.loads((runner.workspace / "test-results/results.json").read_text())
    assert (results["outcome"], results["baselines"][0]["asked"]) == ("gate_failed", "file:.evalwire/baseline.json")
    assert list(runner.caches) == ["evalwire-baseline:main:2-1"]


def test_the_comment_is_a_job_without_the_code_of_the_project(runner):
    with fake_github() as github:
        (runner.workspace / "test-results").mkdir()
        (runner.workspace / "test-results/summary.md").write_text("## PASSED\n")
        runner.environ = {**runner.environ, "GITHUB_API_URL": github.url}
        code, said = runner.run("comment", ref=PULL, run_id=1, INSTALL_EVALWIRE_FROM="here")
        assert code == 0, said
        assert "## PASSED" in github.bodies()[0]
    jobs = yaml.safe_load(runner.file.read_text())["jobs"]
    assert jobs["evaluate"]["permissions"] == {"contents": "read"}
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    assert not [step for step in jobs["comment"]["steps"] if "checkout" in step.get("uses", "")]
    assert "token" not in json.dumps(jobs["evaluate"])


# --- GitLab ----------------------------------------------------------------------------------------------


@pytest.fixture
def artifacts():
    """GitLab's artifacts of the default branch: the status and the content of the next answer, and what was asked."""

    class Artifacts(BaseHTTPRequestHandler):
        status, asked = 200, ()

        def do_GET(self) -> None:
            """A file of the last passed pipeline."""
            Artifacts.asked = (self.path, self.headers["JOB-TOKEN"])
            self.send_response(Artifacts.status)
            self.end_headers()
            self.wfile.write(b'{"of": "main"}')

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Artifacts) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        Artifacts.url = f"http://127.0.0.1:{server.server_port}"
        yield Artifacts
        server.shutdown()


@pytest.fixture
def gitlab_job(programs, project, artifacts):
    """Run the script of a job as GitLab's runner does; its exit code and its output."""
    assert project.run("init", "--ci", "gitlab").returncode == 0
    (Path(programs.split(os.pathsep)[0]) / "evalwire").write_text('#!/bin/sh\necho "evalwire $* $EVALWIRE_BASELINE"\n')

    def run(job: str, **variables: str) -> tuple[int, str]:
        script = yaml.safe_load((project.directory / ".gitlab-ci.yml").read_text())[job]["script"]
        environ = {
            "CI_API_V4_URL": artifacts.url,
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_NAME": job,
            "CI_JOB_TOKEN": "a-token-of-the-job",
            "CI_PROJECT_ID": "42",
            "INSTALL_EVALWIRE_FROM": "here",
            "PATH": programs,
            **variables,
        }
        done = subprocess.run(
            [*BASH, "-c", "\n".join(script)],
            cwd=project.directory,
            env={**quiet_environment(), **environ},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_gitlab_takes_the_baseline_from_the_last_passed_pipeline(gitlab_job, artifacts, project):
    code, said = gitlab_job("evalwire")
    assert code == 0, said
    assert said.endswith("evalwire run --local file:.evalwire/baseline.json\n")
    assert (project.directory / ".evalwire/baseline.json").read_text() == '{"of": "main"}'
    path = "/projects/42/jobs/artifacts/main/raw/test-results/results.json?job=evalwire"
    assert artifacts.asked == (path, "a-token-of-the-job")
    gitlab_job("evalwire", CI_MERGE_REQUEST_PROJECT_ID="7")
    assert artifacts.asked[0].startswith("/projects/7/")


def test_gitlab_without_a_passed_pipeline_says_so_and_an_outage_fails(gitlab_job, artifacts):
    """Else an outage would hide a regression."""
    artifacts.status = 404
    code, said = gitlab_job("evalwire")
    assert code == 0, said
    assert "No baseline: no passed pipeline of main has results (HTTP 404).\nevalwire run --local \n" in said
    artifacts.status = 501
    code, said = gitlab_job("evalwire")
    assert (code, "evalwire run" in said) == (1, False)
    assert "Cannot get the baseline (HTTP 501)." in said


def test_gitlab_comments_only_with_a_token(gitlab_job):
    code, said = gitlab_job("evalwire-comment")
    assert (code, said) == (0, "No comment: GITLAB_TOKEN is not set.\n")
    assert gitlab_job("evalwire-comment", GITLAB_TOKEN="a-token")[1].endswith("evalwire comment \n")
