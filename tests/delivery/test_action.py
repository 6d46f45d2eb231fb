"""The GitHub Action, without its container: what `action.yml` declares, and the comment on a pull request."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from action_runner import commands
from fake_github import NUMBER, TOKEN, fake_github

from evalwire.phoenix import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLES

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
SCRIPTS = {path.name: path.read_text() for path in sorted((ROOT / "action").glob("*.sh"))}
GUIDE = (ROOT / "docs" / "github.md").read_text()


def _load_comment():
    spec = importlib.util.spec_from_file_location("comment", ROOT / "action" / "comment.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["comment"] = module
    spec.loader.exec_module(module)
    return module


comment = _load_comment()


# --- action.yml ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTION["inputs"])
def test_every_input_reaches_a_script(name):
    """Composite actions hand nothing on by themselves: a step has to name each input, and its script to read it."""
    variable = f"INPUT_{name.upper().replace('-', '_')}"
    readers = [step for step in STEPS if step["env"].get(variable) == f"${{{{ inputs.{name} }}}}"]
    assert len(readers) == 1
    (script,) = re.findall(r'action/(\w+\.sh)"$', readers[0]["run"])
    assert re.search(rf"\$\{{?{variable}\b", SCRIPTS[script])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["id"])
def test_no_expression_stands_in_a_script(step):
    """The runner would put the value there as text of the script: an input could be a command."""
    assert "${{" not in step["run"]


@pytest.mark.parametrize("name", sorted({*ENDPOINT_VARIABLES, *CREDENTIAL_VARIABLES}))
def test_every_variable_of_phoenix_reaches_the_container(name):
    assert re.search(rf"\b{name}\b", SCRIPTS["run.sh"])


def test_every_step_reads_outputs_that_a_script_writes():
    """An output by another name is empty, and no error."""
    written = {"run": "run.sh", "publish": "publish.sh"}
    values = [value for step in STEPS for value in step["env"].values()]
    values += [output["value"] for output in ACTION["outputs"].values()]
    read = re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", " ".join(values))
    assert len(read) > len(ACTION["outputs"])
    for step, name in read:
        assert re.search(rf"\b{name}\b", SCRIPTS[written[step]]), f"steps.{step}.outputs.{name}"


def test_only_the_first_step_depends_on_success():
    """The reports of a red or cancelled job are published, and the job is red."""
    assert [step.get("if") for step in STEPS] == [None, *["always()"] * (len(STEPS) - 1)]
    assert STEPS[-1]["run"] == 'exit "${EXIT_CODE:-1}"'


def test_only_the_comment_gets_the_token():
    """The container that runs the team's code has no token of the job."""
    assert [step["id"] for step in STEPS if "github.token" in str(step["env"])] == ["comment"]
    assert "TOKEN" not in SCRIPTS["run.sh"]


def test_a_release_finds_its_line():
    """The release workflow writes the image between these quotes."""
    lines = [line.strip() for line in (ROOT / "action.yml").read_text().splitlines() if "RELEASED_IMAGE" in line]
    assert len(lines) == 1
    assert re.fullmatch(r'RELEASED_IMAGE: "(\S+@sha256:[0-9a-f]{64})?"  # written by the release workflow', lines[0])


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_the_guide_has_every_input_and_output(kind):
    """`docs/github.md` has a table of each, in the order of `action.yml`."""
    section = re.search(rf"^## {kind.title()}\n(.*?)(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)
    assert section
    assert re.findall(r"^\| ?`([\w-]+)` ?\|", section[1], re.MULTILINE) == list(ACTION[kind])


# --- a cancelled job -------------------------------------------------------------------------------------

CANCELS = """#!/bin/sh
    case "$1 $2" in
      "image inspect") kill -INT "$PPID"; sleep 0.2 ;;
      "run "*) touch "$(dirname "$0")/started" ;;
    esac
"""


def test_a_job_that_is_cancelled_before_its_container_starts_does_not_start_it(tmp_path):
    """Bash heeds a signal after the program that it waits for: the image is there then, and nothing was attended."""
    docker, workspace = tmp_path / "docker", tmp_path / "workspace"
    docker.write_text(CANCELS)
    docker.chmod(0o755)
    workspace.mkdir()
    environ = dict.fromkeys(STEPS[0]["env"], "")
    environ |= {"INPUT_VERSION": "evalwire:1", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environ |= {
        "GITHUB_WORKSPACE": str(workspace),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "out"),
    }
    done = subprocess.run(
        [ROOT / "action" / "run.sh"],
        env=environ,
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text().splitlines()[-1] == "exit-code=143"
    assert not (tmp_path / "started").exists()


# --- what the container left -----------------------------------------------------------------------------


@pytest.fixture
def publish(tmp_path):
    """Publish as the action does, what a container left; the outputs, the summary, and what is said to the runner."""

    def run(exit_code="1", outputs="outcome=passed\npassed=true\n", annotations=""):
        files, workspace = tmp_path / "files", tmp_path / "workspace"
        for folder in (files, workspace / "test-results"):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("outputs", outputs), ("annotations", annotations)):
            if text is not None:
                (files / name).write_text(text)
        written = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary"}
        for path in written.values():
            path.write_text("")
        environ = {
            "PATH": os.environ["PATH"],
            "EXIT_CODE": exit_code,
            "CONTAINER": "",
            "FILES": str(files),
            "REPORT_DIR": str(workspace / "test-results"),
            "GITHUB_WORKSPACE": str(workspace),
            **{name: str(path) for name, path in written.items()},
        }
        ended = subprocess.run([ROOT / "action" / "publish.sh"], env=environ, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        lines = written["GITHUB_OUTPUT"].read_text().splitlines()
        assert len(lines) == len(ACTION["outputs"])
        found = dict(line.split("=", 1) for line in lines)
        return found, written["GITHUB_STEP_SUMMARY"].read_text(), ended.stdout.splitlines()

    return run


@pytest.mark.parametrize(
    ("exit_code", "outputs", "outcome", "passed"),
    [
        ("0", "outcome=passed\npassed=true\n", "passed", "true"),
        ("1", "outcome=errors\npassed=false\n", "errors", "false"),
        ("137", "outcome=passed\npassed=true\n", "error", "false"),
        ("", "outcome=passed\npassed=true\n", "error", "false"),
        ("0", "outcome=errors\npassed=true\n", "errors", "false"),
        ("0", "outcome=passed\n", "passed", "false"),
        ("0", "passed=true\n", "error", "false"),
        ("0", None, "error", "false"),
    ],
)
def test_nothing_passed_unless_all_say_so(publish, exit_code, outputs, outcome, passed):
    """The exit code, the outcome and the verdict."""
    found, _, _ = publish(exit_code, outputs)
    assert (found["outcome"], found["passed"]) == (outcome, passed)


FORGED = "x\npassed=true\noutcome=passed\nfailed-count=0"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85\n"])
def test_no_name_of_a_file_forges_an_output(publish, tmp_path, end):
    """A link that user code makes in the report folder leads to a name of several lines."""
    reports = tmp_path / "workspace" / "test-results"
    reports.mkdir(parents=True)
    forged = reports / FORGED.replace("\n", end)
    forged.write_text("{}")
    (reports / "results.json").symlink_to(forged.name)
    found, _, _ = publish(outputs=f"outcome=errors\nresults-json={reports}/results.json\nfailed-count=4\rpassed=true\n")
    assert (found["passed"], found["outcome"], found["results-json"]) == ("false", "errors", "")
    assert found["failed-count"] == "4 passed=true"


@pytest.mark.parametrize("name", ["REPORT_DIR", "SHARD", "VERSION"])
def test_no_input_forges_an_output(tmp_path, name):
    """Of a workflow that takes it from a pull request's title, say."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    environ = dict.fromkeys(STEPS[0]["env"], "") | {"INPUT_VERSION": "evalwire:1", "RUNNER_TEMP": str(tmp_path)}
    environ |= {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GITHUB_WORKSPACE": str(tmp_path)}
    environ |= {"GITHUB_OUTPUT": str(tmp_path / "out"), f"INPUT_{name}": f"a{FORGED}"}
    done = subprocess.run([ROOT / "action" / "run.sh"], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = [line.split("=", 1)[0] for line in re.split(r"\r\n|\r|\n", (tmp_path / "out").read_text())]
    assert "passed" not in outputs
    assert "outcome" not in outputs
    assert outputs.count("exit-code") == 1


def test_only_known_outputs_are_taken(publish):
    """The users' code could write the file: no other name, no second value, no value of several lines."""
    found, _, _ = publish("1", "outcome=errors\nother=1\noutcome=passed\nfailed-count<<E\n1\nE\nfailed-count=3\n")
    assert found == {
        **dict.fromkeys(ACTION["outputs"], ""),
        "outcome": "errors",
        "passed": "false",
        "failed-count": "3",
    }


def test_only_reports_are_taken(publish, tmp_path):
    """A file elsewhere, or a link to one, is not shown to everybody who sees the page of the run."""
    secret, reports = tmp_path / "secret", tmp_path / "workspace" / "test-results"
    secret.write_text("the secret")
    reports.mkdir(parents=True)
    (reports / "link.md").symlink_to(secret)
    (reports / "summary.md").write_text("## FAILED\n")
    for path in (secret, "../secret", "test-results/link.md", "test-results/../../secret", "test-results", "gone.md"):
        found, summary, _ = publish("1", f"outcome=errors\nsummary={path}\n")
        assert found["summary"] == "", path
        assert "There is no report" in summary
    found, summary, _ = publish("1", "outcome=errors\nsummary=test-results/summary.md\n")
    assert found["summary"] == str(reports / "summary.md")
    assert summary.startswith("## FAILED")


def test_only_annotations_are_said(publish):
    """No other command, and none behind a control character."""
    good = ["::error file=a.py,line=1,title=a::b", "::warning title=a::b", "::error::b"]
    bad = [
        "::add-mask::a",
        "::error title=a::b\r::add-mask::a",
        "said",
        "::set-env name=A::b",
        "::errors::b",
        " ::error::",
    ]
    _, _, said = publish("1", annotations="\n".join([*bad, *good, ""]))
    assert said == good
    _, _, said = publish("1", annotations="::error::b\n" * 500)
    assert len(said) == 50


def test_a_command_without_a_report_says_nothing(publish):
    """`upload` is no failure, though it leaves none of all this."""
    assert publish("0", None, None)[1:] == ("", [])


# --- the comment -----------------------------------------------------------------------------------------


@pytest.fixture
def github(monkeypatch):
    monkeypatch.setattr(comment, "WAITS_SECONDS", (0, 0, 0))
    with fake_github() as served:
        yield served


@pytest.fixture
def write(github, tmp_path, capsys):
    """Write the comment as the action does; what it says to the runner."""

    def run(summary="## PASSED\n", event=None, **environ):
        files = {name: tmp_path / name for name in ("event.json", "summary.md")}
        files["event.json"].write_text(json.dumps(event or {"pull_request": {"number": NUMBER}}))
        files["summary.md"].unlink(missing_ok=True)
        if summary is not None:
            files["summary.md"].write_text(summary)
        given = {
            "COMMENT_KEY": "CI evaluate",
            "EXIT_CODE": "0",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "team/bot",
            "GITHUB_RUN_ID": "123",
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_TOKEN": TOKEN,
            **environ,
        }
        comment.main(given, files["event.json"], files["summary.md"])
        return list(commands(capsys.readouterr().out))

    return run


def test_a_comment_is_written_once_and_then_updated(github, write):
    """The second run of a job replaces what the first one said."""
    assert write("## FAILED\n") == []
    assert write("## PASSED\n") == []
    (body,) = github.bodies()
    assert body.startswith("<!-- evalwire:CI evaluate -->\n## PASSED\n")
    assert body.endswith("[The job](https://git.example/team/bot/actions/runs/123)\n")


def test_it_is_found_on_any_page(github, write):
    """Behind hundreds of comments by people it is still the one that is updated."""
    for number in range(250):
        github.add(f"comment {number}", by="User")
    write("first")
    github.requests.clear()
    write("second")
    assert len(github.bodies()) == 1
    assert "second" in github.bodies()[0]
    assert [request.split()[0] for request in github.requests] == ["GET"] * 3 + ["PATCH"]


def test_jobs_have_comments_of_their_own(github, write):
    """Another key is another comment, and no key ends the marker."""
    for key in ("a", "b", "a --> <b>", "a"):
        write("text", COMMENT_KEY=key)
    assert [body.splitlines()[0] for body in github.bodies()] == [
        "<!-- evalwire:a -->",
        "<!-- evalwire:b -->",
        "<!-- evalwire:a --%3E %3Cb%3E -->",
    ]


def test_a_persons_comment_is_not_touched(github, write):
    """A marker in a person's comment, or a bot's that quotes it, would let others choose where the job writes."""
    marker = "<!-- evalwire:CI evaluate -->"
    github.add(f"{marker}\nmine", by="User")
    github.add(f"> {marker}")
    write("ours")
    assert github.bodies(by="User") == [f"{marker}\nmine"]
    assert [("ours" in body) for body in github.bodies()] == [False, True]


def test_a_long_summary_is_cut_at_a_line(github, write):
    """GitHub would refuse the whole comment."""
    lines = [f"- line {number} ä{'x' * 50}" for number in range(2_000)]
    assert write("\n".join(lines)) == []
    (body,) = github.bodies()
    assert 60_000 < len(body.encode()) <= 65_536
    kept, _, rest = body.partition("\n\n*The rest is too long for a comment.*")
    assert rest.startswith("\n\n[The job]")
    assert kept.splitlines()[1:] == lines[: len(kept.splitlines()) - 1]


@pytest.mark.parametrize("status", [403, 404])
def test_a_token_that_may_not_write_is_a_warning(github, write, status):
    """A pull request from a fork: it is said what is missing, and no job is red for it."""
    github.failures = [(status, "Resource not accessible by integration")]
    (said,) = write()
    assert said.startswith("::warning title=evalwire::Cannot write the comment on pull request 7")
    assert f"HTTP {status}: Resource not accessible by integration" in said
    assert "`permissions: pull-requests: write`" in said
    assert "fork" in said
    assert github.bodies() == []


def test_a_fault_of_githubs_is_tried_again(github, write):
    """A 502, and a rate limit, pass."""
    github.failures = [(502, "Bad Gateway"), (429, "Too Many Requests")]
    assert write() == []
    assert len(github.bodies()) == 1


def test_a_comment_whose_answer_is_lost_is_not_written_twice(github, write):
    """GitHub may have done what it answered with an error."""
    github.failures, github.loses = [(502, "Bad Gateway")], True
    assert write() == []
    assert len(github.bodies()) == 1


def test_a_github_that_stays_away_is_a_warning(github, write):
    """After a few tries the job goes on without the comment."""
    github.failures = [(503, "down\n::error::from the outside")] * 9
    (said,) = write()
    assert said.startswith("::warning title=evalwire::")
    assert "HTTP 503: down%0A" in said
    assert len(github.requests) == 4


def test_another_refusal_is_told_as_it_is(github, write):
    """A locked pull request is no matter of permissions, and is not tried again."""
    github.failures = [(422, "Unable to create comment because issue is locked.")]
    (said,) = write()
    assert "issue is locked" in said
    assert "permissions" not in said
    assert len(github.requests) == 1


def test_without_a_pull_request_there_is_no_comment(github, write):
    """A push has none; a comment's event names the pull request as an issue."""
    assert write(event={"ref": "refs/heads/main"}) == [
        "::notice title=evalwire::No comment was written: this job does not run for a pull request."
    ]
    assert write(event={"issue": {"number": 8}})[0].startswith("::notice")
    assert github.requests == []
    assert write(event={"issue": {"number": NUMBER, "pull_request": {}}}) == []
    assert len(github.bodies()) == 1


@pytest.mark.parametrize(("code", "said"), [("2", "ended with exit code 2"), ("", "did not finish")])
def test_a_job_without_a_report_replaces_what_an_earlier_one_said(github, write, code, said):
    """Else a pull request would still show that it passed."""
    write("## PASSED\n")
    write(None, EXIT_CODE=code)
    (body,) = github.bodies()
    assert f"## evalwire: {said}\n" in body
    assert "PASSED" not in body


def test_the_token_is_not_shown():
    """Not in a traceback's locals either."""
    github = comment.GitHub(url="https://api.example", repository="team/bot", token=TOKEN)
    assert TOKEN not in repr(github)
