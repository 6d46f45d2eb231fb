"""What `docker run evalwire` does, against Phoenix servers in containers."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.image

PROJECTS = Path(__file__).parent / "projects"
STRANGER = ("--user", "54321:54321")  # no entry in /etc/passwd, not in group 0


def _experiments(phoenix):
    """The IDs of the experiments that this Phoenix has on the dataset of these tests, which run side by side."""
    with urllib.request.urlopen(f"{phoenix.url}/v1/datasets?name=greeting", timeout=10) as answer:
        dataset = json.load(answer)["data"][0]["id"]
    with urllib.request.urlopen(f"{phoenix.url}/v1/datasets/{dataset}/experiments", timeout=10) as answer:
        return {experiment["id"] for experiment in json.load(answer)["data"]}


def _report_folder(tmp_path, mode):
    folder = tmp_path / "reports"
    folder.mkdir()
    folder.chmod(mode)
    return folder, ("-v", f"{folder}:/reports", *STRANGER)


# --- exit codes ----------------------------------------------------------------------------------------


def test_success_exits_0(evalwire, phoenix, project):
    """A project that passes exits 0, with its table on stdout and its experiment in Phoenix."""
    before = _experiments(phoenix)
    finished = evalwire(options=(*phoenix.options, *project("passing")))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("PASSED: 1 experiment, 3 examples, none failed")
    assert any(f"experimentId={one}\n" in finished.stdout for one in _experiments(phoenix) - before)


def test_a_failing_task_exits_1(evalwire, phoenix, project):
    """One example whose task raises fails the job, which names the example and the error."""
    finished = evalwire(options=(*phoenix.options, *project("failing")))
    assert finished.returncode == 1
    assert finished.stdout.startswith("FAILED: 1 experiment, 3 examples")
    assert "Grace" in finished.stdout
    assert "LookupError: nobody of that name" in finished.stdout


def test_an_unknown_flag_exits_2(evalwire, project):
    """Wrong use exits 2, before anything runs."""
    finished = evalwire("run", "--no-such-flag", options=project("passing"))
    assert finished.returncode == 2
    assert "--no-such-flag" in finished.stderr


def test_nothing_mounted_exits_1(evalwire):
    """A job without its mount is red, and says what it looked for."""
    finished = evalwire()
    assert finished.returncode == 1
    assert "no experiment in /work/experiments/" in finished.stderr
    assert "mount your experiments there" in finished.stderr


@pytest.mark.alone
@pytest.mark.parametrize(
    ("command", "grace_seconds", "code"),
    [
        # test_signals_image.py has one with 200 tasks in flight
        pytest.param(("stop",), None, 143, marks=pytest.mark.slow, id="docker stop"),
        pytest.param(("kill", "-s", "TERM"), "1", 143, id="SIGTERM"),
        pytest.param(("kill", "-s", "INT"), "1", 130, id="SIGINT"),
    ],
)
def test_an_interrupted_job_says_what_it_did(docker, image, phoenix, project, command, grace_seconds, code):
    """The signal reaches evalwire as PID 1, which ends before Docker would kill it, and reports what was finished."""
    grace = ("-e", f"EVALWIRE_GRACE_SECONDS={grace_seconds}") if grace_seconds else ()
    options = ("--label", docker.label, *grace, *phoenix.options, *project("slow"))
    container = docker("run", "-d", *options, image).stdout.strip()
    deadline = time.monotonic() + 30
    while docker("logs", container).stdout.count("waiting") < 2:
        assert time.monotonic() < deadline, docker("logs", container)
        time.sleep(0.2)
    began = time.monotonic()
    docker(*command, container)
    docker("wait", container, timeout=15)
    took = time.monotonic() - began
    logs = docker("logs", container)
    state = json.loads(docker("inspect", "-f", "{{json .State}}", container).stdout)
    assert state["ExitCode"] == code
    assert took < 10  # what `docker stop` gives
    assert "INTERRUPTED: 1 experiment, 3 examples" in logs.stdout
    assert "2 not run" in logs.stdout
    assert "FAILED, 1/3" in logs.stderr


# --- where it writes -----------------------------------------------------------------------------------


def test_a_read_only_root_is_enough(evalwire, phoenix, project):
    """With nothing to write but /tmp and no capability a run passes, and says that it writes no report."""
    locked_down = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    finished = evalwire(options=(*locked_down, *phoenix.options, *project("passing")))
    assert finished.returncode == 0, finished.stderr
    assert "No report and no journal will be written" in finished.stderr


def test_any_user_may_run_it(evalwire, phoenix, project, tmp_path):
    """A user that the image has never heard of gets the report, as its own file."""
    folder, options = _report_folder(tmp_path, 0o777)
    finished = evalwire("--report-dir", "/reports", options=(*options, *phoenix.options, *project("passing")))
    assert finished.returncode == 0, finished.stderr
    report = folder / "results.json"
    assert (report.stat().st_uid, report.stat().st_gid) == (54321, 54321)
    assert json.loads(report.read_text())["outcome"] == "passed"


def test_a_report_folder_that_was_asked_for_must_be_writable(evalwire, project, tmp_path):
    """A report that cannot be written is found before anything runs, with advice on who must own the folder."""
    _, options = _report_folder(tmp_path, 0o755)
    finished = evalwire("--report-dir", "/reports", options=(*options, *project("passing")))
    assert finished.returncode == 2
    assert "cannot write to the report directory /reports" in finished.stderr
    assert "owned by user 54321" in finished.stderr


def test_nothing_is_written_beside_the_experiments(evalwire, phoenix, tmp_path):
    """Where it could write it does not: no bytecode, no `__init__.py`."""
    folder = tmp_path / "experiments"
    shutil.copytree(PROJECTS / "passing", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    before = sorted(folder.rglob("*"))
    finished = evalwire(options=(*phoenix.options, "-v", f"{folder}:/work/experiments"))
    assert finished.returncode == 0, finished.stderr
    assert sorted(folder.rglob("*")) == before


# --- credentials ---------------------------------------------------------------------------------------


def test_a_wrong_key_is_named_and_not_shown(evalwire, locked_phoenix, project, tmp_path):
    """A refused key exits 1 naming PHOENIX_API_KEY; its value is in no output and no report."""
    folder, options = _report_folder(tmp_path, 0o777)
    options = (*options, "-e", "EVALWIRE_REPORT_DIR=/reports", *locked_phoenix.options, *project("passing"))
    finished = evalwire("run", "--verbose", options=options, PHOENIX_API_KEY="a-wrong-key-0123456789")
    assert finished.returncode == 1
    assert "PHOENIX_API_KEY" in finished.stdout
    report = (folder / "results.json").read_text()
    assert json.loads(report)["outcome"] == "infrastructure"
    assert "a-wrong-key" not in finished.stdout + finished.stderr + report


def test_the_right_key_passes(evalwire, locked_phoenix, project, admin_secret):
    """PHOENIX_API_KEY is what Phoenix wants, and stays out of the output."""
    finished = evalwire(options=(*locked_phoenix.options, *project("passing")), PHOENIX_API_KEY=admin_secret)
    assert finished.returncode == 0, finished.stdout
    assert admin_secret not in finished.stdout + finished.stderr


def test_a_key_may_be_in_a_file(evalwire, locked_phoenix, project, admin_secret, tmp_path):
    """PHOENIX_API_KEY_FILE names a mounted secret."""
    (tmp_path / "key").write_text(f"{admin_secret}\n")
    (tmp_path / "key").chmod(0o644)
    secret = ("-v", f"{tmp_path / 'key'}:/run/secrets/phoenix:ro", "-e", "PHOENIX_API_KEY_FILE=/run/secrets/phoenix")
    finished = evalwire(options=(*secret, *locked_phoenix.options, *project("passing")))
    assert finished.returncode == 0, finished.stdout
    assert admin_secret not in finished.stdout + finished.stderr


def test_an_absent_phoenix_is_reported_soon(evalwire, project):
    """Where nobody listens the job gives up within its limits, names the address, and exits 1."""
    limits = {"EVALWIRE_FETCH_ATTEMPTS": "3", "EVALWIRE_FETCH_TIMEOUT_SECONDS": "5"}
    began = time.monotonic()
    finished = evalwire(options=project("passing"), PHOENIX_ENDPOINT="http://127.0.0.1:9", **limits)
    assert time.monotonic() - began < 15
    assert finished.returncode == 1
    assert "Phoenix at http://127.0.0.1:9 could not be reached" in finished.stdout
    assert "attempt 3 of 3" in finished.stderr
