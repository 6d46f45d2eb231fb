"""Long runs against a real Phoenix: everything that was claimed is there, and memory stays in bounds."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from kill_tally import measured
from processes import command_of

from conftest import EVALWIRE

pytestmark = [pytest.mark.needs_phoenix, pytest.mark.slow]

EXAMPLES = 10_000
MOST_KB_PER_EXAMPLE = 12.0  # of growth above the loaded dataset: its run, its evaluation, its output of 1 KB

ECHO = """
    async def task(example):
        return {"text": example.input["text"][::-1], "n": example.input["n"]}
"""
JUDGE = "def judge(output, expected):\n    return output['n'] == expected['n']\n"


def rss_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:  # it has ended, and its parent is about to
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)


@pytest.mark.timeout(2400)
def test_ten_thousand_examples_are_all_recorded_in_bounded_memory(phoenix_project, client, make_dataset):
    """The dataset is held once; what is kept of each example beside it has a limit."""
    examples = [
        {"input": {"n": n, "text": f"{n:06d} ".ljust(1024, "x")}, "output": {"n": n}, "metadata": {}}
        for n in range(EXAMPLES)
    ]
    name = make_dataset(examples)
    phoenix_project.experiment(name, task=ECHO, judge=JUDGE)
    with (phoenix_project.directory / "err").open("w") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            [*EVALWIRE, "run", "--task-concurrency", "50"],
            cwd=phoenix_project.directory,
            env=phoenix_project.environ,
            stdout=subprocess.PIPE,
            stderr=err,  # no pipe that could be full for ten minutes
            text=True,
        )
        command = command_of(process.pid)
        samples: list[int] = []  # one a second
        loaded = 0  # when the first task had returned
        while process.poll() is None:
            time.sleep(1)
            samples.append(rss_kb(command))
            if not loaded and '"run"' in _head(phoenix_project.directory):
                loaded = len(samples)
    out, _ = process.communicate()
    took = time.monotonic() - began
    samples = [sample for sample in samples if sample]
    dataset_kb = samples[max(0, loaded - 1)]
    growth = (max(samples) - dataset_kb) / EXAMPLES
    at = {
        f"{share}%": f"{samples[min(len(samples) - 1, len(samples) * share // 100)] // 1024}"
        for share in range(0, 101, 10)
    }
    measured(
        soak=f"{EXAMPLES} examples of 1 KB with an evaluator: {took:.0f} s, {EXAMPLES / took:.0f} examples/s, "
        f"memory {samples[0] // 1024} MB at the start, {dataset_kb // 1024} MB with the dataset loaded, "
        f"at most {max(samples) // 1024} MB, {samples[-1] // 1024} MB at the end: {growth:.1f} KB an example",
        soak_samples_mb=" ".join(f"{share} {value}" for share, value in at.items()),
    )
    print(f"\nsoak: {took:.0f} s; RSS MB {at}; {growth:.2f} KB an example above the dataset")  # noqa: T201
    assert process.returncode == 0, (out, (phoenix_project.directory / "err").read_text()[-3000:])
    assert out.startswith(f"PASSED: 1 experiment, {EXAMPLES} examples, none failed")
    dataset = client.datasets.get_dataset(dataset=name, timeout=120)
    (entry,) = client.experiments.list(dataset_id=dataset.id)
    counts = (entry["successful_run_count"], entry["failed_run_count"], entry["missing_run_count"])
    assert counts == (EXAMPLES, 0, 0)
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    (experiment,) = report["experiments"]
    assert experiment["failure"] is None, "the verification passed"
    assert [(score["name"], score["mean"], score["count"]) for score in experiment["scores"]] == [
        ("judge", 1.0, EXAMPLES)
    ]
    assert len({run["id"] for run in experiment["runs"]}) == EXAMPLES
    assert growth < MOST_KB_PER_EXAMPLE


def _head(directory: Path) -> str:
    for path in (directory / "test-results").glob("journal_*.jsonl"):
        with path.open("rb") as lines:
            return lines.read(50_000).decode(errors="replace")
    return ""


@pytest.mark.timeout(900)
def test_two_thousand_examples_are_all_recorded(phoenix_project, client, make_dataset):
    name = make_dataset(2000)
    phoenix_project.experiment(name)
    process = phoenix_project.start("run", "--task-concurrency", "50")
    out, err = process.communicate(timeout=800)
    assert process.returncode == 0, (out, err)
    dataset = client.datasets.get_dataset(dataset=name, timeout=60)
    (entry,) = client.experiments.list(dataset_id=dataset.id)
    assert (entry["successful_run_count"], entry["failed_run_count"], entry["missing_run_count"]) == (2000, 0, 0)
    recorded = client.experiments.get_experiment(experiment_id=entry["id"])
    assert len({run["dataset_example_id"] for run in recorded["task_runs"]}) == 2000
    assert len({one.experiment_run_id for one in recorded["evaluation_runs"]}) == 2000
    assert all(run["trace_id"] for run in recorded["task_runs"])
