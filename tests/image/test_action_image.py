"""The GitHub Action: its steps, run as the runner runs them, with the real image."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from action_runner import ActionRunner, Ended
from fake_github import TOKEN, fake_github

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).parent / "projects"
SECRET = "a-secret-of-these-tests-0123456789"
RUNNER_USER = 12345  # where this runs as root, which no runner of GitHub's does
# Notes every command line, and labels what is started, so that the session's end removes it.
DOCKER = """\
#!/usr/bin/env bash
printf '%s\\n' "$@" "" >>"{log}"
if [[ $1 == run ]]; then
  shift
  exec "{docker}" run --label "{label}" "$@"
fi
exec "{docker}" "$@"
"""
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "greetings",
    "GITHUB_BASE_REF": "main",
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_REPOSITORY": "team/bot",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_JOB": "evaluate",
    "GITHUB_WORKFLOW": "CI",
}


@dataclass
class Job:
    """A job on a runner, with a repository checked out; `run` uses the action in it."""

    runner: ActionRunner
    image: str
    workspace: Path
    docker_log: Path

    def run(self, **inputs) -> Ended:
        return self.runner.run(**{"version": self.image, **inputs})

    @property
    def docker_lines(self) -> str:
        """The arguments of every call of docker, one a line, with an empty line behind each call."""
        return self.docker_log.read_text()

    @property
    def container(self) -> str:
        found = re.search(r"^--name\n(.*)$", self.docker_lines, re.MULTILINE)
        assert found
        return found[1]

    def owner_of(self, path) -> int:
        return (self.workspace / path).stat().st_uid


@pytest.fixture
def job(docker, image, phoenix) -> Iterator:
    """`job(NAME, VARIABLE=...)`: a job whose workspace has `projects/NAME` as its experiments."""
    with tempfile.TemporaryDirectory(prefix="evalwire action ") as folder:  # a path with spaces, which others may enter
        root = Path(folder)
        root.chmod(0o755)

        def make(name: str, **environ: str) -> Job:
            workspace, action, temp, programs = (root / part for part in ("work, space", "the action", "temp", "bin"))
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECTS / name, workspace / "experiments", ignore=ignored)
            shutil.copytree(ROOT / "action", action / "action", ignore=ignored)
            shutil.copy(ROOT / "action.yml", action)
            temp.mkdir()
            programs.mkdir()
            log = root / "docker.log"
            log.touch()
            shim = programs / "docker"
            shim.write_text(DOCKER.format(log=log, docker=shutil.which("docker"), label=docker.label))
            shim.chmod(0o755)
            user = None
            if os.geteuid() == 0:
                for path in (*root.rglob("*"), workspace):
                    os.chown(path, RUNNER_USER, RUNNER_USER)
                user = (RUNNER_USER, [Path("/var/run/docker.sock").stat().st_gid])
            job_environ = {
                **GITHUB,
                "HOME": str(temp),
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "GITHUB_WORKSPACE": str(workspace),
                "GITHUB_RUN_ID": str(uuid.uuid4().int),
                "GITHUB_TOKEN_OF_THE_JOB": TOKEN,
                "PHOENIX_ENDPOINT": phoenix.url,
                **environ,
            }
            runner = ActionRunner(action=action, temp=temp, environ=job_environ, user=user)
            return Job(runner=runner, image=image, workspace=workspace, docker_log=log)

        yield make


def _experiment(phoenix, url: str) -> dict:
    """What Phoenix has of the experiment with this page."""
    experiment = url.rpartition("experimentId=")[2]
    with urllib.request.urlopen(f"{phoenix.url}/v1/experiments/{experiment}", timeout=10) as answer:
        return json.load(answer)["data"]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- how it ends -----------------------------------------------------------------------------------------


def test_a_project_that_passes(job, docker, phoenix):
    """Green, with all outputs and the summary; the experiment in Phoenix knows the commit; nothing else is left."""
    it = job("passing")
    shutil.copy(PROJECTS / "passing.toml", it.workspace / "evalwire.toml")
    before = _files(it.workspace)
    ended = it.run(experiments="experiments", phoenix_endpoint=phoenix.url)
    assert ended.exit_code == 0, ended.log
    reports = it.workspace / "test-results"
    assert ended.outputs == {
        "outcome": "passed",
        "passed": "true",
        "results-json": str(reports / "results.json"),
        "junit-xml": str(reports / "evalwire.xml"),
        "summary": str(reports / "summary.md"),
        "experiment-urls": ended.outputs["experiment-urls"],
        "failed-count": "0",
    }
    assert "PASSED (1 gate passed): 1 experiment, 3 examples" in ended.log, "its evalwire.toml was found"
    assert ended.summary.startswith("## ✅ evalwire PASSED: 1 experiment, 3 runs")
    assert ended.commands == []

    metadata = _experiment(phoenix, ended.outputs["experiment-urls"])["metadata"]
    assert metadata["commit"] == GITHUB["GITHUB_SHA"]
    assert metadata["branch"] == "greetings"
    assert metadata["base_branch"] == "main"

    # the folder was not there: it belongs to the runner's user, with all that is in it
    written = _files(it.workspace) - before
    assert {name for name in written if "journal" not in name} == {
        "test-results",
        *(
            f"test-results/{name}"
            for name in (
                "results.json",
                "evalwire.xml",
                "summary.md",
                "report.html",
                "metrics.txt",
                "gl-code-quality-report.json",
            )
        ),
    }
    assert {it.owner_of(name) for name in written} == {RUNNER_USER if os.geteuid() == 0 else os.geteuid()}
    assert docker("ps", "-aq", "--filter", f"name={it.container}").stdout == ""


def test_a_project_that_fails(job):
    """Red by evalwire's exit code, and only after reports, outputs and annotations were published."""
    it = job("failing")
    ended = it.run(report_dir="out/of the task")
    assert ended.exit_code == 1
    assert [(name, step.exit_code) for name, step in ended.steps.items()] == [
        ("run", 0),
        ("publish", 0),
        ("comment", 0),
        ("verdict", 1),
    ]
    assert (ended.outputs["outcome"], ended.outputs["passed"], ended.outputs["failed-count"]) == (
        "errors",
        "false",
        "1",
    )
    assert ended.outputs["junit-xml"] == str(it.workspace / "out/of the task/evalwire.xml")
    assert ended.summary.startswith("## ❌ evalwire FAILED")
    gate, cause = ended.commands
    assert gate.startswith("::error file=experiments/greeting/task.py,line=1,title=greeting%3A max_error_rate::")
    assert cause.startswith("::error file=experiments/greeting/task.py,line=6,title=greeting%3A LookupError::")


def test_what_a_model_prints_is_no_command(job):
    """By any stream, past Python's too, and in an error's message: the runner heeds evalwire's annotations alone."""
    ended = job("hostile").run()
    assert ended.exit_code == 1
    assert "::error::from the model" in ended.steps["run"].stdout, "the model was heard, or this shows nothing"
    assert "from the model" not in ended.steps["run"].stderr, "what is read on its own may come after the token"
    first, *_, before_last, last = ended.steps["run"].stdout.splitlines()
    assert before_last.endswith("a line without an end")
    assert first.replace("::stop-commands::", "::") + "::" == last
    assert [re.match(r"::error file=\S+ (\w+)::", command)[1] for command in ended.commands] == [
        "max_error_rate",
        "LookupError",
    ]
    assert ended.outputs["failed-count"] == "1"


def test_wrong_use(job):
    """Exit 2 with no report: the outputs say so, and so does the summary."""
    it = job("passing")
    (it.workspace / "evalwire.toml").write_text("[experiments]\ndirr = 'experiments'\n")
    ended = it.run()
    assert ended.exit_code == 2
    assert "dirr" in ended.log
    assert {name: value for name, value in ended.outputs.items() if value} == {"outcome": "error", "passed": "false"}
    assert ended.summary.startswith("## evalwire: ended with exit code 2\n")
    assert ended.commands == ["::error title=evalwire::evalwire ended with exit code 2, without a report."]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (
            {"report_dir": "../elsewhere"},
            'a directory inside the workspace, because evalwire can write only there: "../el',
        ),
        ({"report_dir": "."}, "a directory inside the workspace"),
        ({"report_dir": "link"}, "a directory inside the workspace"),
        ({"report_dir": "a file"}, 'Cannot create the report directory "a file"'),
        ({"version": ""}, "has no released image"),
        ({"version": "1.2"}, "has no released image"),
        ({"version": "--privileged:x"}, "is not an image name"),
        ({"shard": "auto"}, "for example 2/5"),
        ({"env": f"HOME\nTWO={SECRET}"}, "Line 2 of the input `env` is not a variable name"),
    ],
    ids=lambda value: next(iter(value.items())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused(job, inputs, said):
    """Before anything runs, with what to do; exit 2."""
    it = job("passing")
    (it.workspace / "link").symlink_to("/tmp")
    (it.workspace / "a file").write_text("")
    it.runner.strategy = {}
    ended = it.run(**inputs)
    assert ended.exit_code == 2
    assert said in ended.commands[0]
    assert ended.commands[0].startswith("::error title=evalwire::")
    assert "\nrun\n" not in it.docker_lines
    assert ended.outputs["outcome"] == "error"
    assert SECRET not in ended.log


# --- what reaches evalwire -------------------------------------------------------------------------------


def test_settings_and_secrets_go_in_by_name(job, docker):
    """No value is on a command line, nor an empty input in place of what the job says; `env` is the image's program."""
    it = job(
        "passing",
        PHOENIX_CLIENT_HEADERS=f"x-key={SECRET}",
        EVALWIRE_TIMEOUT_SECONDS="77",
        EVALWIRE_BASELINE="none",
        OPENAI_API_KEY=SECRET,
        AWS_SECRET_ACCESS_KEY=SECRET,
    )
    given = {
        "experiments": "the experiments",
        "names": "one, two\nthree",
        "phoenix_api_key": SECRET,
        "env": "OPENAI_API_KEY\n\n  NOT_SET  ",
        "task_concurrency": "auto",
        "repetitions": "3",
        "gate": "one.hit >= 0.8\ntwo.hit drop <= 0.02",
        "shard": "2/5",
        "upload": "true",
    }
    ended = it.run(args="env", requirements="", **given)
    environ = dict(re.findall(r"^(\w+)=(.*)$", ended.steps["run"].stdout, re.MULTILINE))
    expected = {
        "EVALWIRE_BASELINE": "none",
        "EVALWIRE_EXPERIMENTS": "the experiments",
        "EVALWIRE_GATE": "one.hit >= 0.8;two.hit drop <= 0.02",
        "EVALWIRE_NAMES": "one, two,three",
        "EVALWIRE_REPETITIONS": "3",
        "EVALWIRE_REPORT_DIR": "test-results",
        "EVALWIRE_SHARD": "2/5",
        "EVALWIRE_SYNC": "true",
        "EVALWIRE_TASK_CONCURRENCY": "auto",
        "EVALWIRE_TIMEOUT_SECONDS": "77",
        "PHOENIX_API_KEY": SECRET,
        "PHOENIX_CLIENT_HEADERS": f"x-key={SECRET}",
        "OPENAI_API_KEY": SECRET,
        "GITHUB_JOB": "evaluate",
        "HOME": "/tmp",
        "PWD": str(it.workspace),
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert not {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "EVALWIRE_REQUIREMENTS"} & environ.keys()
    assert SECRET not in it.docker_lines
    assert ended.commands[0] == "::warning title=evalwire::The input `env` names NOT_SET, which is not set in this job."


def test_arguments_stay_one_each(job):
    """`config`, `dry-run` and each line of `args` is one argument, whatever is in it; a command is said first."""
    it = job("passing")
    lines = "--gate=a >= 1; $(id) `id` 'x' \"y\" *\n\n  --name\nthe name  "
    printed = it.run(args=f"printf\n<%s>\n{lines}", config="my evalwire.toml", dry_run="4").steps["run"].stdout
    arguments = [*lines.split("\n")[:1], "--name", "the name"]
    # printf takes what follows it as its format first
    assert it.docker_lines.split(f"{it.image}\nprintf\n")[1].splitlines()[:6] == [
        "--config=my evalwire.toml",
        "--dry-run=4",
        "<%s>",
        *arguments,
    ]
    assert "uid=" not in printed

    ended = it.run(dry_run="true", args="--name\ngreeting", version=it.image)
    assert ended.exit_code == 0, ended.log
    assert it.docker_lines.split(f"{it.image}\nrun\n")[1].startswith("--dry-run\n--name\ngreeting\n")
    assert "dry run" in ended.log


def test_the_container_writes_where_it_may_and_nowhere_else(job):
    """The report folder and /tmp; not the checkout, not the rest of the image."""
    it = job("passing")
    for place in ("/tmp", "test-results"):
        assert it.run(args=f"touch\n{place}/written").exit_code == 0
    assert (it.workspace / "test-results/written").exists()
    for place in (".", "experiments", "/work", "/app"):
        ended = it.run(args=f"touch\n{place}/unwanted")
        assert ended.exit_code == 1
        assert f"'{place}/unwanted': Read-only file system" in ended.log
    assert "unwanted" not in " ".join(_files(it.workspace))


# --- shards ----------------------------------------------------------------------------------------------


def test_shards_of_a_matrix_and_their_gate(job, phoenix):
    """Jobs of one matrix run a part each, by their place in it; the gate judges the whole of one experiment."""
    it = job("passing")
    for index in (0, 1):
        it.runner.strategy = {"job-index": str(index), "job-total": "2"}
        shard = it.run(shard="auto")
        assert shard.exit_code == 0, shard.log
        assert shard.outputs["results-json"] == str(it.workspace / f"test-results/results-{index + 1}-of-2.json")
    ended = it.run(args="gate\n--shards=2")
    assert ended.exit_code == 0, ended.log
    assert ended.outputs["outcome"] == "passed"
    assert ended.outputs["experiment-urls"] == shard.outputs["experiment-urls"] != ""
    assert _experiment(phoenix, ended.outputs["experiment-urls"])["successful_run_count"] == 3


# --- a cancelled job -------------------------------------------------------------------------------------


def _waiting(log: str) -> bool:
    return log.count("waiting") >= 2


@pytest.mark.alone
def test_a_cancelled_job_records_what_is_finished(job, docker):
    """The runner's SIGINT reaches evalwire, which ends in time; the reports are published, and no container is left."""
    it = job("slow", EVALWIRE_GRACE_SECONDS="1")
    began = time.monotonic()
    ended = it.runner.run(_waiting, version=it.image)
    assert ended.steps["run"].outputs["exit-code"] == "143", ended.log
    assert ended.exit_code == 143
    assert ended.outputs["outcome"] == "interrupted"
    assert ended.outputs["failed-count"] == "2"
    assert "evalwire INTERRUPTED" in ended.summary.splitlines()[0]
    assert "FAILED, 1/3" in ended.log, "what was finished"
    assert docker("ps", "-aq", "--filter", f"name={it.container}").stdout == ""
    assert time.monotonic() - began < 60, "or it was not stopped at all"


@pytest.mark.slow
@pytest.mark.parametrize(("grace_seconds", "not_run"), [("15", "2"), ("300", "0")])
def test_a_container_that_outlives_its_step_is_ended(job, docker, grace_seconds, not_run):
    """A grace period beyond the runner's ten seconds is waited for by the next step, within limits."""
    it = job("slow", EVALWIRE_GRACE_SECONDS=grace_seconds)
    ended = it.runner.run(_waiting, version=it.image)
    assert ended.steps["run"].exit_code == -9, "the runner ended the step by force"
    assert ended.steps["run"].outputs.get("exit-code") is None
    assert ended.steps["verdict"].exit_code == 1
    assert (ended.outputs["outcome"], ended.outputs["passed"]) == ("interrupted", "false")
    assert ended.outputs["failed-count"] == not_run, "ended at once, it knows of none"
    assert docker("ps", "-aq", "--filter", f"name={it.container}").stdout == ""


# --- the comment -----------------------------------------------------------------------------------------


def test_the_comment_tells_the_last_run(job):
    """One comment, updated, also by a job that comes to no report; a token that may not write is a warning."""
    with fake_github() as github:
        it = job("failing", GITHUB_API_URL=github.url)
        event = it.runner.temp / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7}}))
        event.chmod(0o644)
        it.runner.environ = {**it.runner.environ, "GITHUB_EVENT_PATH": str(event)}
        ended = it.run(comment="true")
        assert ended.exit_code == 1
        (body,) = github.bodies()
        assert body.startswith("<!-- evalwire:CI evaluate test-results -->\n## ❌ evalwire FAILED"), ended.log
        assert TOKEN not in it.docker_lines

        (it.workspace / "evalwire.toml").write_text("[quality]\nsame = 0.5\n")
        github.failures = [(502, "Bad Gateway")]
        assert it.run(comment="true").exit_code == 2
        (body,) = github.bodies()
        assert "## evalwire: ended with exit code 2" in body

        github.failures = [(403, "Resource not accessible by integration")]
        ended = it.run(comment="true")
        assert ended.steps["comment"].exit_code == 0
        assert "::warning title=evalwire::Cannot comment on pull request 7" in ended.commands[-1]
        assert "pull-requests: write" in ended.commands[-1]
