"""Access to experiments and datasets through the public `datasets` and `experiments` of any client-like object.

Examples are a team's wrapper around the client, or a mock in tests. There are no retries. Operations that the public
calls do not offer are errors.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

import httpx

from evalwire.errors import ExperimentNotFound, PhoenixError, UsageError
from evalwire.model import EMPTY, Dataset, Example, content_hash
from evalwire.phoenix.export import Note, Recording
from evalwire.phoenix.recorded import to_result
from evalwire.phoenix.request_errors import status_of
from evalwire.phoenix.runs import to_run

if TYPE_CHECKING:
    from evalwire.model import ExperimentResult, OnExist

_NO_TIME = datetime.fromtimestamp(0, UTC)

_OF_AN_EVALUATION = ("name", "annotator_kind", "error", "metadata", "start_time", "end_time", "trace_id")


def has_public_calls_only(client: Any) -> bool:
    """Check whether a client has the public calls of Phoenix's client, but no HTTP connection for other requests."""
    has_connection = isinstance(getattr(client, "_client", None), httpx.Client)
    return not has_connection and hasattr(client, "datasets") and hasattr(client, "experiments")


class PublicClient:
    """Phoenix through the public calls of a client, with the interface of `Phoenix` for reading experiments.

    Attributes:
        experiments: finds experiments.
        recorded: reads experiments.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.experiments = self
        self.recorded = self

    def get(self, experiment_id: str) -> Any:
        """Return an experiment as the client returns it.

        Raises:
            ExperimentNotFound: no experiment has this ID.
        """
        try:
            return self._client.experiments.get_experiment(experiment_id=experiment_id)
        except Exception as error:
            if _is_absent(error):
                raise ExperimentNotFound(
                    f"the client of type {type(self._client).__name__} has no experiment {experiment_id!r}."
                ) from error
            raise PhoenixError(f"the experiment {experiment_id!r} cannot be read: {error}") from error

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment in the form of Phoenix's record.

        Raises:
            ExperimentNotFound: no experiment has this ID.
            PhoenixError: the client did not return an experiment.
        """
        ran = self.get(experiment_id)
        if not isinstance(ran, Mapping) or not isinstance(ran.get("task_runs"), Sequence):
            raise PhoenixError(
                f"the client of type {type(self._client).__name__} returned a {type(ran).__name__} for the experiment "
                f"{experiment_id!r}. Expected a mapping with task_runs and evaluation_runs, like "
                "experiments.get_experiment."
            )
        runs = [_plain(run) for run in ran["task_runs"]]
        failed = sum(bool(run.get("error")) for run in runs)
        return {
            **{key: ran.get(key) for key in ("dataset_id", "dataset_version_id", "project_name")},
            "id": experiment_id,
            "name": experiment_id,
            "metadata": ran.get("experiment_metadata") or {},
            "repetitions": max((_repetition(run) for run in runs), default=1),
            "example_count": len({run.get("dataset_example_id") for run in runs}),
            "successful_run_count": len(runs) - failed,
            "failed_run_count": failed,
            "missing_run_count": 0,
            "task_runs": runs,
            "evaluation_runs": [_plain(evaluation) for evaluation in ran.get("evaluation_runs") or ()],
        }

    def url(self, dataset_id: Any, experiment_id: str) -> str | None:
        """Return the address of the experiment's page, or None if the client does not provide it."""
        get_url = getattr(self._client.experiments, "get_experiment_url", None)
        found = get_url(dataset_id=dataset_id, experiment_id=experiment_id) if callable(get_url) else None
        return found if isinstance(found, str) else None

    def result(self, experiment_id: str, *, is_whole: bool = True) -> ExperimentResult:
        """Return an experiment as a result.

        Raises:
            ExperimentNotFound: no experiment has this ID.
            PhoenixError: the client did not return an experiment.
        """
        record = self.find(experiment_id)
        dataset = self._dataset(record)
        examples = {example.node_id: example for example in dataset.examples}
        found = [
            to_run(run, examples[run["dataset_example_id"]], annotations) for run, annotations in _annotated(record)
        ]
        url = self.url(record["dataset_id"], experiment_id)
        return to_result(record, dataset, found, url=url, is_whole=is_whole)

    def download(self, record: Mapping[str, Any], document: BinaryIO) -> Recording:
        """Return all data of an experiment, with the runs in a file."""
        examples = self._dataset(record).examples
        by_id = {example.node_id: example for example in examples}
        places = {example.node_id: place for place, example in enumerate(examples)}
        rows = [
            {
                **run,
                "example_id": run["dataset_example_id"],
                "input": by_id[run["dataset_example_id"]].input,
                "reference_output": by_id[run["dataset_example_id"]].output,
                "annotations": annotations,
            }
            for run, annotations in _annotated(record)
        ]
        rows.sort(key=lambda row: (places[row["example_id"]], row["repetition_number"]))
        document.write(json.dumps(rows, default=str).encode())
        notes = {node_id: Note(place, by_id[node_id].id, by_id[node_id].metadata) for node_id, place in places.items()}
        without_runs = {key: value for key, value in record.items() if not key.endswith("_runs")}
        return Recording.of(without_runs, document, notes=notes, incomplete=[])

    def _dataset(self, record: Mapping[str, Any]) -> Dataset:
        """Return the examples that ran, with the contents that the client provides."""
        found = None
        if record["dataset_id"]:
            try:
                found = self._client.datasets.get_dataset(
                    dataset={"id": record["dataset_id"]}, version_id=record["dataset_version_id"]
                )
            except Exception as error:
                if not _is_absent(error):
                    raise PhoenixError(f"the dataset {record['dataset_id']!r} cannot be read: {error}") from error
        known = {str(example.get("node_id") or example["id"]): example for example in _examples_of(found)}
        ran = dict.fromkeys([*known, *(str(run["dataset_example_id"]) for run, _ in _annotated(record))])
        name = getattr(found, "name", None)
        return Dataset(
            id=str(record["dataset_id"]),
            name=name if isinstance(name, str) else str(record["metadata"].get("dataset") or record["id"]),
            version_id=str(record["dataset_version_id"]),
            examples=[_example(node_id, known.get(node_id, EMPTY)) for node_id in ran],
        )

    # --- datasets ---

    def changes(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Return the numbers of rows that an existing dataset does not have, and of its other examples.

        Returns:
            A text such as "2 added, 1 removed"; empty if nothing differs, or if the client provides no list of
            examples.

        Raises:
            PhoenixError: the client cannot find out whether the dataset exists.
        """
        held = self._held(name)
        if not isinstance(getattr(held, "examples", None), list | tuple):
            return ""
        own, there = Counter(map(_content_of, rows)), Counter(map(_content_of, _examples_of(held)))
        added, removed = (own - there).total(), (there - own).total()
        return f"{added} added, {removed} removed" if added or removed else ""

    def upload(self, name: str, rows: Iterable[Mapping[str, Any]], *, on_exist: OnExist) -> tuple[Any, str]:
        """Upload the rows of a dataset; return the client's dataset and the action that was taken.

        Args:
            name: the dataset's name.
            rows: the rows, each with `input`, `output`, `metadata`, and optionally `id` and `splits`.
            on_exist: the action for an existing dataset.

        Raises:
            UsageError: the dataset exists and should be overwritten, which the public calls do not offer.
            PhoenixError: the client did not accept the dataset.
        """
        held = self._held(name)
        if held is not None and on_exist == "overwrite":
            raise UsageError(
                f"{name}: a client of type {type(self._client).__name__} cannot overwrite a dataset. Pass a "
                "phoenix.client.Client."
            )
        if held is not None and on_exist == "skip":
            return held, "skipped"
        new = list(rows) if held is None else _without_held(rows, held)
        if held is not None and not new:
            return held, "unchanged"
        datasets = self._client.datasets
        try:
            if held is None:
                return datasets.create_dataset(name=name, examples=new), "created"
            return datasets.add_examples_to_dataset(dataset=name, examples=new), "appended"
        except Exception as error:
            raise PhoenixError(
                f"cannot upload the dataset {name!r}: the given Phoenix client raised {type(error).__name__}: {error}"
            ) from error

    def _held(self, name: str) -> Any:
        try:
            return self._client.datasets.get_dataset(dataset=name)
        except Exception as error:
            if _is_absent(error):
                return None
            raise PhoenixError(f"{name}: the client cannot find out whether the dataset exists: {error}") from error


def _is_absent(error: Exception) -> bool:
    """Check whether an error means that an object does not exist; for datasets, the client raises a ValueError."""
    if (status := status_of(error)) is not None:
        return status in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
    return isinstance(error, ValueError | LookupError) or "not found" in str(error).lower()


def _without_held(rows: Iterable[Mapping[str, Any]], held: Any) -> list[Mapping[str, Any]]:
    known = set(map(_content_of, _examples_of(held)))
    return [row for row in rows if _content_of(row) not in known]


def _content_of(example: Mapping[str, Any]) -> str:
    return content_hash(example["input"], example["output"], example.get("metadata") or {})


def _examples_of(dataset: Any) -> Sequence[Mapping[str, Any]]:
    """Return the examples of a client's dataset; none if it does not provide a list."""
    examples = getattr(dataset, "examples", None)
    return examples if isinstance(examples, list | tuple) else ()


def _plain(value: Any) -> dict[str, Any]:
    """Return a run or an evaluation as a dict, from a mapping or an object with attributes."""
    if isinstance(value, Mapping):
        return dict(value)
    keys = (
        *_OF_AN_EVALUATION,
        "experiment_run_id",
        "result",
        "id",
        "output",
        "dataset_example_id",
        "repetition_number",
    )
    return {key: getattr(value, key) for key in keys if hasattr(value, key)}


def _annotated(record: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the runs of an experiment, each with its evaluations, in the form of Phoenix's responses."""
    by_run: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for evaluation in record["evaluation_runs"]:
        results = evaluation.get("result")
        for result in results if isinstance(results, list | tuple) else [results or EMPTY]:
            parts = {key: result.get(key) for key in ("score", "label", "explanation")}
            fields = {key: evaluation.get(key) for key in _OF_AN_EVALUATION}
            fields |= {"name": str(result.get("name") or evaluation.get("name")), **_times(evaluation)}
            by_run[evaluation.get("experiment_run_id")].append(
                {**fields, **parts, "annotator_kind": evaluation.get("annotator_kind") or "CODE"}
            )
    for run in record["task_runs"]:
        fields = {key: run.get(key) for key in ("output", "error", "trace_id")}
        fields |= {"repetition_number": _repetition(run), "id": str(run.get("id")), **_times(run)}
        yield {**fields, "dataset_example_id": str(run.get("dataset_example_id"))}, by_run[run.get("id")]


def _repetition(run: Mapping[str, Any]) -> int:
    return int(run.get("repetition_number") or 1)


def _times(record: Mapping[str, Any]) -> dict[str, str]:
    found = (record.get(key) or _NO_TIME for key in ("start_time", "end_time"))
    start, end = (time if isinstance(time, str) else time.isoformat() for time in found)
    return {"start_time": start, "end_time": end}


def _example(node_id: str, contents: Mapping[str, Any]) -> Example:
    return Example(
        id=str(contents.get("id") or node_id),
        node_id=node_id,
        input=contents.get("input") or EMPTY,
        output=contents.get("output") or EMPTY,
        metadata=contents.get("metadata") or EMPTY,
    )
