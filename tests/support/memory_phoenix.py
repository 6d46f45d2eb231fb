"""A Phoenix in memory, at the seams that jobs use: as many whole runs in a second as a real one makes in minutes."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalwire.cli.invocation import Invocation
from evalwire.errors import DatasetNotFound, EvalwireError, ExperimentNotFound
from evalwire.jobs import Console
from evalwire.masking import Mask
from evalwire.model import Dataset, Evaluation, Example, ExperimentResult, Label, TaskRun
from evalwire.phoenix.recorded import RecordedExperiments
from evalwire.phoenix.runs import to_run
from evalwire.settings import load_settings


class MemoryPhoenix:
    """One dataset in versions, with one split, and the experiments on it."""

    endpoint = "http://memory"

    def __init__(self, name: str, examples: Sequence[Example], *, split: str, of_split: Collection[str]) -> None:
        self.datasets = _Datasets(name, examples, split=split, of_split=of_split)
        self.experiments = _Experiments(self.datasets)
        self.runs = _Runs(self.experiments)
        self.claims = _Claims()
        self.spans = _Spans()
        self.testsets = _Testsets()
        self.annotations = _Annotations()
        self.version = lambda: "1.0"
        self.recorded = RecordedExperiments(None, self.datasets, self.experiments, self.runs)  # type: ignore[arg-type]


class _Annotations:
    """People's annotations, by the ID of the experiment and their name."""

    def __init__(self) -> None:
        self.labels: dict[tuple[str, str], list[Label]] = {}

    def people(self, experiment: ExperimentResult, name: str) -> list[Label]:
        return list(self.labels.get((experiment.experiment_id, name), ()))


class _Datasets:
    def __init__(self, name: str, examples: Sequence[Example], *, split: str, of_split: Collection[str]) -> None:
        self.name, self.split, self.of_split = name, split, set(of_split)
        self.versions: dict[str, tuple[Example, ...]] = {}
        self.add(examples)

    def add(self, examples: Sequence[Example]) -> None:
        """Make a new version."""
        self.versions[f"V{len(self.versions) + 1}"] = tuple(examples)

    @property
    def newest(self) -> tuple[Example, ...]:
        return list(self.versions.values())[-1]

    def find_id(self, name: str) -> str:
        if name != self.name:
            raise DatasetNotFound(name)
        return "D1"

    def newest_version(self, dataset_id: str) -> str:
        del dataset_id
        return list(self.versions)[-1]

    def fetch(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        return self.fetch_version(self.find_id(name), version_id or self.newest_version("D1"), split=split)

    def with_splits(self, dataset: Dataset) -> Dataset:
        return dataset

    def fetch_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        assert split in (None, self.split)
        examples = self.versions[version_id]
        if split is not None:
            examples = tuple(one for one in examples if one.id in self.of_split)
        return Dataset(id=dataset_id, name=self.name, version_id=version_id, examples=examples, split=split)


class _Experiments:
    def __init__(self, datasets: _Datasets) -> None:
        self._datasets = datasets
        self.records: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
        self._numbers = itertools.count(1)

    def create(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        del adopt
        id_ = f"E{next(self._numbers)}"
        self.records[id_] = {
            "id": id_,
            "dataset_id": dataset.id,
            "dataset_version_id": dataset.version_id,
            "name": name,
            "metadata": json.loads(json.dumps(metadata)),
            "created_at": datetime.now(UTC).isoformat(),
            "repetitions": repetitions,
            "project_name": f"P{id_}",
            "example_count": len(dataset.examples),
        }
        self.runs[id_] = {}
        return self.records[id_]

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        if experiment_id not in self.records:
            raise ExperimentNotFound(experiment_id)
        record = self.records[experiment_id]
        made = self.runs[experiment_id].values()
        failed = sum(run["error"] is not None for run in made)
        missing = record["example_count"] * record["repetitions"] - len(made)
        counts = {"failed_run_count": failed, "successful_run_count": len(made) - failed, "missing_run_count": missing}
        return {**record, **counts}

    def on_dataset(self, dataset_name: str, *, is_patient: bool = True) -> Iterator[Mapping[str, Any]]:
        del is_patient
        self._datasets.find_id(dataset_name)
        yield from map(self.find, reversed(self.records))

    def note_end(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        self.records[experiment_id]["metadata"] = json.loads(json.dumps(metadata))

    def remove(self, experiment_id: str) -> None:
        self.records.pop(experiment_id, None)

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """There are none."""

    def url(self, dataset_id: str, experiment_id: str) -> str:
        return f"http://memory/datasets/{dataset_id}/compare?experimentId={experiment_id}"

    def tags(self, experiment_id: str) -> list[str]:
        del experiment_id
        return []


class _Runs:
    def __init__(self, experiments: _Experiments) -> None:
        self._experiments = experiments
        self._by_id: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        id_ = f"R{next(self._numbers)}"
        recorded = {
            "id": id_,
            "dataset_example_id": run.example.node_id,
            "output": json.loads(json.dumps(run.output)),
            "error": error,
            "start_time": run.start_time.isoformat(),
            "end_time": run.end_time.isoformat(),
            "repetition_number": run.repetition,
            "trace_id": run.trace_id,
            "annotations": {},
        }
        before = self._experiments.runs[experiment_id].get(run.key)
        assert before is None or before["error"] is not None, "a run was recorded twice"
        self._experiments.runs[experiment_id][run.key] = self._by_id[id_] = recorded
        return id_

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        self._by_id[run_id]["annotations"][evaluation.name] = {
            "name": evaluation.name,
            "score": evaluation.score,
            "label": evaluation.label,
            "explanation": evaluation.explanation,
            "metadata": json.loads(json.dumps(dict(evaluation.metadata))),
            "annotator_kind": evaluation.annotator_kind,
            "error": error,
            "start_time": evaluation.start_time.isoformat(),
            "end_time": evaluation.end_time.isoformat(),
            "trace_id": evaluation.trace_id,
        }
        return f"A{run_id}{evaluation.name}"

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        made = self._experiments.runs[experiment_id]
        places = [(example, key) for example in dataset.examples for key in sorted(made) if key[0] == example.node_id]
        return [to_run(made[key], example, list(made[key]["annotations"].values())) for example, key in places]

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        del is_part
        made = self._experiments.runs[experiment_id]
        return [f"run {run.key}" for run in runs if run.id is not None and run.key not in made]


class _Claims:
    def __init__(self) -> None:
        self._holders: dict[str, str] = {}

    def holder(self, claim: str) -> str | None:
        return self._holders.get(claim)

    def take(self, claim: str, experiment_id: str) -> str:
        return self._holders.setdefault(claim, experiment_id)


class _Testsets:
    def find(self, name: str) -> None:
        """There is nothing to compare a testset with."""
        del name


class _Spans:
    def deliver(self, project: str, spans: Sequence[Any]) -> int:
        del project, spans
        return 0


def edited(example: Example, answer: str) -> Example:
    """Return an example with another expected output."""
    return replace(example, output={**example.output, "answer": answer})


def call(
    command: Any,
    phoenix: MemoryPhoenix,
    folder: Path,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    **options: Any,
) -> tuple[int, str]:
    """Run a command on a Phoenix in memory; return its exit code and what it wrote."""
    flags = {"experiments": str(folder / "experiments"), "report_dir": str(folder / "reports"), **flags}
    out, err = io.StringIO(), io.StringIO()
    invocation = Invocation(
        settings=load_settings(flags, environ, directory=folder),
        environ=environ,
        console=Console(out=out, err=err, mask=Mask([]), write_command=out.write, width=200),
        connect=lambda _: phoenix,  # type: ignore[arg-type, return-value]
    )
    try:
        code = command(invocation, **options)
    except EvalwireError as error:
        return error.exit_code, f"{err.getvalue()}{error}"
    return code, out.getvalue() + err.getvalue()
