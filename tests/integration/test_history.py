"""Runs over a few days, as a user sees them: the list, the trend, names, tags; against a real Phoenix."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_phoenix

MAIN = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "a" * 40, "GITHUB_REF_NAME": "main"}
TASK = """
    import os

    async def task(example):
        return "wrong" if int(example.input["q"].split()[-1]) < int(os.environ.get("WRONG", "0")) else "right"
"""
EXACT = "def exact(output):\n    return output == 'right'\n"


@pytest.fixture
def answering(phoenix_project, make_dataset):
    """A project with an experiment on 20 examples, whose drops are gated, in a git repository."""
    name = make_dataset(20)
    phoenix_project.experiment(name, task=TASK, exact=EXACT)
    phoenix_project.write(
        {
            "evalwire.toml": f"[experiments.{name}.gates]\nexact = {{ max_drop = 0.02 }}\n",
            ".gitignore": "test-results/\n__pycache__/\n",
        }
    )
    phoenix_project.name = name
    git(phoenix_project.directory, "init", "-q", "-b", "main")
    git(phoenix_project.directory, "add", ".")
    git(phoenix_project.directory, "commit", "-q", "-m", "one")
    return phoenix_project


def git(directory: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, **identity}
    done = subprocess.run(["git", *arguments], cwd=directory, env=environ, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def results_of(project) -> dict:
    return json.loads((project.directory / "test-results" / "results.json").read_text())


def id_of(project) -> str:
    return results_of(project)["experiments"][0]["experiment_id"]


def test_what_ran_on_a_laptop_is_listed_with_its_commit_and_is_no_baseline_in_ci(answering):
    commit = git(answering.directory, "rev-parse", "HEAD")
    assert answering.run("run", **MAIN).returncode == 0
    in_ci = id_of(answering)
    (answering.directory / "notes.txt").write_text("not in the commit")
    assert answering.run("run").returncode == 0
    local, found = id_of(answering), results_of(answering)
    assert found["ci"] == {"commit": commit, "branch": "main", "base_branch": "main", "dirty": True}
    assert found["baselines"][0]["experiment_id"] == in_ci, "outside of CI, both kinds are baselines"
    assert answering.run("run", WRONG="1", **MAIN).returncode == 0, "one of twenty may be chance"
    found = results_of(answering)
    assert found["baselines"][0]["experiment_id"] == in_ci, "the laptop's is newer, and passed"
    assert [entry["experiment_id"] for entry in found["history"][0]["entries"]] == [in_ci]

    listed = json.loads(answering.run("runs", "--json").stdout)
    assert [each["experiment_id"] for each in listed] == [id_of(answering), local, in_ci]
    assert [each["dirty"] for each in listed] == [False, True, False]
    assert [each["commit"] for each in listed] == ["a" * 40, commit, "a" * 40]
    assert [each["scores"]["exact"]["mean"] for each in listed] == [0.95, 1.0, 1.0]
    assert listed[0]["scores"]["exact"]["n"] == 20
    assert listed[0]["scores"]["exact"]["low"] < 0.95 < listed[0]["scores"]["exact"]["high"] <= 1
    text = answering.run("runs", "--limit", "2").stdout.splitlines()
    assert text[0] == f"{answering.name}: the newest 2 recorded experiments"
    assert max(map(len, text)) <= 80
    assert answering.run("runs", "--prefix", "another").stdout.startswith("no recorded experiment of ")


def test_every_report_shows_the_trend_also_without_a_gate_on_a_drop(answering):
    answering.write({"evalwire.toml": ""})
    for wrong in ("0", "5", "2"):
        assert answering.run("run", WRONG=wrong, **MAIN).returncode == 0
    shown = answering.run("report").stdout
    assert "2 earlier runs on main, then this run" in shown
    assert "exact  █▁▅  90.0% (earlier 75.0% to 100.0%)" in shown
    directory = answering.directory / "test-results"
    assert "█▁▅ 90.0%" in (directory / "summary.md").read_text()
    assert (directory / "report.html").read_text().count('class="current"') == 1
    gated = answering.run("gate", "--experiment", "last~1", "--report-dir", "gated")
    assert "1 earlier run on main, then this run" in gated.stdout, "only what was before it"
    assert answering.run("run", "--dry-run", **MAIN).returncode == 0
    assert json.loads((directory / "results-dry-run.json").read_text())["history"] == []


def test_names_and_tags_from_the_first_pin_to_the_last_unpin(answering):
    for wrong in ("0", "9"):
        answering.run("run", WRONG=wrong, **MAIN)
    (second, first) = (each["experiment_id"] for each in json.loads(answering.run("runs", "--json").stdout))
    compared = json.loads(answering.run("compare", "last~1", "last", "--json").stdout)
    assert second in json.dumps(compared)
    assert answering.run("export", "--experiment", "last~1", "--output", "runs.csv").returncode == 0
    assert f"Report: {second}" in answering.run("report", "--experiment", "main").stdout

    assert answering.run("baseline", "list").stdout == (
        "no experiment has a tag. To set a tag, run: evalwire baseline pin last --tag release\n"
    )
    assert answering.run("baseline", "pin", first.rstrip("="), "--tag", "release").returncode == 0
    assert answering.run("baseline", "pin", "last", "--tag", "newest").returncode == 0
    lines = answering.run("baseline", "list").stdout.splitlines()
    assert lines[0] == f"{answering.name}: 2 tags"
    assert lines[1].split()[:2] == ["newest", second]
    assert lines[2].split()[:2] == ["release", first]
    assert answering.run("compare", "tag:release", "last").returncode == 0
    assert f"({first}) no longer has the tag release" in answering.run("baseline", "unpin", "--tag", "release").stdout
    absent = answering.run("baseline", "unpin", "--tag", "release")
    assert (absent.returncode, "has the tag 'release'" in absent.stderr) == (2, True)
    assert answering.run("baseline", "list").stdout.startswith(f"{answering.name}: 1 tag\n")

    word = answering.run("run", "--baseline", "main")
    assert (word.returncode, "If main is a branch, write branch:main." in word.stderr) == (2, True)
    nothing = answering.run("export", "--experiment", "last~9")
    assert (nothing.returncode, "Phoenix has 2 of" in nothing.stderr) == (2, True)
