"""A job that goes on does so with the code and the examples that it began with, or says that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightly import mostly_nightly

pytestmark = pytest.mark.needs_phoenix

TASK = """
    import os, pathlib

    async def task(example):
        with pathlib.Path("calls").open("a") as calls:
            calls.write("x")
        prompt = pathlib.Path("prompt.txt").read_text()
        if "3" in example.input["q"] and not os.environ.get("ALLOWED"):
            os.kill(os.getpid(), 9)
        return prompt + example.input["q"]
"""
SAME = "from ._helper import fine\n\ndef same(output):\n    return fine(output)\n"
HELPER = "def fine(text):\n    return True\n"


@pytest.fixture
def killed(phoenix_project, make_dataset):
    """A project whose job was killed after three of six examples."""
    phoenix_project.name = make_dataset(6)
    phoenix_project.experiment(phoenix_project.name, task=TASK, same=SAME, _helper=HELPER)
    phoenix_project.write({"prompt.txt": "Be kind. "})
    done = phoenix_project.run_process("run", "--task-concurrency", "1")
    assert done.returncode in (-9, 137), done.stderr
    return phoenix_project


def folder(project) -> Path:
    return project.directory / "experiments" / project.name


def edit_evaluator(project):
    (folder(project) / "same.py").write_text(SAME.replace("fine(output)", "not fine(output)"))
    return "same.py"


def edit_helper(project):
    (folder(project) / "_helper.py").write_text(HELPER.replace("True", "False"))
    return "_helper.py"


def edit_task(project):
    path = folder(project) / "task.py"
    path.write_text(path.read_text().replace("prompt +", "prompt.lower() +"))
    return "task.py"


def edit_file_that_was_read_in_a_call(project):
    (project.directory / "prompt.txt").write_text("Be strict. ")
    return "prompt.txt"


def add_evaluator(project):
    (folder(project) / "new.py").write_text("def new(output): return 1.0\n")
    return "new.py"


def remove_evaluator(project):
    (folder(project) / "other.py").write_text("def other(output): return 1.0\n")
    (folder(project) / "same.py").unlink()
    return "same.py"


CHANGES = [
    edit_evaluator,
    edit_file_that_was_read_in_a_call,
    edit_helper,
    edit_task,
    add_evaluator,
    remove_evaluator,
]


@pytest.mark.parametrize("change", mostly_nightly(CHANGES, kept=(0, 1)))
def test_a_change_is_refused_before_any_call_and_named(killed, change):
    """The reports of the earlier job are left; with --accept-changes it goes on, and is nobody's baseline."""
    calls = (killed.directory / "calls").read_text()
    named = change(killed)
    done = killed.run("resume", ALLOWED="1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert named in done.stderr
    assert "started with another version of" in done.stderr
    assert (killed.directory / "calls").read_text() == calls

    gate = ("--gate", f"{killed.name}.{'other' if change is remove_evaluator else 'same'} drop <= 0.5")
    done = killed.run("resume", "--accept-changes", *gate, ALLOWED="1")
    assert "is marked as mixed" in done.stderr
    mixed = json.loads((killed.directory / "test-results/results.json").read_text())["experiments"][0]
    assert mixed["metadata"]["evalwire"]["mixed"] is True
    assert mixed["not_run"] == 0
    done = killed.run("run", *gate, ALLOWED="1")
    assert "had no baseline" in done.stdout.splitlines()[0]


def test_the_same_code_goes_on(killed):
    """A comment is no change."""
    (folder(killed) / "same.py").write_text("# why\n" + SAME)
    done = killed.run("resume", ALLOWED="1")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_phoenix_that_was_filled_again_has_another_dataset(killed, client):
    """Its dataset has the name and the size of the earlier one, and another example."""
    journal = next((killed.directory / "test-results").glob("journal_*.jsonl"))
    begun = [json.loads(line) for line in journal.read_text().splitlines()]
    dataset = client.datasets.get_dataset(dataset=killed.name, timeout=60)
    client.datasets.add_examples_to_dataset(
        dataset=killed.name, examples=[{"input": {"q": "another"}, "output": {}}], timeout=60
    )
    client.datasets.delete_examples(dataset=killed.name, example_ids=[dataset.examples[0]["id"]], timeout=60)
    newest = client.datasets.get_dataset(dataset=killed.name, timeout=60).version_id
    for line in begun:
        if line["type"] == "create":
            line["dataset"]["version_id"] = newest
    journal.write_text("".join(json.dumps(line) + "\n" for line in begun))
    done = killed.run("resume", ALLOWED="1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"the examples of the dataset {killed.name!r}" in done.stderr


def test_a_shard_under_a_plan_has_the_code_of_the_plan(phoenix_project, make_dataset):
    """Another evaluator is exit 2 before any call, in the shard that has it."""
    name = make_dataset(4)
    phoenix_project.experiment(name, same=HELPER.replace("fine(text)", "same(output)"))
    assert phoenix_project.run("plan", "--shards", "2", "--output", "plan.json").returncode == 0
    assert phoenix_project.run("run", "--plan", "plan.json", "--shard", "1/2").returncode == 0
    phoenix_project.experiment(name, same="def same(output):\n    return False\n")
    done = phoenix_project.run("run", "--plan", "plan.json", "--shard", "2/2")
    assert done.returncode == 2
    assert f"experiments/{name}/same.py" in done.stderr
