"""A job whose process user code, the kernel or a crash ends: red, told, with a report, and nothing runs twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest
from faults import Fault, FaultyPhoenix
from nightly import mostly_nightly
from postgres import free_port

from conftest import EVALWIRE

pytestmark = pytest.mark.needs_phoenix

ENDS_0 = {
    "atexit": "import atexit, os\natexit.register(lambda: os._exit(0))\n\nasync def task(e):\n    raise RuntimeError('no')\n",
    "posix": "import posix\n\nasync def task(e):\n    posix._exit(0)\n",
    "ctypes": "import ctypes\n\ndef task(e):\n    ctypes.CDLL(None)._exit(0)\n",
    "execv": "import os\n\ndef task(input):\n    os.execv('/bin/true', ['true'])\n",
    "daemon": "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\n\ndef task(input):\n    return 1\n",
    "import": "import posix\nposix._exit(0)\n",
}


def report_of(project):
    return json.loads((project.directory / "test-results/results.json").read_text())


@pytest.mark.parametrize("how", mostly_nightly(list(ENDS_0)))
def test_a_process_that_ends_with_0_behind_evalwires_back_is_red(phoenix_project, make_dataset, how):
    done = phoenix_project.experiment(make_dataset(3), task=ENDS_0[how]).run_process("run")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stderr.count("evalwire: the process ended with exit code 0") == (how != "daemon")
    report = report_of(phoenix_project)
    assert (report["outcome"], report["exit_code"]) == ("errors" if how == "atexit" else "interrupted", 1)


def test_a_passed_job_stays_green_where_user_code_ends_the_process_with_0_afterwards(phoenix_project, make_dataset):
    """A known way around libraries that hang at exit."""
    task = "import atexit, os\natexit.register(lambda: os._exit(0))\n\nasync def task(e):\n    return 1\n"
    assert phoenix_project.experiment(make_dataset(1), task=task).run_process("run").returncode == 0


KILLED = """
    import {module}, time

    def task(input):
        if input["q"] == "question 2":
            time.sleep(1)  # the others are in the journal by then
            {call}
        return input["q"]
"""


@pytest.mark.parametrize(
    ("module", "call", "code", "why"),
    mostly_nightly(
        [
            ("os", "os.kill(os.getpid(), 9)", 137, "killed by SIGKILL (out of memory?)"),
            ("ctypes", "ctypes.string_at(0)", 139, "killed by SIGSEGV (native code?)"),
        ]
    ),
)
def test_a_kill_is_told_with_what_is_left_and_has_a_report(phoenix_project, make_dataset, module, call, code, why):
    phoenix_project.experiment(make_dataset(3), task=KILLED.format(module=module, call=call))
    done = phoenix_project.run_process("run")
    assert done.returncode == code, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"evalwire: {why}; 2 results are in the journal: evalwire resume test-results/journal_")
    report = report_of(phoenix_project)
    assert (report["outcome"], report["exit_code"], report["experiments"]) == ("interrupted", code, [])
    assert report["journal"] in last
    assert {"evalwire.xml", "summary.md", "report.html"} <= {
        path.name for path in (phoenix_project.directory / "test-results").iterdir()
    }
    phoenix_project.write(dict.fromkeys(tasks(phoenix_project), "def task(input):\n    return input['q']\n"))
    resumed = phoenix_project.run("resume", "--accept-changes", last.rpartition(" ")[2])
    assert resumed.returncode == 0, resumed.stderr


def tasks(project):
    return [str(path.relative_to(project.directory)) for path in project.experiments.glob("*/task.py")]


def test_a_crash_after_the_verdict_keeps_the_results_and_is_red(phoenix_project, make_dataset):
    """Native code that crashes when the interpreter ends; its report says so too."""
    task = "import atexit, os\natexit.register(lambda: os.kill(os.getpid(), 11))\n\nasync def task(e):\n    return 1\n"
    done = phoenix_project.experiment(make_dataset(2), task=task).run_process("run")
    assert done.returncode == 139, done.stderr
    assert done.stderr.splitlines()[-1] == "evalwire: killed by SIGSEGV (native code?)"
    report = report_of(phoenix_project)
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 139)
    assert len(report["experiments"][0]["runs"]) == 2


def test_an_earlier_report_does_not_outlive_a_kill(phoenix_project, make_dataset):
    name = make_dataset(1)
    assert phoenix_project.experiment(name).run("run").returncode == 0
    phoenix_project.experiment(name, task=ENDS_0["import"])
    assert phoenix_project.run_process("run").returncode == 1
    report = report_of(phoenix_project)
    assert (report["outcome"], report["experiments"]) == ("interrupted", [])


def test_an_exit_that_a_signal_handler_asks_for_beside_a_job_is_no_success(phoenix_project, phoenix_url, make_dataset):
    """`check` imports user code and then waits for its dataset."""
    task = """
        import signal, sys
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
        signal.setitimer(signal.ITIMER_REAL, 2)

        async def task(example):
            return 1
    """
    seen: list[str] = []

    def hang_later(method: str, _: str) -> Fault | None:
        seen.append(method)
        return Fault(hang=True) if seen.count("GET") > 1 else None  # the first asks for the server's version

    phoenix_project.experiment(make_dataset(1), task=textwrap.dedent(task))
    with FaultyPhoenix(phoenix_url, hang_later).serving() as proxy:
        done = phoenix_project.run_process("check", PHOENIX_ENDPOINT=proxy.url)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "evalwire: a signal handler of your code called sys.exit(0)" in done.stderr


FORKS = {
    "async": "async def task(e):\n    {fork}\n    await asyncio.sleep(0.2)\n    return note(e.input['q'])\n",
    "async, at once": "async def task(e):\n    {fork}\n    return note(e.input['q'])\n",
    "plain": "def task(input):\n    {fork}\n    return note(input['q'])\n",
    "import": "{fork}\n\ndef task(input):\n    return note(input['q'])\n",
    "exit": "def task(input):\n    {fork}\n    note(input['q'])\n    if not forked:\n        raise SystemExit(0)\n    return 1\n",
    "handler": "import signal\nsignal.signal(signal.SIGALRM, lambda *_: os.fork())\nsignal.setitimer(signal.ITIMER_REAL, 1)\n\nasync def task(e):\n    await asyncio.sleep(3)\n    return note(e.input['q'])\n",
}
HEAD = "import asyncio, os, pathlib\n\nforked = 1\n\ndef note(q):\n    with open('calls', 'a') as file:\n        file.write(f'{q} {os.getpid()}\\n')\n    return q\n\n"


@pytest.mark.parametrize("where", mostly_nightly(list(FORKS)))
def test_a_process_that_user_code_forks_does_not_run_the_job(phoenix_project, client, make_dataset, where):
    """Each call is made once by the job itself, each run is recorded once, and nobody is left behind."""
    fork = "global forked; forked = os.fork()" if where not in ("import", "handler") else "forked = os.fork()"
    name = make_dataset(4)
    phoenix_project.experiment(name, task=HEAD + FORKS[where].format(fork=fork))
    done = phoenix_project.run_process("run")  # waits for whoever holds its streams
    assert done.returncode == 0, (done.stdout, done.stderr)
    report = report_of(phoenix_project)
    (entry,) = report["experiments"]
    assert len(entry["runs"]) == 4
    calls = [line.rsplit(" ", 1) for line in (phoenix_project.directory / "calls").read_text().splitlines()]
    (job,) = {pid for _, pid in calls if sum(other == pid for _, other in calls) == 4} or {None}
    assert job is not None, calls
    for pid in {pid for _, pid in calls} - {job}:  # its own function to its end, and no other
        assert sum(other == pid for _, other in calls) <= 1
    assert client.experiments.get(experiment_id=entry["experiment_id"])["successful_run_count"] == 4
    assert ("returned to evalwire and was ended" in done.stderr) == (where != "exit"), done.stderr


def test_a_pool_of_processes_is_left_alone(phoenix_project, make_dataset):
    task = (
        "import multiprocessing\n\ndef double(n):\n    return 2 * n\n\ndef task(input):\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool:\n        return pool.map(double, [1, 2])\n"
    )
    done = phoenix_project.experiment(make_dataset(2), task=task).run_process("run")
    assert (done.returncode, "came back" in done.stderr) == (0, False), done.stderr


def test_a_process_that_user_code_forks_can_be_terminated(phoenix_project, make_dataset):
    """SIGTERM is the job's to handle, and not its children's: a pool whose workers would not end waited for ever."""
    task = (
        "import multiprocessing, time\n\ndef task(input):\n"
        "    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,), daemon=True)\n"
        "    child.start()\n    time.sleep(0.3)\n    child.terminate()\n    child.join(10)\n    return child.exitcode\n"
    )
    done = phoenix_project.experiment(make_dataset(1), task=task).run_process("run")
    assert done.returncode == 0, done.stderr
    (run,) = report_of(phoenix_project)["experiments"][0]["runs"]
    assert run["output"] == -signal.SIGTERM


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error(project, unbuffered):
    """Whenever that turns out; at its end, Python would try again, and end with an exit code of its own."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*EVALWIRE, "--version"],
            env=project.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "evalwire: cannot write the output: No space left on device\n",
    )


@pytest.mark.slow
def test_serve_ends_its_phoenix_when_the_whole_group_is_signalled(project):
    """The signal comes twice, the second time while the server ends."""
    process = subprocess.Popen(
        [*EVALWIRE, "serve", "--port", str(free_port())],
        cwd=project.directory,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        assert "stop with Ctrl-C" in process.stdout.readline()
        server = json.loads((project.directory / ".evalwire/server.json").read_text())["pid"]
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
