"""SIGTERM in the container with 200 tasks in flight, and the resumption in a second container."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections import Counter

import pytest
from kill_tally import tally

pytestmark = pytest.mark.image

IN_FLIGHT, FAST = 200, 20
TASK = """
import asyncio
import os


async def task(example):
    print("called", example.input["n"], flush=True)
    if example.input["n"] >= {fast}:
        await asyncio.sleep(float(os.environ["TASK_SECONDS"]))
    return example.input["n"]
"""
EVALUATOR = "def same(output, expected):\n    return output == expected['n']\n"


def _post(url: str, body: object) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def many(phoenix, tmp_path):
    """A dataset of 220 examples, and the options that mount its experiment and a report folder."""
    name = f"many_{uuid.uuid4().hex[:8]}"
    rows = [{"n": n} for n in range(FAST + IN_FLIGHT)]
    _post(
        f"{phoenix.url}/v1/datasets/upload?sync=true",
        {"action": "create", "name": name, "inputs": rows, "outputs": rows},
    )
    folder = tmp_path / "experiments" / name
    folder.mkdir(parents=True)
    (folder / "task.py").write_text(TASK.format(fast=FAST))
    (folder / "same.py").write_text(EVALUATOR)
    reports = tmp_path / "test-results"
    reports.mkdir()
    reports.chmod(0o777)
    mounts = ("-v", f"{folder.parent}:/work/experiments:ro", "-v", f"{reports}:/work/test-results")
    return reports, (*phoenix.options, *mounts)


def _lines(reports) -> list[dict]:
    found = []
    for path in reports.glob("journal_*.jsonl"):
        whole = path.read_bytes().rpartition(b"\n")[0]
        found += [json.loads(line) for line in whole.splitlines()]
    return found


def _called(text: str) -> Counter[int]:
    return Counter(int(line.split()[1]) for line in text.splitlines() if line.startswith("called "))


def _runs(phoenix, experiment_id: str) -> list[dict]:
    found, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = _get(f"{phoenix.url}/v1/experiments/{experiment_id}/runs?limit=200{more}")
        found += page["data"]
        cursor = page.get("next_cursor")
    return found


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize("signal", ["stop", pytest.param("kill", marks=pytest.mark.slow)])
def test_two_hundred_tasks_in_flight_are_ended_in_time_and_resumed(docker, evalwire, image, phoenix, many, signal):
    """`docker stop`: exit 143 within its ten seconds, what was finished is recorded; `docker kill`: it is in the journal.

    A second container calls the 200 that never returned, no other, and the experiment is whole.
    """
    reports, options = many
    command = ("run", "--task-concurrency", str(IN_FLIGHT), "--timeout", "120")
    started = docker("run", "-d", "--label", docker.label, *options, "-e", "TASK_SECONDS=60", image, *command)
    container = started.stdout.strip()
    deadline = time.monotonic() + 90
    while len(_called(docker("logs", container).stdout)) < FAST + IN_FLIGHT or _count(reports, "run") < FAST:
        assert time.monotonic() < deadline, docker("logs", container).stderr
        time.sleep(0.2)
    began = time.monotonic()
    docker(signal, container)
    docker("wait", container, timeout=30)
    took = time.monotonic() - began
    state = json.loads(docker("inspect", "-f", "{{json .State}}", container).stdout)
    logs = docker("logs", container)
    assert state["ExitCode"] == (143 if signal == "stop" else 137), logs.stderr
    assert not state["OOMKilled"]
    assert took < 11, "docker stop gives ten seconds, and then kills"
    assert _count(reports, "run") == FAST, "a task that was cut off has not returned"
    if signal == "stop":
        assert f"INTERRUPTED: 1 experiment, {FAST + IN_FLIGHT} examples" in logs.stdout
        assert f"{IN_FLIGHT} not run" in logs.stdout
        (entry,) = json.loads((reports / "results.json").read_text())["experiments"]
        assert sum(run["id"] is not None for run in entry["runs"]) == FAST

    finished = evalwire(
        "resume", "--task-concurrency", str(IN_FLIGHT), options=options, timeout=120, TASK_SECONDS="0.1"
    )
    assert finished.returncode == 0, (finished.stdout, finished.stderr)
    assert f"PASSED: 1 experiment, {FAST + IN_FLIGHT} examples, none failed" in finished.stdout
    assert _called(finished.stdout) == Counter(range(FAST, FAST + IN_FLIGHT))
    (entry,) = json.loads((reports / "results.json").read_text())["experiments"]
    runs = _runs(phoenix, entry["experiment_id"])
    assert Counter(run["output"] for run in runs) == Counter(range(FAST + IN_FLIGHT))
    experiments = _get(f"{phoenix.url}/v1/datasets/{entry['dataset']['id']}/experiments")["data"]
    assert len(experiments) == 1
    tally(kills=1, resumes=1, calls_not_made_again=FAST, losses=FAST + IN_FLIGHT - len(runs))


def _count(reports, type_: str) -> int:
    return sum(line["type"] == type_ for line in _lines(reports))


def test_resume_is_a_verb_of_the_image(evalwire):
    """As `run` is: what is no verb is executed, and there is no program of this name."""
    finished = evalwire("resume")
    assert finished.returncode == 2, finished.stderr
    assert "cannot find a journal in test-results/" in finished.stderr
