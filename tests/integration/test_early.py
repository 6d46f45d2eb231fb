"""Runs that end when their gates are decided, with the real program and a real Phoenix."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter

import pytest

from evalwire.model import Audit, Expected, random_order

pytestmark = pytest.mark.needs_phoenix

SIZE = 200
TASK = """
    import asyncio, os, pathlib

    async def task(example):
        number = int(example.input["q"].split()[-1])
        with open(pathlib.Path(__file__).parents[2] / "calls", "a") as file:
            file.write(f"{number}\\n")
        await asyncio.sleep(0.01)
        return "wrong" if number % 100 < int(os.environ.get("WRONG", "0")) else "right"
"""
EXACT = "async def exact(output):\n    return output == 'right'\n"
EARLY = {"EVALWIRE_STOP_EARLY": "true", "EVALWIRE_BASE_BRANCH": "main"}


@pytest.fixture
def answering(phoenix_project, make_dataset):
    """A project with an experiment on 200 examples, at least 90% of which must be right."""
    name = make_dataset(SIZE)
    phoenix_project.experiment(name, task=TASK, exact=EXACT)
    phoenix_project.write({"evalwire.toml": "[gates]\nexact = { min_pass_rate = 0.9 }\n"})
    phoenix_project.name = name
    return phoenix_project


def results_of(project) -> dict:
    return json.loads((project.directory / "test-results" / "results.json").read_text())


def calls(project) -> Counter[str]:
    path = project.directory / "calls"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def test_an_early_verdict_from_the_run_to_the_whole(answering):
    done = answering.run("run", **EARLY)
    assert done.returncode == 0, (done.stdout, done.stderr)
    (experiment,) = results_of(answering)["experiments"]
    stopping = experiment["stopping"]
    assert stopping["seen"] < SIZE
    assert f"decided after {stopping['seen']} of 200 examples, risk 1%" in done.stdout.splitlines()[0]
    assert sum(calls(answering).values()) == stopping["seen"] + stopping["beyond"]

    shown = answering.run("gate", "--experiment", "last")
    assert shown.returncode == 0, (shown.stdout, shown.stderr)
    assert f"decided after {stopping['seen']} of 200 examples" in shown.stdout
    other = answering.run("gate", "--experiment", "last", "--gate", f"{answering.name}.exact >= 0.95")
    assert (other.returncode, "evalwire resume --whole" in other.stderr) == (2, True)
    refused = answering.run("run", "--baseline", experiment["experiment_id"])
    assert (refused.returncode, "ended early, after" in refused.stderr) == (2, True)

    (answering.directory / "calls").unlink()
    whole = answering.run("resume", "--whole")
    assert whole.returncode == 0, (whole.stdout, whole.stderr)
    assert results_of(answering)["experiments"][0]["stopping"] is None
    assert sum(calls(answering).values()) == SIZE - stopping["seen"] - stopping["beyond"]
    again = answering.run("gate", "--experiment", "last")
    assert (again.returncode, "decided after" in again.stdout) == (0, False)


@pytest.mark.parametrize("seed", range(3))
def test_after_a_kill_the_decision_is_the_same_and_nothing_is_called_twice(answering, seed):
    """The order of the examples is the experiment's own, so the resumed job decides after the same example."""
    chance = random.Random(seed)
    process = answering.start("run", WRONG=str(3 + seed), **EARLY)
    most = chance.randrange(5, 60)
    until = time.monotonic() + 60
    while sum(calls(answering).values()) < most and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    done = answering.run("resume", WRONG=str(3 + seed))
    assert done.returncode == 0, (done.stdout, done.stderr)
    (experiment,) = results_of(answering)["experiments"]
    made = calls(answering)
    in_flight = 10
    assert sum(made.values()) - len(made) <= in_flight, "only what was in flight at the kill is called again"
    seen = experiment["stopping"]["seen"]
    assert seen < SIZE
    again = answering.run("resume")
    assert (again.returncode, calls(answering)) == (0, made)
    assert results_of(answering)["experiments"][0]["stopping"]["seen"] == seen
    answering.run("resume", "--whole", WRONG=str(3 + seed))
    assert seen == decided_after(results_of(answering)["experiments"][0])


@pytest.mark.slow
def test_slow_failures_hardly_ever_pass_early(phoenix_project, make_dataset):
    """The last examples of the dataset fail and take four times as long; the whole experiment fails by one of them."""
    size, orders = 500, 12
    name = make_dataset(size)
    task = f"""
        import asyncio

        async def task(example):
            is_wrong = int(example.input["q"].split()[-1]) >= {size - 51}
            await asyncio.sleep(0.2 if is_wrong else 0.05)
            return "wrong" if is_wrong else "right"
    """
    phoenix_project.experiment(name, task=task, exact=EXACT)
    phoenix_project.write({"evalwire.toml": "[gates]\nexact = { min_pass_rate = 0.9 }\n"})
    found = [phoenix_project.run("run", EVALWIRE_TASK_CONCURRENCY="50", **EARLY).returncode for _ in range(orders)]
    assert set(found) <= {0, 1}
    assert found.count(0) <= 1  # of 12 at a risk of 1%: two have a chance of 0.6%


def decided_after(experiment: dict) -> int:
    """Return after how many examples of its random order the gate of a whole experiment is decided."""
    passed = {run["example_id"]: run["output"] == "right" for run in experiment["runs"]}
    ids = list(passed)
    order = random_order(experiment["metadata"]["evalwire_key"], ids)
    audit = Audit(SIZE, 0.9 * SIZE - 1, risk=0.01, expected=Expected(mean=0.95, variance=0.05), is_bool=True)
    for number, place in enumerate(order, start=1):
        audit.add(float(passed[ids[place]]))
        if audit.is_decided and number >= 30:
            return number
    raise AssertionError("the gate is not decided")


def test_each_variant_ends_by_its_own_gates(answering):
    """A variant runs in its own process, which looks at its own runs."""
    variants = f'[experiments.{answering.name}.variants.worse]\nenv = {{ WRONG = "40" }}\n'
    answering.write({"evalwire.toml": f"[gates]\nexact = {{ min_pass_rate = 0.9 }}\n{variants}"})
    done = answering.run_process("run", **EARLY)
    assert done.returncode == 1, (done.stdout, done.stderr)
    found = {each["name"]: each["stopping"] for each in results_of(answering)["experiments"]}
    statuses = {name: [each["status"] for each in stopping["decisions"]] for name, stopping in found.items()}
    assert statuses == {answering.name: ["passed"], f"{answering.name}@worse": ["failed"]}
    assert all(stopping["seen"] < SIZE for stopping in found.values())
    assert sum(calls(answering).values()) == sum(each["seen"] + each["beyond"] for each in found.values())
