"""An evaluator that was changed never takes the baseline away: it scores the baseline's outputs again."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from nightly import mostly_nightly
from splits import make_split

pytestmark = pytest.mark.needs_phoenix

MAIN = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "a" * 40, "GITHUB_REF_NAME": "main"}
PULL = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "b" * 40,
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "change",
    "GITHUB_BASE_REF": "main",
}
TASK = """
    import os, pathlib

    async def task(example):
        with pathlib.Path("task_calls").open("a") as calls:
            calls.write("x")
        return "nonsense" if os.environ.get("WRONG") else example.output["expected_output"]
"""
SAME = """
    import pathlib
    from ._text import clean

    def same(output, expected):
        with pathlib.Path("same_calls").open("a") as calls:
            calls.write("x")
        return clean(output) == clean(expected["expected_output"])
"""
OTHER = "def other(output):\n    return len(output) > 0\n"
HELPER = "def clean(text):\n    return text.strip()\n"
EXAMPLES = 8
OF_SPLIT = 3  # less than half of them
GATES = "same = { max_drop = 0.02 }\n"


@pytest.fixture
def judged(phoenix_project, make_dataset):
    """A project whose `same` is gated, with a passed run on main."""
    name = make_dataset(EXAMPLES)
    phoenix_project.name = name
    phoenix_project.experiment(name, task=TASK, same=SAME, other=OTHER, _text=HELPER)
    gates(phoenix_project, GATES)
    done = phoenix_project.run("run", **MAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    forget_calls(phoenix_project)
    return phoenix_project


def gates(project, text: str) -> None:
    project.write({"evalwire.toml": f"[experiments.{project.name}.gates]\n{text}"})


def edit(project, file: str, old: str, new: str) -> None:
    path = project.directory / "experiments" / project.name / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def remove(project, file: str) -> None:
    (project.directory / "experiments" / project.name / file).unlink()


def add(project, file: str, text: str) -> None:
    (project.directory / "experiments" / project.name / file).write_text(text)


def calls(project, what: str) -> int:
    path = project.directory / f"{what}_calls"
    return len(path.read_text()) if path.exists() else 0


def forget_calls(project) -> None:
    for what in ("same", "task"):
        (project.directory / f"{what}_calls").unlink(missing_ok=True)


def results_of(project, folder: str = "test-results") -> dict[str, Any]:
    return json.loads((project.directory / folder / "results.json").read_text())


def comment(project):
    edit(project, "same.py", "def same", "# a comment\n\n\ndef same")


def edit_evaluator(project):
    edit(project, "same.py", "clean(output) ==", "clean(output).lower() ==")


def edit_helper(project):
    edit(project, "_text.py", "text.strip()", "text.strip().casefold()")


def add_evaluator(project):
    add(project, "new.py", "def new(output): return True\n")


def remove_evaluator(project):
    remove(project, "other.py")


def rename_evaluator(project):
    path = project.directory / "experiments" / project.name
    (path / "same.py").rename(path / "equal.py")
    edit(project, "equal.py", "def same", "def equal")
    gates(project, GATES.replace("same", "equal"))


CHANGES = [
    (edit_evaluator, 2 * EXAMPLES),
    (comment, EXAMPLES),
    (edit_helper, 2 * EXAMPLES),
    (add_evaluator, EXAMPLES),
    (remove_evaluator, EXAMPLES),
    (rename_evaluator, 2 * EXAMPLES),
]


@pytest.mark.parametrize(("change", "expected_calls"), mostly_nightly(CHANGES, kept=(0, 1)))
def test_a_drop_beside_any_change_of_evaluators_is_red(judged, change, expected_calls):
    """The evaluator scores again where it was changed, and only then; the task is never called for it."""
    change(judged)
    done = judged.run("run", **PULL, WRONG="1")
    assert done.returncode == 1, done.stdout + done.stderr
    (gate,) = [one for one in results_of(judged)["gates"] if one["rule"] == "max_drop"]
    assert (gate["status"], gate["value"]) == ("failed", 1.0)
    assert calls(judged, "same") == expected_calls
    assert calls(judged, "task") == EXAMPLES
    (baseline,) = results_of(judged)["baselines"]
    is_again = expected_calls > EXAMPLES
    assert bool(baseline["rescored"]) is is_again
    assert (
        "1 baseline scored again: 100.0% to 100.0%" in done.stdout.splitlines()[0]
    ) is is_again or change is rename_evaluator
    if is_again:
        assert f"scoring the {EXAMPLES} outputs of the baseline again" in done.stderr
        assert f"{judged.name} (baseline): done, {EXAMPLES}/{EXAMPLES} in" in done.stderr


def test_a_weakened_judge_shows_in_the_first_line_and_in_the_summary(judged, client):
    """Every output passes it, the baseline's too; nothing is written to the baseline."""
    gates(judged, GATES + "\n")
    add(judged, "same.py", "def same(output): return 0.5\n")
    assert judged.run("run", **MAIN).returncode == 0
    baseline = results_of(judged)["experiments"][0]["experiment_id"]
    recorded = client.experiments.get_experiment(experiment_id=baseline)
    add(judged, "same.py", "def same(output): return 1.0\n")
    done = judged.run("run", **PULL, WRONG="1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].endswith("; 1 baseline scored again: 0.50 to 1.00")
    said = f"same scored {EXAMPLES} baseline outputs again (changed: experiments/{judged.name}/same.py): 0.50 to 1.00"
    assert said in done.stdout
    summary = (judged.directory / "test-results" / "summary.md").read_text()
    assert "1 baseline scored again: 0.50 to 1.00" in summary.splitlines()[0]
    file = f"`changed: experiments/{judged.name}/same.py`"
    assert f"`same` scored {EXAMPLES} baseline outputs again ({file}): 0.50 to 1.00." in summary
    assert client.experiments.get_experiment(experiment_id=baseline) == recorded


def test_the_gate_reads_what_was_scored_again_and_never_calls_user_code(judged):
    """From Phoenix, and from the report, in a folder without experiments."""
    edit_evaluator(judged)
    assert judged.run("run", **PULL, WRONG="1").returncode == 1
    (experiment,) = results_of(judged)["experiments"]
    forget_calls(judged)
    (judged.directory / "experiments").rename(judged.directory / "elsewhere")
    asked = ("--gate", f"{judged.name}.same drop <= 0.02")
    for which in (("--experiment", experiment["experiment_id"]), ("--results", "test-results/results.json")):
        done = judged.run("gate", *which, *asked, "--report-dir", "judged", **PULL)
        assert done.returncode == 1, done.stdout + done.stderr
        (baseline,) = results_of(judged, "judged")["baselines"]
        assert [one["evaluator"] for one in baseline["rescored"]] == ["same"]
    assert calls(judged, "same") == 0


@pytest.mark.slow
def test_what_is_scored_again_comes_from_a_file_too(judged):
    """Its outputs are in the file. A secret in an example is masked there, and not in the example that is the same."""
    report = results_of(judged)
    for run in report["experiments"][0]["runs"]:
        run["expected"] = {"expected_output": "***"}
    (judged.directory / "main.json").write_text(json.dumps(report))
    edit_evaluator(judged)
    done = judged.run("run", "--baseline", "file:main.json", **PULL, WRONG="1")
    assert done.returncode == 1
    assert results_of(judged)["baselines"][0]["rescored"]


def test_shards_score_their_own_examples_again_and_the_gate_judges_them_all(judged):
    """Each shard calls the evaluator on its examples and on the baseline's outputs for them."""
    edit_evaluator(judged)
    key = {"EVALWIRE_RUN_KEY": uuid.uuid4().hex}
    for shard in ("1/2", "2/2"):
        done = judged.run("run", "--shard", shard, **PULL, **key, WRONG="1")
        assert done.returncode == 0, done.stdout + done.stderr
    assert calls(judged, "same") == 2 * EXAMPLES
    assert calls(judged, "task") == EXAMPLES
    done = judged.run("gate", "--shards", "2", **PULL, **key)
    assert done.returncode == 1, done.stdout + done.stderr
    (baseline,) = results_of(judged)["baselines"]
    assert baseline["rescored"][0]["outputs"] == EXAMPLES
    (gate,) = [one for one in results_of(judged)["gates"] if one["rule"] == "max_drop"]
    assert gate["status"] == "failed"


@pytest.mark.parametrize("is_task_changed", [False, True])
def test_an_evaluator_may_be_refused_beside_a_changed_task(judged, is_task_changed):
    """With `on_evaluator_change = "fail"`, nothing is scored again that is red anyway."""
    gates(judged, 'on_evaluator_change = "fail"\n' + GATES)
    edit_evaluator(judged)
    if is_task_changed:
        edit(judged, "task.py", "example.output", "example['output']")
    done = judged.run("run", **PULL)
    assert done.returncode == int(is_task_changed), done.stdout + done.stderr
    assert calls(judged, "same") == EXAMPLES * (1 if is_task_changed else 2)
    text = results_of(judged)["gates"][0]["text"]
    assert ("both changed" in text) is is_task_changed


@pytest.mark.slow
def test_an_evaluator_that_fails_on_the_baseline_cannot_be_compared(judged):
    """One failure is too many, unless so many may fail; then its pair is left out, and told."""
    broken = 'return clean(output) == clean(expected["expected_output"])'
    raising = 'assert "3" in expected["expected_output"] or output == "nonsense"\n    ' + broken
    edit(judged, "same.py", broken, raising)
    done = judged.run("run", **PULL, WRONG="1")
    assert done.returncode == 1
    assert f"failed on {EXAMPLES - 1} of the baseline's {EXAMPLES} outputs; the limit is 0%" in done.stdout
    gates(judged, "max_error_rate = 0.95\n" + GATES)
    judged.run("run", **PULL, WRONG="1")
    (gate,) = [one for one in results_of(judged)["gates"] if one["rule"] == "max_drop"]
    assert f"{EXAMPLES - 1} unchanged examples have no score in this run or in the baseline" in gate["text"]


@pytest.mark.slow
def test_a_resumed_job_scores_only_what_has_not_been_scored_again(judged):
    edit_evaluator(judged)
    assert judged.run("run", **PULL).returncode == 0
    forget_calls(judged)
    done = judged.run("resume", "--experiment", results_of(judged)["experiments"][0]["experiment_id"], **PULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert calls(judged, "same") == 0
    assert results_of(judged)["baselines"][0]["rescored"]


def test_a_smoke_run_is_compared_with_mains_whole_run_and_is_not_the_baseline_of_everything(
    judged, client, phoenix_url
):
    """And one that covers only a few of the examples is none, by its share."""
    whole = results_of(judged)["experiments"][0]["experiment_id"]
    split = f"smoke of {judged.name}"
    make_split(client, phoenix_url, judged.name, split, count=OF_SPLIT)
    done = judged.run("run", "--split", split, **PULL, WRONG="1")
    assert results_of(judged)["baselines"][0]["experiment_id"] == whole, done.stderr
    assert results_of(judged)["baselines"][0]["paired"] == OF_SPLIT
    assert judged.run("run", "--split", split, **MAIN).returncode == 0
    smoke = results_of(judged)["experiments"][0]["experiment_id"]
    assert judged.run("run", **PULL, WRONG="1").returncode == 1
    assert results_of(judged)["baselines"][0]["experiment_id"] == whole
    done = judged.run("run", "--baseline", smoke, **PULL, WRONG="1")
    assert done.returncode == 0
    assert done.stdout.startswith("PASSED, but 1 drop gate had no baseline")
    assert f"{OF_SPLIT} of {EXAMPLES} examples are unchanged since" in done.stdout


def test_two_models_by_prefix_are_not_compared_with_each_other(judged):
    """That there is none but another model's is named."""
    done = judged.run("run", "--prefix", "other_model", **PULL, WRONG="1")
    assert done.returncode == 0
    assert done.stdout.startswith("PASSED, but 1 drop gate had no baseline")
    assert "has the prefix eval instead of other_model" in done.stdout
    assert "::warning" in done.stdout
    gates(judged, 'on_no_baseline = "fail"\n' + GATES)
    assert judged.run("run", "--prefix", "other_model", **PULL).returncode == 1
    assert judged.run("run", "--prefix", "other_model", **MAIN).returncode == 0, "the base branch has to begin"
