"""People's labels in a real Phoenix: annotations on the root spans of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from evalwire.model import Label
from evalwire.phoenix import Phoenix

pytestmark = pytest.mark.needs_phoenix

TASK = """
    from opentelemetry import trace

    def task(example):
        with trace.get_tracer("mine").start_as_current_span("model"):
            return example.input["q"]
"""
ALWAYS = "def judged(output):\n    return True\n"


@pytest.fixture
def labeled(phoenix_project, make_dataset, client, spans_of):
    """A recorded experiment of 3 examples with 2 repetitions, whose spans have arrived."""
    name = make_dataset(3)
    project = phoenix_project.experiment(name, task=TASK, judged=ALWAYS)
    assert project.run("run", "--repetitions", "2").returncode == 0
    phoenix = Phoenix(client)
    result = phoenix.recorded.result(newest(project)["experiment_id"])
    spans_of(result.project_name, at_least=12)
    return project, phoenix, result


def newest(project: Any) -> Any:
    return json.loads((project.directory / "test-results" / "results.json").read_text())["experiments"][0]


def labels_of(result: Any, annotator: str, *values: float) -> list[Label]:
    return [
        Label(
            value=float(value),
            example_id=run.example.id,
            repetition=run.repetition,
            experiment_id=result.experiment_id,
            run_id=run.id,
            annotator=annotator,
            note=f"note of {annotator}" if value == 0 else "",
        )
        for run, value in zip(result.runs, values, strict=False)
    ]


def test_labels_are_read_as_they_were_written(labeled):
    _, phoenix, result = labeled
    ann, bob = labels_of(result, "ann", 1, 0, 1), labels_of(result, "bob", 0, 0)
    score = replace(labels_of(result, "cleo", 0.25)[0], is_score=True)
    assert phoenix.annotations.write(result, [*ann, *bob, score], "judged") == []
    found = phoenix.annotations.people(result, "judged")
    assert sorted(found, key=str) == sorted([*ann, *bob, score], key=str)
    assert [label.run_id for label in found] == sorted(
        (label.run_id for label in found), key=[run.id for run in result.runs].index
    )
    assert phoenix.annotations.people(result, "other") == []
    scores = phoenix.recorded.result(result.experiment_id).scores
    assert [(score.name, score.mean) for score in scores] == [("judged", 1.0)], "the judge's scores are as before"


def test_a_changed_label_replaces_only_its_own(labeled):
    _, phoenix, result = labeled
    ann, bob = labels_of(result, "ann", 1, 0), labels_of(result, "bob", 0)
    phoenix.annotations.write(result, [*ann, *bob], "judged")
    changed = replace(ann[0], value=0.0, note="")
    phoenix.annotations.write(result, [changed], "judged")
    assert sorted(phoenix.annotations.people(result, "judged"), key=str) == sorted([changed, ann[1], *bob], key=str)
    phoenix.annotations.remove(result, [ann[0]], "judged")
    assert sorted(phoenix.annotations.people(result, "judged"), key=str) == sorted([ann[1], *bob], key=str)


def test_only_people_are_read(labeled, client, caplog):
    """The root of a trace has annotations of programs, and of people with words of their own."""
    _, phoenix, result = labeled
    run = result.runs[0]
    spans = client.spans.get_spans(project_identifier=result.project_name, limit=100)
    [root] = [each for each in spans if each["context"]["trace_id"] == run.trace_id and not each["parent_id"]]
    rows = [("LLM", "machine", "pass", None), ("HUMAN", "ann", "factual", 1.0), ("HUMAN", "bob", "odd", None)]
    data = [
        {
            "span_id": root["context"]["span_id"],
            "name": "judged",
            "annotator_kind": kind,
            "identifier": who,
            "result": {"label": label, "score": score},
        }
        for kind, who, label, score in rows
    ]
    client._client.post("v1/span_annotations", params={"sync": True}, json={"data": data}).raise_for_status()
    [label] = phoenix.annotations.people(result, "judged")
    assert (label.annotator, label.value, label.is_score, label.word) == ("ann", 1.0, True, "")
    assert "ignored 1 annotation of people with the name 'judged'" in caplog.text


def test_new_scores_have_the_labels_of_the_scored_experiment(labeled):
    """`evalwire score` records runs whose traces are in the project of the scored experiment."""
    project, phoenix, before = labeled
    phoenix.annotations.write(before, labels_of(before, "ann", 1, 0), "judged")
    assert project.run("score", before.name).returncode == 0
    after = phoenix.recorded.result(newest(project)["experiment_id"])
    assert after.project_name != before.project_name
    fresh = Phoenix(phoenix._connection._client)
    assert [(label.annotator, label.value) for label in fresh.annotations.people(after, "judged")] == [
        ("ann", 1.0),
        ("ann", 0.0),
    ]
    assert fresh.annotations.write(after, labels_of(after, "bob", 1), "judged") == []


def test_a_run_without_a_trace_is_told(labeled):
    _, phoenix, result = labeled
    bare = replace(result, runs=(replace(result.runs[0], trace_id=None), *result.runs[1:]))
    labels = labels_of(bare, "ann", 1, 0)
    assert phoenix.annotations.write(bare, labels, "judged") == labels[:1]
    assert [label.run_id for label in phoenix.annotations.people(bare, "judged")] == [labels[1].run_id]
