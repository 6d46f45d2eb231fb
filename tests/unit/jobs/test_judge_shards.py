"""Calibrated evaluators in shards, of which no job records the files that evaluators read during the run."""

from __future__ import annotations

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.judge import judge
from evalwire.cli.commands.run import run
from evalwire.cli.commands.score import score

SIZE = 60
TASK = """
async def task(example):
    return "wrong" if int(example.id[1:]) % 5 == 0 else "right"
"""
JUDGED = """
from pathlib import Path

def judged(output):
    prompt = Path("prompt.md")
    text = prompt.read_text() if prompt.exists() else "right"
    return output in text
"""
GATES = "[gates]\njudged = { min_kappa = 0.6 }\n"


@pytest.fixture
def world(tmp_path, monkeypatch):
    project = MemoryProject(tmp_path, monkeypatch, size=SIZE, of_split=10, task=TASK, judged=JUDGED)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompt.md").write_text("right")
    assert project.call(run)[0] == 0
    return project


def calibrate(world):
    """Compare the newest scores with labels that name their outputs."""
    newest = world.results["experiments"][0]["experiment_id"]
    lines = [f"{newest},q{n},{'fail' if n % 5 == 0 else 'pass'}" for n in range(SIZE)]
    labels = world.folder / "labels.csv"
    labels.write_text("\n".join(["experiment,example_id,label", *lines]))
    return world.call(judge, evaluation="judged", labels=labels)


def gate_of_shards(world, key):
    """Run both shards, and return the exit code and the text of their gate."""
    for shard in ("1/2", "2/2"):
        code, text = world.call(run, {"shard": shard, "run_key": key})
        assert code == 0, text
    return world.call(gate, {"run_key": key}, shards=2)


@pytest.mark.parametrize("edit", [lambda prompt: prompt.write_text("right or wrong"), lambda prompt: prompt.unlink()])
def test_a_prompt_that_the_evaluator_reads_during_the_run_has_to_be_unchanged(world, edit):
    assert calibrate(world)[0] == 0
    world.settings(GATES)
    code, text = gate_of_shards(world, "1")
    assert code == 0, text
    edit(world.folder / "prompt.md")
    code, text = gate_of_shards(world, "2")
    assert (code, "judged was changed since it was calibrated: prompt.md" in text) == (1, True), text


def test_shards_do_not_calibrate_because_the_files_that_they_read_are_not_recorded(world):
    """New scores of the same outputs do, and nobody labels again."""
    gate_of_shards(world, "1")
    code, text = calibrate(world)
    assert code == 2
    assert "shards do not record all files that judged read" in text
    assert f"evalwire score --experiment {world.results['experiments'][0]['experiment_id']}`" in text
    assert not (world.folder / "judges").exists()
    labels = world.folder / "labels.csv"
    assert world.call(score, experiments=[world.results["experiments"][0]["experiment_id"]])[0] == 0
    code, text = world.call(judge, evaluation="judged", labels=labels)
    assert code == 0, text
    assert "prompt.md" in (world.folder / "judges/judged.json").read_text()


def test_an_experiment_that_did_not_end_does_not_calibrate(world):
    (record,) = world.phoenix.experiments.records.values()
    del record["metadata"]["evalwire"]["outcome"]
    code, text = calibrate(world)
    assert (code, "its run did not end, so it is not recorded which files judged read" in text) == (2, True), text
    assert not (world.folder / "judges").exists()
