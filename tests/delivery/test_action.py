"""The GitHub Action, without its container: what `action.yml` declares, and the comment on a pull request."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from evalwire.phoenix import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLES

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
SCRIPTS = {path.name: path.read_text() for path in sorted((ROOT / "action").glob("*.sh"))}
GUIDE = (ROOT / "docs" / "github.md").read_text()


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
        assert "No report was written" in summary
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

RECORDS = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >"$(dirname "$0")/words"
for word; do case $word in *target=/summary.md*) file=${word#*source=}; cat "${file%%\\"*}" >"$(dirname "$0")/posted" ;; esac; done
exit "${DOCKER_CODE:-0}"
"""


@pytest.fixture
def comment(tmp_path):
    """Comment as the action does; the arguments of docker, the text that its container has, and what is said."""

    def run(**given):
        docker = tmp_path / "docker"
        docker.write_text(RECORDS)
        docker.chmod(0o755)
        (tmp_path / "summary.md").write_text("## PASSED\n")
        environ = {
            "EXIT_CODE": "0",
            "GITHUB_EVENT_PATH": "/event of the runner.json",
            "GITHUB_JOB": "evaluate",
            "GITHUB_TOKEN": "a-token-of-these-tests",
            "GITHUB_WORKFLOW": "CI",
            "IMAGE": "evalwire:1",
            "INPUT_COMMENT": "true",
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "PLACE": "test-results ",
            "RUNNER_TEMP": str(tmp_path),
            "SUMMARY": str(tmp_path / "summary.md"),
            **given,
        }
        done = subprocess.run([ROOT / "action" / "comment.sh"], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        words, posted = tmp_path / "words", tmp_path / "posted"
        return words.read_text().splitlines() if words.exists() else [], posted, done.stdout

    return run


def test_the_container_of_the_comment_has_the_token_and_no_workspace(comment):
    words, posted, said = comment()
    assert words[words.index("evalwire:1") :] == [
        *("evalwire:1", "-I", "-m", "evalwire", "comment"),
        *("--key=CI evaluate test-results ", "/summary.md"),
    ]
    assert words[words.index("GITHUB_TOKEN") - 1] == "--env"
    assert "a-token-of-these-tests" not in " ".join(words)
    mounts = [words[index + 1] for index, word in enumerate(words) if word == "--mount"]
    assert len(mounts) == 2
    assert all(mount.endswith(",readonly") for mount in mounts)
    assert (posted.read_text(), said) == ("## PASSED\n", "")


@pytest.mark.parametrize(("code", "said"), [("2", "ended with exit code 2"), ("", "did not finish")])
def test_a_job_without_a_report_comments_how_it_ended(comment, code, said):
    _, posted, _ = comment(EXIT_CODE=code, SUMMARY="")
    assert posted.read_text().startswith(f"## evalwire: {said}\n")


def test_a_comment_is_posted_only_when_asked_for_and_possible(comment):
    assert comment(INPUT_COMMENT="false")[0] == []
    words, _, said = comment(IMAGE="")
    assert (words, said[:11]) == ([], "::warning t")
    assert "--key=gpt-4o" in comment(INPUT_COMMENT="gpt-4o")[0]
    assert comment(DOCKER_CODE="1")[2] == ""
    assert comment(DOCKER_CODE="125")[2].startswith("::warning title=evalwire::Cannot write the comment")
