"""`evalwire score` with a real Phoenix: new scores of recorded outputs, and no call of a task."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.needs_phoenix

TASK = """
    from opentelemetry import trace

    def task(example):
        with trace.get_tracer("mine").start_as_current_span("model"):
            if example.input["q"] == "question 1":
                raise ValueError("no answer")
            return {"text": f" {example.output['expected_output']} "}
"""
REFUSES = "def task(example):\n    raise AssertionError('the task was called')\n"
STRICT = "def same(output, expected): return output['text'] == expected['expected_output']\n"
FIXED = """
    SEEN = []

    def same(output, expected, trace_id):
        assert len(trace_id) == 32
        return output["text"].strip() == expected["expected_output"]
"""
SETTINGS = "[experiments.{name}.gates]\nsame = {{ min = 0.5 }}\nmax_error_rate = 0.5\nmax_p95_seconds = 0.0\n"


def test_new_scores_of_a_recorded_experiment_need_no_call_of_the_task(phoenix_project, make_dataset, client, spans_of):
    name = make_dataset(4)
    project = phoenix_project.experiment(name, task=TASK, same=STRICT)
    assert project.run("run", "--repetitions", "2").returncode == 1
    source = results_of(project)
    project.experiment(name, task=REFUSES, same=FIXED)
    project.write({"evalwire.toml": SETTINGS.format(name=name)})

    done = project.run("score", name, EVALWIRE_TRACE_EVALUATORS="all")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("no task is called: max_p95_seconds is not applied") == 1
    scored = results_of(project)
    assert [each["mean"] for each in scored["scores"]] == [1.0]
    before, after = (
        client.experiments.get_experiment(experiment_id=each["experiment_id"]) for each in (source, scored)
    )
    assert recorded(before) == recorded(after)
    assert len(after["task_runs"]) == 8
    assert after["project_name"] != before["project_name"]
    assert spans_of(
        "evaluators", at_least=1, name="same"
    )  # of the evaluator, while the experiment's own project has none
    facts = after["experiment_metadata"]["evalwire"]
    assert facts["source"]["experiment"] == source["experiment_id"]
    assert facts["outcome"] == "passed"

    listed = project.run("runs")
    assert "passed (new scores)" in listed.stdout
    pinned = project.run("baseline", "pin", "last", "--tag", "release")
    assert pinned.returncode == 2
    compared = project.run("compare", "last~1", "last")
    assert "3 examples better" in compared.stdout


@pytest.mark.parametrize("kind", ["journal_*.jsonl", "results.json"])
def test_the_outputs_of_a_file_are_scored_and_interrupted_scores_are_resumed(phoenix_project, make_dataset, kind):
    name = make_dataset(3)
    project = phoenix_project.experiment(name, task=TASK.replace('"question 1"', '"none"'), same=STRICT)
    project.run("run")
    source = results_of(project)
    project.experiment(name, task=REFUSES, same=FIXED)
    (path,) = (project.directory / "test-results").glob(kind)

    done = project.run("score", "--from", str(path))
    assert done.returncode == 0, done.stdout + done.stderr

    journal = max((project.directory / "test-results").glob("journal_*.jsonl"))
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:5]))  # all outputs, but no experiment
    done = project.run("resume")
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = results_of(project)
    assert resumed["metadata"]["evalwire"]["source"]["experiment"] == source["experiment_id"]
    assert [run["output"] for run in resumed["runs"]] == [run["output"] for run in source["runs"]]
    assert [each["mean"] for each in resumed["scores"]] == [1.0]


def results_of(project):
    (experiment,) = json.loads((project.directory / "test-results" / "results.json").read_text())["experiments"]
    return experiment


def recorded(experiment):
    keys = ("dataset_example_id", "repetition_number", "output", "error", "start_time", "end_time", "trace_id")
    return sorted(json.dumps({key: run.get(key) for key in keys}) for run in experiment["task_runs"])
