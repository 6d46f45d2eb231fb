"""Recording with fakes at its seams: a Phoenix that keeps what it is asked, in order, and a journal beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalwire.errors import ExperimentNotFound
from evalwire.model import Callee, Dataset, Evaluation, Example, Experiment, OpenExperiment, TaskRun

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1.5)
EXAMPLES = tuple(
    Example(id=f"q{n}", node_id=f"N{n}", input={"q": n}, output={"a": n}, metadata={"m": n}) for n in range(8)
)
DATASET = Dataset(id="D", name="set", version_id="V1", examples=EXAMPLES)


class FakePhoenix:
    """A Phoenix with a dataset; `asked` has each request, by method, with what decides its answer.

    Attributes:
        dataset: the newest version of the dataset.
        records: the experiments, by ID.
        found: the runs that it reads back.
        holders: the experiment that has a claim, by claim.
        errors: the errors that it raises, by method; the rest of the calls are answered.
    """

    def __init__(self, dataset: Dataset = DATASET) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.dataset = dataset
        self.records: dict[str, dict[str, Any]] = {}
        self.found: list[TaskRun] = []
        self.holders: dict[str, str] = {}
        self.errors: dict[str, list[Exception | None]] = {}
        self.datasets = self.experiments = self.runs = self.claims = self

    def _ask(self, method: str, *about: Any) -> None:
        self.asked.append((method, *about))
        if errors := self.errors.get(method):
            error = errors.pop(0)
            if error is not None:
                raise error

    def fetch(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        self._ask("fetch", name, split, version_id)
        return replace(self.dataset, split=split, version_id=version_id or self.dataset.version_id)

    def fetch_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        self._ask("fetch_version", dataset_id, version_id, split)
        return replace(self.dataset, split=split, version_id=version_id)

    def with_splits(self, dataset: Dataset) -> Dataset:
        """Mark the examples, whatever their dataset."""
        return replace(dataset, examples=tuple(replace(each, splits=("known",)) for each in dataset.examples))

    def create(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        id_ = f"E{len(self.records) + 1}"
        self._ask("create", len(dataset.examples), name, repetitions, adopt)
        self.records[id_] = {
            "id": id_,
            "dataset_id": dataset.id,
            "dataset_version_id": dataset.version_id,
            "name": name,
            "metadata": metadata,
            "repetitions": repetitions,
            "project_name": f"P-{id_}",
            "example_count": len(dataset.examples),
        }
        return self.records[id_]

    def remove(self, experiment_id: str) -> None:
        self._ask("remove", experiment_id)

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        self._ask("remove_twins", dataset_id, key, keep)

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        self._ask("find", experiment_id)
        if experiment_id not in self.records:
            raise ExperimentNotFound(f"no experiment {experiment_id}")
        return self.records[experiment_id]

    def url(self, dataset_id: str, experiment_id: str) -> str:
        return f"http://phoenix/{dataset_id}/{experiment_id}"

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        self._ask("record", experiment_id, run.key, error)
        return f"R-{run.example.id}"

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        self._ask("record_evaluation", run_id, evaluation.name, dict(evaluation.metadata), error)
        return f"A-{run_id}-{evaluation.name}"

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        self._ask("read", experiment_id, len(dataset.examples))
        own = {example.node_id for example in dataset.examples}
        return [run for run in self.found if run.example.node_id in own]

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        self._ask("missing", experiment_id, [run.key for run in runs], is_part)
        return ["one is missing"]

    def holder(self, claim: str) -> str | None:
        self._ask("holder", claim)
        return self.holders.get(claim)

    def take(self, claim: str, experiment_id: str) -> str:
        self._ask("take", claim, experiment_id)
        return self.holders.setdefault(claim, experiment_id)


class FakeJournal:
    """A journal that writes to the list of what Phoenix is asked, which shows what came first."""

    def __init__(self, lines: list[tuple[Any, ...]]) -> None:
        self.lines = lines

    def creating(self, opened: OpenExperiment) -> None:
        self.lines.append(("creating", opened.recorded_name))

    def opened(self, opened: OpenExperiment) -> None:
        self.lines.append(("opened", opened.id, opened.url, opened.project_name))

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        self.lines.append(("returned", opened.id, run.key))

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Any) -> None:
        self.lines.append(("evaluated", opened.id, run.key, [each.name for each in evaluations]))


def evaluator(name: str) -> Callee:
    return Callee(name=name, path=Path(f"/project/experiments/sums/{name}.py"), function=print, is_async=False)


def experiment(name: str = "sums", *, evaluators: Collection[str] = ("exact",), **fields: Any) -> Experiment:
    return Experiment(
        name=name,
        dataset_name="set",
        path=Path("/project/experiments") / name,
        task=None,
        evaluators=tuple(map(evaluator, evaluators)),
        **fields,
    )


def opened(**fields: Any) -> OpenExperiment:
    given = {"experiment": experiment(), "dataset": DATASET, "recorded_name": "eval_set_then", "id": "E1", **fields}
    return OpenExperiment(**given)


def run(n: int = 0, **fields: Any) -> TaskRun:
    given = {"output": "said", "failure": None, "start_time": NOW, "end_time": LATER, **fields}
    return TaskRun(example=EXAMPLES[n], **given)


def evaluation(name: str = "exact", **fields: Any) -> Evaluation:
    given = {"evaluator": name, "score": 0.5, "start_time": NOW, "end_time": LATER, **fields}
    return Evaluation(name=name, **given)
