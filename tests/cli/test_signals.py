"""SIGINT and SIGTERM, sent to a real process: what is in flight is finished and recorded, the rest is said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from faults import Fault, FaultyPhoenix
from nightly import mostly_nightly

pytestmark = pytest.mark.needs_phoenix

SLOW = """
    import asyncio, pathlib

    async def task(example):
        pathlib.Path("started").touch()
        await asyncio.sleep({seconds})
        return "done"
"""


def start(project, name: str, *, seconds: float, task: str = SLOW, **environ: str) -> subprocess.Popen[str]:
    """Start a run and wait until its first task runs."""
    project.experiment(name, task=task.format(seconds=seconds))
    process = project.start("run", "--task-concurrency", "2", **environ)
    deadline = time.monotonic() + 60
    while not (project.directory / "started").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "code"), mostly_nightly([(signal.SIGTERM, 143), (signal.SIGINT, 130)]))
def test_what_is_in_flight_is_finished_and_recorded(phoenix_project, client, make_dataset, number, code):
    name = make_dataset(50)
    process = start(phoenix_project, name, seconds=1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, (out, err)
    assert out.startswith("INTERRUPTED: 1 experiment, 50 examples")
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("interrupted", code)
    (entry,) = report["experiments"]
    assert 0 < len(entry["runs"]) < 10
    assert entry["not_run"] == 50 - len(entry["runs"])
    recorded = client.experiments.get(experiment_id=entry["experiment_id"])
    assert recorded["successful_run_count"] == len(entry["runs"])


EXITS_AT = """
    import asyncio, pathlib, signal, sys

    signal.signal(signal.{name}, lambda *_: sys.exit(0))  # as many applications do when they are imported

    async def task(example):
        pathlib.Path("started").touch()
        await asyncio.sleep({{seconds}})
        return "done"
"""


def test_a_handler_that_user_code_sets_does_not_replace_evalwires(phoenix_project, make_dataset):
    """`sys.exit(0)` in it would be a green pipeline, without a report."""
    process = start(phoenix_project, make_dataset(50), seconds=1, task=EXITS_AT.format(name="SIGTERM"))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, (out, err)
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 143)
    assert report["experiments"][0]["runs"]


def test_a_handler_of_another_signal_that_exits_with_0_is_no_success(phoenix_project, make_dataset):
    """Evalwire leaves the handler alone; what it raises on the main thread interrupts the job."""
    process = start(phoenix_project, make_dataset(50), seconds=1, task=EXITS_AT.format(name="SIGALRM"))
    process.send_signal(signal.SIGALRM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, (out, err)
    assert "a signal handler of your code called sys.exit(0)" in err
    assert out.startswith("INTERRUPTED: 1 experiment, 50 examples")
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 1)
    assert report["experiments"][0]["runs"]


def test_the_grace_period_is_kept(phoenix_project, make_dataset):
    """A task that takes longer is given up, and the process ends soon."""
    process = start(phoenix_project, make_dataset(5), seconds=120, EVALWIRE_GRACE_SECONDS="1")
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("hangs", mostly_nightly(["everything", "PATCH"]))
def test_a_phoenix_that_takes_its_time_does_not_cost_the_report(phoenix_project, phoenix_url, make_dataset, hangs):
    """`docker stop` kills ten seconds after it has asked: of what is asked after the grace period, nothing waits."""
    with FaultyPhoenix(phoenix_url).serving() as proxy:
        where = {"PHOENIX_ENDPOINT": proxy.url, "EVALWIRE_GRACE_SECONDS": "1"}
        process = start(phoenix_project, make_dataset(5), seconds=120, **where)
        proxy.rule = lambda method, _: Fault(hang=True) if hangs in ("everything", method) else None
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 143, (out, err)
        assert time.monotonic() - began < 20
    assert out.startswith("INTERRUPTED: 1 experiment, 5 examples")
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert report["outcome"] == "interrupted"


def test_a_signal_while_outcomes_are_recorded_keeps_the_whole_report(phoenix_project, phoenix_url, make_dataset):
    """All has run by then: the results and the gates are in the report, though Phoenix does not take the outcome."""
    with FaultyPhoenix(
        phoenix_url, lambda method, _: Fault(hang=True) if method == "PATCH" else None
    ).serving() as proxy:
        process = start(phoenix_project, make_dataset(3), seconds=0, PHOENIX_ENDPOINT=proxy.url)
        deadline = time.monotonic() + 60
        while not proxy.count("PATCH", "/experiments/"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 143, (out, err)
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 143)
    (entry,) = report["experiments"]
    assert (len(entry["runs"]), entry["not_run"]) == (3, 0)


def test_an_exit_that_user_code_asks_for_while_outcomes_are_recorded_is_no_success(
    phoenix_project, phoenix_url, make_dataset
):
    """Beside the engine nothing is in flight; the exit code 0 of the handler is not the job's."""
    with FaultyPhoenix(
        phoenix_url, lambda method, _: Fault(hang=True) if method == "PATCH" else None
    ).serving() as proxy:
        task = EXITS_AT.format(name="SIGALRM")
        process = start(phoenix_project, make_dataset(3), seconds=0, task=task, PHOENIX_ENDPOINT=proxy.url)
        deadline = time.monotonic() + 60
        while not proxy.count("PATCH", "/experiments/"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGALRM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1, (out, err)
    assert "a signal handler of your code called sys.exit(0), so the job is interrupted" in err
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 1)


@pytest.mark.parametrize(
    "task",
    mostly_nightly(
        [
            "import pathlib, time\n\ndef task(input):\n    pathlib.Path('started').touch()\n    time.sleep({seconds})\n",
            "import pathlib, time\n\nasync def task(e):\n    pathlib.Path('started').touch()\n    time.sleep({seconds})\n",
        ],
    ),
    ids=["plain", "blocking"],
)
def test_code_that_cannot_be_interrupted_does_not_keep_the_process(phoenix_project, make_dataset, task):
    process = start(phoenix_project, make_dataset(5), seconds=120, task=task, EVALWIRE_GRACE_SECONDS="1")
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert out.startswith("INTERRUPTED")
    assert time.monotonic() - began < 20


def test_a_second_signal_ends_it_at_once(phoenix_project, make_dataset):
    process = start(phoenix_project, make_dataset(5), seconds=120, EVALWIRE_GRACE_SECONDS="60")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 20


ENDS_LATE = """
    import contextlib, os, signal, sys, time
    import evalwire.cli.commands.run
    from evalwire.cli import main

    reachable = evalwire.cli.commands.run.reachable_phoenix

    @contextlib.contextmanager
    def ends_late(*arguments, **options):
        with reachable(*arguments, **options) as phoenix:
            yield phoenix
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    evalwire.cli.commands.run.reachable_phoenix = ends_late
    sys.exit(main(["run"]))
"""


def test_a_signal_while_the_local_phoenix_is_ended_does_not_cost_the_report(phoenix_project, make_dataset):
    """The job is over then, and what it came to has been told."""
    phoenix_project.experiment(make_dataset(2))
    script = phoenix_project.directory / "late.py"
    script.write_text(textwrap.dedent(ENDS_LATE))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=phoenix_project.directory,
        env=phoenix_project.environ,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout.startswith("PASSED"), (done.stdout, done.stderr)
    assert done.returncode == 0
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], len(report["experiments"][0]["runs"])) == ("passed", 2)


def test_a_signal_during_an_import_ends_it(phoenix_project):
    task = "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep({seconds})\n"
    process = start(phoenix_project, "any", seconds=120, task=task)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err


def test_a_thread_that_user_code_left_behind_does_not_keep_the_process(phoenix_project, make_dataset):
    """The verdict stands, and the process ends with its exit code."""
    task = (
        "import threading, time\n\nasync def task(example):\n"
        "    threading.Thread(target=time.sleep, args=(300,)).start()\n    return 1\n"
    )
    began = time.monotonic()
    done = phoenix_project.experiment(make_dataset(1), task=task).run_process("run")
    assert done.returncode == 0
    assert time.monotonic() - began < 60
