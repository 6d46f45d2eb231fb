"""`evalwire noise`: pairs of runs of the same code, more of them on demand, and judges on the same outputs."""

from __future__ import annotations

import json
import random
import re

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.noise import noise
from evalwire.cli.commands.plan_size import plan_size
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run

SIZE = 60
TASK = """
import os, random

async def task(example):
    with open(os.environ["CALLS"], "a") as file:
        file.write(example.id + "\\n")
    if os.environ.get("FAILS"):
        raise ValueError("as asked")
    chance = random.Random(os.environ["SEED"] + example.id)
    return "right" if int(example.id[1:]) > 20 or chance.random() < 0.5 else "wrong"
"""
RIGHT = "def is_right(output):\n    return output == 'right'\n"
JUDGE = """
import os, random

def is_right(output, example):
    if int(example.id[1:]) > 55:
        return random.Random(os.environ["JUDGE"] + example.id).random() < 0.5
    return output == "right"
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    project = MemoryProject(tmp_path, monkeypatch, size=SIZE, of_split=10, task=TASK, is_right=RIGHT)
    project.settings("[gates]\nis_right = { max_drop = 0.02, min_pass_rate = 0.99 }\n")
    project.set(SEED="0", JUDGE="0")
    return project


def recorded(world, *seeds):
    for seed in seeds:
        world.set(SEED=str(seed))
        world.call(run)


def facts(world):
    return [record["metadata"]["evalwire"] for record in world.phoenix.experiments.records.values()]


def flipped(text):
    return float(re.search(r"is_right: ([\d.]+)% of the verdicts flip", text)[1])


def test_recorded_runs_of_the_same_code_show_the_noise_without_a_call(world):
    recorded(world, 1, 2, 3)
    code, text = world.call(noise)
    assert code == 0
    assert world.calls.read_text() == ""
    words = " ".join(text.split())
    assert words.startswith("search: 3 runs of the same code (")
    assert 10 < flipped(text) < 25
    assert "60 examples, 180 pairs of runs. The interval is rough below 5% of flips" in words
    assert "the gate max_drop (2 points) would have failed in 0 of 3 pairs of these runs" in words
    assert re.search(r"with 60 examples, the gate finds a drop of [\d.]+ points in 4 of 5", words)
    assert "examples to find 1 run each 3 runs each 5 runs each" in words
    assert max(map(len, text.splitlines())) <= 100


def test_runs_of_other_code_are_no_pair(world):
    recorded(world, 1)
    world.write(task=TASK + "\nOTHER = 1\n")
    recorded(world, 2)
    code, text = world.call(noise)
    assert code == 0
    assert " ".join(text.split()) == (
        "search: needs 2 complete recorded experiments of the same code, and has 2 complete recorded experiments, each "
        "of other code or data. Run `evalwire noise --runs 2`"
    )
    recorded(world, 3)
    assert world.call(noise)[1].startswith("search: 2 runs of the same code (")


def test_older_code_that_ran_twice_is_said_to_be_older(world):
    recorded(world, 1, 2)
    world.write(task=TASK + "\nOTHER = 1\n")
    recorded(world, 3)
    text = world.call(noise)[1]
    assert "note: the newest run has other code or data. Measure it with" in text


def test_other_examples_are_no_pair(world):
    recorded(world, 1)
    world.phoenix.datasets.add(world.phoenix.datasets.newest[:-1])
    recorded(world, 2)
    assert "needs 2 complete recorded experiments" in world.call(noise)[1]


def test_without_digests_only_repetitions_are_compared(world):
    recorded(world, 1, 2)
    for each in world.phoenix.experiments.records.values():
        del each["metadata"]["evalwire"]["inputs"]
    assert "needs 2 complete recorded experiments" in world.call(noise)[1]
    world.call(run, {"repetitions": "2"})
    for each in world.phoenix.experiments.records.values():
        each["metadata"]["evalwire"].pop("inputs", None)
    text = world.call(noise)[1]
    assert text.startswith("search: 1 run of the same code, with 2 repetitions (")
    assert "was not applied between repetitions" in text


def test_runs_that_failed_or_did_not_end_do_not_count(world):
    recorded(world, 1, 2)
    first, second = world.phoenix.experiments.records.values()
    first["metadata"]["evalwire"]["outcome"] = "errors"
    assert "has 1 complete recorded experiment." in " ".join(world.call(noise)[1].split())
    del second["metadata"]["evalwire"]["outcome"]
    assert "has 0 complete recorded experiments." in " ".join(world.call(noise)[1].split())


# --- more runs -------------------------------------------------------------------------------------------


def test_more_runs_are_recorded_as_noise_and_their_gates_are_not_applied(world):
    recorded(world, 1)
    results = world.results
    code, text = world.call(noise, runs=2)
    assert code == 0, "the pass rate is below its limit"
    assert len(world.calls.read_text().split()) == 2 * SIZE
    assert [each.get("noise") for each in facts(world)] == [None, True, True]
    assert [each["outcome"] for each in facts(world)] == ["gate_failed", "passed", "passed"]
    assert "search: 3 runs of the same code (" in text
    assert world.results == results, "the reports of the last run stay"
    assert (world.folder / "reports" / "noise" / "results.json").exists()


def test_runs_for_noise_are_never_baselines_nor_in_the_history(world):
    world.settings("[gates]\nis_right = { max_drop = 0.02 }\n")
    world.call(noise, runs=2)
    recorded(world, 1)
    (baseline,) = world.results["baselines"]
    assert baseline["note"].endswith("was run to measure noise")
    assert world.results.get("history", []) == []
    code, text = world.call(run, {"baseline": "E1"})
    assert code == 2
    assert "E1 cannot be a baseline: it was run to measure noise" in text


def test_plan_size_does_not_use_them_but_noise_does(world):
    world.call(noise, runs=2)
    assert "needs 2 complete recorded experiments to measure the noise, and has 0" in world.call(plan_size)[1]
    assert world.call(noise)[1].startswith("search: 2 runs of the same code")


def test_a_run_that_fails_ends_the_command_without_a_figure(world):
    recorded(world, 1, 2)
    world.set(FAILS="1")
    code, text = world.call(noise, runs=2)
    assert code == 1
    assert "run 1 of 2 failed, so the noise is not shown" in text
    assert "of the verdicts flip" not in text
    assert len(facts(world)) == 3, "the second run did not start"


def test_errors_that_a_gate_tolerates_are_tolerated(world):
    world.settings("[gates]\nmax_error_rate = 1.0\nis_right = { max_drop = 0.02 }\n")
    world.set(FAILS="1")
    assert world.call(noise, runs=1)[0] == 0


def test_the_runs_share_a_budget(world):
    code, text = world.call(noise, {"max_seconds": "0.000001"}, runs=2)
    assert code == 1
    assert "run 1 of 2 failed" in text


def test_a_run_for_noise_that_is_resumed_stays_one(world):
    world.call(noise, runs=1)
    (journal,) = (world.folder / "reports" / "noise").glob("*.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line)["type"] != "end"))
    assert json.loads(lines[0])["is_noise"] is True
    assert world.call(resume, path=journal)[0] == 0
    assert [each["noise"] for each in facts(world)] == [True]


# --- judges ----------------------------------------------------------------------------------------------


def test_the_part_of_the_judge_is_measured_on_the_same_outputs(world):
    world.write(is_right=JUDGE)
    recorded(world, 1)
    world.set(JUDGE="1")
    recorded(world, 2)
    world.set(JUDGE="2")
    code, text = world.call(noise, judges=True)
    assert code == 0
    assert world.calls.read_text() == "", "no task is called"
    assert re.search(
        r"\d+% of the noise is the judge's: [\d.]+% of the verdicts flip on the same", " ".join(text.split())
    )
    *_, scored = facts(world)
    assert (scored["noise"], "source" in scored) == (True, True)
    again = world.call(noise)[1]
    assert "of the noise is the judge's" in again, "the recorded scores show it, without a call"


def test_scores_of_a_judge_that_changed_say_nothing(world):
    world.write(is_right=JUDGE)
    recorded(world, 1, 2)
    world.write(is_right=JUDGE + "\nOTHER = 1\n")
    code, text = world.call(noise, judges=True)
    assert code == 0
    assert "of the noise is the judge's" not in text


# --- the command -----------------------------------------------------------------------------------------


def test_each_format_has_the_figures(world, tmp_path):
    recorded(world, 1, 2)
    share = f"{flipped(world.call(noise)[1])}%"
    for name in ("noise.md", "noise.html", "noise.txt"):
        assert world.call(noise, output=tmp_path / name)[0] == 0
        assert share in (tmp_path / name).read_text()
    assert "### Noise of `search`" in world.call(noise, format_="markdown")[1]
    assert "<svg" in (tmp_path / "noise.html").read_text()


def test_an_unknown_format_is_wrong_usage(world):
    assert world.call(noise, format_="pdf") == (2, "--format pdf: expected one of: text, markdown, html.")


def test_shards_do_not_measure_noise(world):
    code, text = world.call(noise, {"shard": "1/2"}, runs=1)
    assert code == 2
    assert "noise cannot be measured by shards: shard is set (from: flag)" in text


def test_without_experiments_there_is_no_noise(world):
    (world.own / "task.py").unlink()
    code, text = world.call(noise)
    assert code == 1
    assert text.endswith("so no scores can be compared.")


def test_a_required_drop_is_in_the_plan(world):
    world.settings("[gates]\nmax_minimum_detectable = 0.03\nis_right = { max_drop = 0.01 }\n")
    recorded(world, *random.Random(1).sample(range(100), 2))
    text = world.call(noise)[1]
    assert "\n    a drop of 3 points " in text
    assert "to find a drop of 3 points in 4 of 5 cases:" in " ".join(text.split())
