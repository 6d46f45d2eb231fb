"""A project of evalwire 0.6's shape, unedited: every command of its pipeline, and its own script."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from conftest import Project, script_command

pytestmark = pytest.mark.needs_phoenix

PROJECT = Path(__file__).parents[1] / "support/drop_in"


@pytest.fixture
def project(phoenix_project: Project) -> Project:
    """A copy, with datasets of its own names."""
    suffix = uuid.uuid4().hex[:8]
    shutil.copytree(PROJECT, phoenix_project.directory, dirs_exist_ok=True)
    for name in ("doc_search", "topic_router"):
        shutil.move(phoenix_project.experiments / name, phoenix_project.experiments / f"{name}_{suffix}")
    for file in ("data/testset.csv", "evaluate.py"):
        path = phoenix_project.directory / file
        text = path.read_text()
        for name in ("doc_search", "topic_router"):
            text = text.replace(name, f"{name}_{suffix}")
        path.write_text(text)
    return phoenix_project


def experiments_of(project: Project) -> dict[str, str]:
    """The ids of the last run's experiments, by their folders' names without the suffix."""
    found = json.loads((project.directory / "test-results/results.json").read_text())
    return {one["name"].rpartition("_")[0]: one["experiment_id"] for one in found["experiments"]}


def test_its_pipeline_of_commands(project: Project):
    """Each command ends with the code that it had, and what it writes is there."""
    done = project.run("validate")
    assert (done.returncode, "valid; examples by dataset" in done.stdout) == (0, True)
    done = project.run("upload")
    assert (done.returncode, done.stdout.count("created, 3 examples")) == (0, 2)
    assert project.run("upload").stdout.count("skipped, 3 examples") == 2
    done = project.run("run")
    assert (done.returncode, done.stdout.splitlines()[0][:6]) == (0, "PASSED")
    first = experiments_of(project)
    assert project.run("run", "--name", next(iter(project.experiments.glob("doc*"))).name).returncode == 0
    second = experiments_of(project)
    done = project.run("export", "--experiment", first["doc_search"])
    assert done.returncode == 0
    with (project.directory / f"{first['doc_search']}.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3
    done = project.run("compare", first["doc_search"], second["doc_search"])
    assert (done.returncode, "top_k" in done.stdout) == (0, True)
    done = project.run("report", "--experiment", first["topic_router"])
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"# Experiment Report: {first['topic_router']}")
    assert "**Total runs:** 3" in done.stdout
    assert "- **exact_match**: 1.0000" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["validate", "--csv", "nowhere.csv"], 2, marks=pytest.mark.slow),
        pytest.param(["upload", "--csv", "nowhere.csv"], 2, marks=pytest.mark.slow),
        pytest.param(["upload", "--on-exist", "replace"], 2, marks=pytest.mark.slow),
        (["run", "--name", "nowhere"], 1),
        (["export", "--experiment", "RXhwZXJpbWVudDo5OTk5OTk="], 2),
        pytest.param(["compare", "RXhwZXJpbWVudDo5OTk5OTk=", "RXhwZXJpbWVudDo5OTk5OTg="], 2, marks=pytest.mark.slow),
        (["report", "--experiment", "RXhwZXJpbWVudDo5OTk5OTk="], 2),
    ],
)
def test_the_codes_of_what_goes_wrong(project: Project, arguments, code):
    done = project.run(*arguments)
    assert done.returncode == code
    assert done.stderr + done.stdout


def test_a_testset_with_issues_is_told_by_validate(project: Project):
    file = project.directory / "data/testset.csv"
    file.write_text(file.read_text() + "a question,,\n")
    done = project.run("validate")
    assert done.returncode == 1
    assert "row 7: empty tag in column 'tags'" in done.stdout
    assert "row 7: empty expected output in column 'expected_output'" in done.stdout
    assert project.run("upload", "--strict").returncode == 2


def test_its_own_script(project: Project):
    done = subprocess.run(
        script_command("evaluate.py"),
        cwd=project.directory,
        env=project.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[0])
    assert [name.rpartition("_")[0] for name in said["datasets"]] == ["doc_search", "topic_router"]
    assert said["runs"] == [3, 3]
    assert said["compared"]["top_k"]["delta"] == 0.0
    assert 0.8 < said["compared"]["top_k"]["score_a"] < 1.0
    assert "**Total runs:** 3" in done.stdout
    assert len(list(project.directory.glob("*.csv"))) == 2


def test_a_run_says_that_examples_run_at_once_until_it_is_set(phoenix_project, make_dataset):
    """With 0.6 they ran one after the other. The example is 0.6's: its last change is a `datetime`."""
    task = "async def task(example):\n    return [example.updated_at.year > 2000, type(example.updated_at).__name__]\n"
    phoenix_project.experiment(
        make_dataset(2), task=task, new="def new(output):\n    return output == [True, 'datetime']\n"
    )
    note = "note: 10 examples run in parallel; evalwire 0.6 ran one at a time."
    done = phoenix_project.run("run")
    assert done.returncode == 0, done.stdout
    assert done.stderr.count(note) == 1
    assert note not in phoenix_project.run("run", "--task-concurrency", "10").stderr
    assert note not in phoenix_project.run("run", "--dry-run").stderr


# --- pipes in the expected column, a task that keeps state, and rows without a reference ------------------

ROWS = (
    "user_query,expected_output,tags\n"
    "refund?,billing | refunds,{tag}\n"
    "price?,prices,{tag}\n"
    "a|b?,x|y,{tag}\n"
    "hello,,{tag}\n"
    "thanks,,{tag}\n"
    "bye,,{tag}\n"
)
STATEFUL = """
seen = []

async def task(example):
    seen.append(example.input["user_query"])
    answers = {"refund?": "refunds", "price?": "prices", "a|b?": "x|y"}
    return answers.get(seen[-1], f"answer {len(seen)}")
"""


def test_pipes_state_and_rows_without_references_give_what_0_6_gave(phoenix_project: Project):
    """Or a line says why not: what became a list, what has no reference, and that examples run at once."""
    tag = f"router_{uuid.uuid4().hex[:8]}"
    factories = "from evalwire.evaluators import make_membership_evaluator\n\n"
    phoenix_project.write(
        {"evalwire.toml": '[dataset]\ncsv_path = "testset.csv"\n', "testset.csv": ROWS.format(tag=tag)}
    )
    phoenix_project.experiment(
        tag,
        task=STATEFUL,
        member=f"{factories}member = make_membership_evaluator()\n",
        short="def short(output):\n    return len(output) < 20\n",
    )
    uploaded = phoenix_project.run("upload")
    assert (uploaded.returncode, uploaded.stdout) == (0, f"{tag}: created, 6 examples\n")
    assert "expected_output" in uploaded.stderr
    assert "split_columns = []" in uploaded.stderr, "how text is kept"
    assert "empty expected output" in uploaded.stderr

    at_once = phoenix_project.run("run")
    assert "task_concurrency = 1" in at_once.stderr
    report = phoenix_project.directory / "test-results/results.json"
    first = json.loads(report.read_text())["experiments"][0]["experiment_id"]
    in_order = phoenix_project.run("run", "--task-concurrency", "1")
    assert "task_concurrency = 1" not in in_order.stderr
    (experiment,) = json.loads(report.read_text())["experiments"]
    runs = {run["input"]["user_query"]: run for run in experiment["runs"]}
    assert [runs[query]["output"] for query in ("hello", "thanks", "bye")] == ["answer 4", "answer 5", "answer 6"]
    assert runs["refund?"]["expected"] == {"expected_output": ["billing", "refunds"]}
    assert runs["a|b?"]["expected"] == {"expected_output": "x|y"}, "of a regular expression, say"
    scores = {one["name"]: one["mean"] for one in experiment["scores"]}
    assert scores == {"member": 0.5, "short": 1.0}, "a row without a reference is no member"
    assert (at_once.returncode, in_order.returncode) == (0, 0)

    compared = phoenix_project.run("compare", first, experiment["experiment_id"])
    assert compared.returncode == 0
    assert "member" in compared.stdout
