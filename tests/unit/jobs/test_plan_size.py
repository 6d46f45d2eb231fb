"""`evalwire plan-size`: what the gates of a project could find, from its recorded runs."""

from __future__ import annotations

import random

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.plan_size import plan_size
from evalwire.cli.commands.run import run

SIZE = 60
TASK = """
import os

async def task(example):
    return "wrong" if example.id in os.environ["WRONG"].split() else "right"
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    right = "def is_right(output):\n    return output == 'right'\n"
    project = MemoryProject(tmp_path, monkeypatch, size=SIZE, of_split=10, task=TASK, is_right=right)
    project.settings("[gates]\nis_right = { max_drop = 0.02 }\n")
    return project


def record(world, *seeds):
    for seed in seeds:
        world.set(WRONG=" ".join(random.Random(seed).sample([f"q{n}" for n in range(SIZE)], 12)))
        world.call(run)


def test_each_gate_has_a_drop_for_each_sample(world):
    record(world, 1, 2)
    code, text = world.call(plan_size)
    head, noise, samples, found = text.splitlines()
    assert code == 0
    assert head == "search: smallest drop that a gate finds in 4 of 5 cases"
    assert noise == "  by the noise of 2 recorded experiments (60 runs each)"
    assert samples.split("  ")[-3:] == ["60 examples", "120 examples", "60 examples x 3"]
    name, allowed, *drops = found.replace(" points", "").split()
    assert (name, allowed) == ("is_right", "2")
    now, twice, three = map(float, drops)
    assert now > twice > three > 2


def test_a_single_run_does_not_show_the_noise(world):
    record(world, 1)
    assert world.call(plan_size) == (
        0,
        "search: needs 2 complete recorded experiments to measure the noise, and has 1. Run `evalwire run`\n",
    )


def test_without_any_experiment_the_gates_are_not_said_to_be_wrong(world):
    """Which evaluations there are is not known."""
    text = "search: needs 2 complete recorded experiments to measure the noise, and has 0. Run `evalwire run`\n"
    assert world.call(plan_size) == (0, text)


def test_without_a_gate_on_a_drop_nothing_is_computed(world):
    world.settings("")
    record(world, 1, 2)
    assert world.call(plan_size) == (0, "search: has no drop gate. Set max_drop in evalwire.toml\n")
