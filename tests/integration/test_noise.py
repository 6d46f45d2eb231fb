"""`evalwire noise` with a real Phoenix: two runs of a flaky task, recorded, then once more, and its judge."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.needs_phoenix

TASK = """
    import os, random

    def task(example):
        return "right" if random.Random(os.environ["SEED"] + example.input["q"]).random() < 0.6 else "wrong"
"""
RIGHT = """
    import os, random

    def right(output, input):
        if random.Random("judge" + os.environ["JUDGE"] + input["q"]).random() < 0.2:
            return output != "right"
        return output == "right"
"""


def test_recorded_runs_show_the_noise_and_more_runs_are_never_baselines(phoenix_project, make_dataset, client):
    name = make_dataset(12)
    project = phoenix_project.experiment(name, task=TASK, right=RIGHT)
    project.write({"evalwire.toml": "[gates]\nright = { max_drop = 0.5 }\n"})
    for seed in ("1", "2"):
        assert project.run("run", SEED=seed, JUDGE=seed).returncode == 0

    free = project.run("noise")
    assert free.returncode == 0, free.stderr
    assert f"{name}: 2 runs of the same code" in free.stdout
    share = float(re.search(r"right: ([\d.]+)% of the verdicts flip", free.stdout)[1])
    compared = project.run("compare", "last~1", "last").stdout
    changed = sum(int(found) for found in re.findall(r"(\d+) examples? (?:better|worse)", compared))
    assert share == pytest.approx(100 * changed / 12, abs=0.06)
    assert share > 0

    again = project.run("noise", "--runs", "1", "--judges", "--output", "noise.html", SEED="3", JUDGE="3")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "noise report in noise.html" in again.stderr
    assert "3 runs of the same code" in (project.directory / "noise.html").read_text()
    listed = project.run("runs").stdout
    assert listed.count("passed (noise)") == 1
    assert listed.count("passed (noise, new scores)") == 1

    third = project.run("run", SEED="4", JUDGE="4")
    assert third.returncode == 0
    ids = re.findall(r"RXhwZXJpbWVudD[\w=]+", listed)
    marked = [
        id_
        for id_ in dict.fromkeys(ids)
        if client.experiments.get_experiment(experiment_id=id_)["experiment_metadata"]["evalwire"].get("noise")
    ]
    assert len(marked) == 2
    pinned = project.run("baseline", "pin", marked[0], "--tag", "release")
    assert pinned.returncode == 2
    assert "was run to measure noise" in pinned.stderr
