"""The doors for scripts work over any client that has the public `datasets` and `experiments`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from evalwire.errors import ExperimentNotFound, PhoenixError, UsageError
from evalwire.results import ResultCollector
from evalwire.uploader import DatasetUploader

RUNS = [
    {"id": "R1", "dataset_example_id": "E1", "output": "a", "repetition_number": 1},
    {"id": "R2", "dataset_example_id": "E2", "output": None, "error": "KeyError: 'q'"},
]


def said(name: str, score: float | None, run: str = "R1", **result: Any) -> dict[str, Any]:
    return {"experiment_run_id": run, "name": name, "result": {"score": score, **result}}


def ran(*evaluations: Any, **fields: Any) -> dict[str, Any]:
    return {"experiment_id": "X", "task_runs": RUNS, "evaluation_runs": list(evaluations), **fields}


def client_of(**experiments: Any) -> MagicMock:
    """A mock as users' own tests make it: any other call answers with a mock."""
    client = MagicMock()

    def get_experiment(*, experiment_id: str) -> Any:
        if experiment_id not in experiments:
            raise ValueError(f"Experiment not found: {experiment_id}")
        return experiments[experiment_id]

    client.experiments.get_experiment.side_effect = get_experiment
    return client


def test_a_recorded_experiment_is_given_as_the_client_gives_it():
    whole = ran(said("exact", 1.0))
    assert ResultCollector(client_of(X=whole)).get("X") is whole


def test_scores_of_two_are_compared():
    """By mappings, or by objects as Phoenix's own client has them; what one has not is None."""
    as_object = SimpleNamespace(experiment_run_id="R1", name="exact", result={"score": 0.25}, error=None)
    collector = ResultCollector(client_of(A=ran(said("exact", 1.0), said("size", 3.0)), B=ran(as_object)))
    compared = collector.compare("A", "B")
    assert {name: (scores["score_a"], scores["score_b"], scores["delta"]) for name, scores in compared.items()} == {
        "exact": (1.0, 0.25, -0.75),
        "size": (3.0, None, None),
    }
    assert (compared["exact"]["errors_a"], compared["size"]["errors_b"]) == (1, None)


def test_an_experiment_is_reported_and_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    collector = ResultCollector(client_of(X=ran(said("exact", 1.0, label="same"), dataset_id="D")))
    report = collector.report("X")
    assert report.startswith("# Experiment Report: X\n")
    assert "**Total runs:** 2" in report
    assert "- **exact**: 1.0000" in report
    document = json.loads(collector.export("X", "json").read_text())
    assert [(run["example_id"], run["output"], run["error"]) for run in document["runs"]] == [
        ("E1", "a", None),
        ("E2", None, "KeyError: 'q'"),
    ]
    rows = list(csv.DictReader(collector.export("X", "csv", tmp_path / "x.csv").read_text().splitlines()))
    assert [(row["score.exact"], row["label.exact"]) for row in rows] == [("1.0", "same"), ("", "")]


def test_a_client_that_tells_the_examples_has_them_in_the_export(tmp_path):
    client = client_of(X=ran(dataset_id="D", dataset_version_id="V"))
    example = {"id": "own", "node_id": "E1", "input": {"q": 1}, "output": {"a": 2}, "metadata": {"m": 3}}
    client.datasets.get_dataset.return_value = SimpleNamespace(name="set", examples=[example])
    document = json.loads(ResultCollector(client).export("X", "json", tmp_path / "x.json").read_text())
    assert document["runs"][0] | {"input": {"q": 1}, "expected": {"a": 2}, "metadata": {"m": 3}} == document["runs"][0]
    assert [run["example_id"] for run in document["runs"]] == ["own", "E2"]


@pytest.mark.parametrize("ask", ["get", "report", "export"])
def test_an_experiment_that_is_not_there_is_told(tmp_path, monkeypatch, ask):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentNotFound, match="MagicMock has no experiment 'gone'"):
        getattr(ResultCollector(client_of()), ask)("gone")


def test_what_is_no_experiment_is_told():
    with pytest.raises(PhoenixError, match="returned a MagicMock for the experiment 'X'"):
        ResultCollector(MagicMock()).report("X")
    with pytest.raises(PhoenixError, match="has no HTTP connection"):  # nothing of a client at all
        ResultCollector(object()).get("X")


# --- uploads -------------------------------------------------------------------------------------------


class Facade:
    """A team's own facade over what it has in memory."""

    def __init__(self, **held: Any) -> None:
        self.datasets = self.experiments = self
        self.held = held

    def get_dataset(self, *, dataset: str) -> Any:
        try:
            return self.held[dataset]
        except KeyError:
            raise RuntimeError(f"dataset {dataset} not found") from None

    def create_dataset(self, *, name: str, examples: list[Any]) -> Any:
        return self.held.setdefault(name, SimpleNamespace(examples=examples))

    def add_examples_to_dataset(self, *, dataset: str, examples: list[Any]) -> Any:
        self.held[dataset].examples.extend(examples)
        return self.held[dataset]


@pytest.fixture
def testset(tmp_path: Path) -> Path:
    path = tmp_path / "set.csv"
    path.write_text("id,user_query,expected_output,tags,split\nk1,q1,a1,t,dev\n,q2,a2 | b2,t|u,\n")
    return path


FIRST = {"input": {"user_query": "q1"}, "output": {"expected_output": "a1"}, "metadata": {}}
SECOND = {"input": {"user_query": "q2"}, "output": {"expected_output": ["a2", "b2"]}, "metadata": {}, "splits": []}


def test_datasets_are_created_over_a_facade(testset):
    facade = Facade()
    made = DatasetUploader(testset, facade).upload()
    assert made == facade.held
    assert facade.held["t"].examples == [FIRST | {"id": "k1", "splits": ["dev"]}, SECOND]
    assert facade.held["u"].examples == [SECOND]


def test_what_a_facade_has_is_skipped_or_appended_to(testset):
    facade = Facade(t=SimpleNamespace(examples=[FIRST]), u=SimpleNamespace(examples=[SECOND]))
    DatasetUploader(testset, facade).upload("skip")
    assert facade.held["t"].examples == [FIRST]
    DatasetUploader(testset, facade).upload("append")
    assert facade.held["t"].examples == [FIRST, SECOND]
    assert facade.held["u"].examples == [SECOND]
    with pytest.raises(UsageError, match="a client of type Facade cannot overwrite a dataset"):
        DatasetUploader(testset, facade).upload("overwrite")


def test_what_a_facade_has_and_the_file_has_not_needs_a_decision(testset):
    facade = Facade(t=SimpleNamespace(examples=[FIRST, {**FIRST, "input": {}}]))
    with pytest.raises(UsageError, match=r"(?s)nothing was uploaded:\n  t: 1 added, 1 removed\n"):
        DatasetUploader(testset, facade).upload()
    assert list(facade.held) == ["t"]
    facade.held["t"].examples[1:] = [SECOND]
    assert list(DatasetUploader(testset, facade).upload()) == list(facade.held) == ["t", "u"]


def test_a_mock_has_every_dataset_and_takes_every_row(testset):
    client = MagicMock()
    assert DatasetUploader(testset, client).upload()["t"] is client.datasets.get_dataset.return_value
    client.datasets.get_dataset.side_effect = ValueError("Dataset not found")
    DatasetUploader(testset, client).upload("overwrite")
    assert [call.kwargs["name"] for call in client.datasets.create_dataset.call_args_list] == ["t", "u"]


@pytest.mark.parametrize("call", ["get_dataset", "create_dataset"])
def test_a_client_that_fails_is_told(testset, call):
    client = Mock()
    client.datasets.get_dataset.side_effect = ValueError("Dataset not found")
    getattr(client.datasets, call).side_effect = OSError("no route")
    with pytest.raises(PhoenixError, match=r"client .*no route"):
        DatasetUploader(testset, client).upload()
