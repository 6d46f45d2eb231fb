"""Budgets with the real program and a real Phoenix: runs, resumed jobs, kills, variants and shards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from typing import Any

import pytest

from evalwire import ExperimentRunner, ExperimentsFailed
from evalwire.errors import UsageError

pytestmark = pytest.mark.needs_phoenix

TASK = """
    import asyncio
    import os
    from opentelemetry import trace

    async def task(example):
        q = example.input["q"]
        descriptor = os.open("calls.txt", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, (os.environ.get("MODEL", "m") + " " + q + "\\n").encode())
        os.close(descriptor)
        with trace.get_tracer("test").start_as_current_span("chat") as span:
            await asyncio.sleep(float(os.environ.get("SECONDS", "0")))
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("llm.model_name", "m")
            span.set_attribute("llm.token_count.prompt", 1_000_000)
            span.set_attribute("llm.token_count.completion", 0)
        return q
"""
PRICES = """
    [experiments]
    task_concurrency = 1
    [prices]
    m = { input = 1.0, output = 1.0 }
"""


@pytest.fixture
def paid(phoenix_project, make_dataset):
    """A project whose task costs 1 USD for each of ten examples, and the name of its experiment."""
    name = make_dataset(10)
    phoenix_project.experiment(name, task=TASK).write({"evalwire.toml": PRICES})
    return phoenix_project, name


def calls_of(project: Any) -> list[str]:
    path = project.directory / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def results_of(project: Any, name: str = "results.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((project.directory / "test-results" / name).read_text())
    return document


def test_job_ends_at_its_budget_and_is_resumed_with_another(paid, client):
    project, _ = paid
    ended = project.run_process("run", "--max-cost", "4")
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.startswith("OUT OF BUDGET after 4.00 of 4.00 USD: 1 experiment, 10 examples, 6 not run")
    found = results_of(project)
    assert (found["outcome"], len(calls_of(project))) == ("out_of_budget", 4)
    recorded = client.experiments.get_experiment(experiment_id=found["experiments"][0]["experiment_id"])
    facts = recorded["experiment_metadata"]["evalwire"]
    assert (facts["outcome"], facts["budget"]["spent_usd"]) == ("out_of_budget", 4.0)

    resumed = project.run_process("resume", "--max-cost", "6")

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert Counter(calls_of(project)) == Counter({f"m question {n}": 1 for n in range(10)})
    assert "10.00 of 10.00 USD used" in resumed.stdout

    checked = project.run_process("check", "--cost", "--max-cost", "9")
    assert checked.returncode == 1
    assert "FAILED  cost: about 10.00 USD (10.00 to 10.00), 10,000,000 tokens for 10 runs, based on" in checked.stdout
    assert "budget 9.00 USD" in checked.stdout


def test_killed_job_is_resumed_within_the_rest_of_its_budget(paid):
    """Nothing that the journal has is paid for twice, and what was paid before counts."""
    project, _ = paid
    project.environ["SECONDS"] = "0.05"
    process = project.start("run", "--max-cost", "7")
    deadline = time.monotonic() + 60
    while len(calls_of(project)) < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (journal,) = (project.directory / "test-results").glob("journal_*.jsonl")
    held = [json.loads(line) for line in journal.read_text().splitlines()]
    paid_before = sum(line["type"] == "run" for line in held)
    before = calls_of(project)

    ended = project.run_process("resume")

    assert ended.returncode == 1
    assert "OUT OF BUDGET after 7.00 of 7.00 USD" in ended.stdout
    after = calls_of(project)[len(before) :]
    assert len(after) == 7 - paid_before
    again = Counter(calls_of(project)) - Counter(set(calls_of(project)))
    assert sum(again.values()) <= 1, "only the call in flight at the kill, which the journal does not have"


def test_time_of_the_budget_ends_the_job(paid):
    project, _ = paid
    project.write({"evalwire.toml": PRICES + "    [budget]\n    max_seconds = 6\n"})
    project.environ["SECONDS"] = "2"
    started = time.monotonic()
    ended = project.run_process("run")
    assert ended.returncode == 1
    assert time.monotonic() - started < 30
    assert 1 <= len(calls_of(project)) <= 3
    assert "OUT OF BUDGET after " in ended.stdout
    assert " of 6 s" in ended.stdout


def test_budget_holds_for_the_processes_of_all_variants(paid):
    project, name = paid
    variants = f'[experiments.{name}.variants.other]\nenv = {{ MODEL = "other" }}\n'
    settings = "\n".join(line.strip() for line in PRICES.splitlines())
    project.write({"evalwire.toml": f"{settings}\n{variants}"})
    ended = project.run_process("run", "--max-cost", "13")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert Counter(line.split()[0] for line in calls_of(project)) == {"m": 10, "other": 3}
    assert results_of(project)["budget"]["spent_usd"] == 13.0

    resumed = project.run_process("resume", "--max-cost", "7")

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert Counter(calls_of(project)).most_common(1)[0][1] == 1


def test_shards_divide_the_budget_of_their_plan(paid):
    project, _ = paid
    planned = project.run_process("plan", "--shards", "2", "--output", "plan.json", "--max-cost", "6")
    assert planned.returncode == 0, planned.stderr
    for shard in ("1/2", "2/2"):
        ended = project.run_process("run", "--plan", "plan.json", "--shard", shard)
        assert ended.returncode == 1
        assert "OUT OF BUDGET after 3.00 of 3.00 USD" in ended.stdout
    assert len(calls_of(project)) == 6

    again = project.run_process("run", "--plan", "plan.json", "--shard", "1/2")
    assert again.returncode == 1
    assert len(calls_of(project)) == 6, "a restarted shard counts what it paid before"

    merged = project.run_process("gate", "--plan", "plan.json")
    assert merged.returncode == 1


def test_runner_has_the_same_budget(paid, client, monkeypatch):
    project, _ = paid
    monkeypatch.chdir(project.directory)
    with pytest.raises(ExperimentsFailed, match="4,000,000 tokens of the budget of 4,000,000 tokens are used"):
        ExperimentRunner(project.experiments, client, task_concurrency=1, max_tokens=4_000_000).run()
    assert len(calls_of(project)) == 4
    with pytest.raises(UsageError, match="max_cost_usd"):
        ExperimentRunner(project.experiments, client, max_cost_usd=-1)
