"""Requests to Phoenix, through the client's methods or the client's connection."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalwire.phoenix.json_stream import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx
    from phoenix.client import Client
    from phoenix.client.resources.datasets import Dataset as ClientDataset

    from evalwire.model import Evaluation, TaskRun


_PAGE = 200


class Rest:
    """The requests of an attempt; each request raises the errors of httpx or the client.

    Args:
        client: Phoenix's client.
        http: the client's connection, with address, credentials and certificates.
        timeout_seconds: the timeout of each request.
    """

    def __init__(self, client: Client, http: httpx.Client, timeout_seconds: int) -> None:
        self._client = client
        self._http = http
        self._timeout = timeout_seconds

    # --- requests through the client's methods ---

    def check_credentials(self) -> None:
        """List at most 1 dataset, to check that the server responds and accepts the credentials."""
        self._client.datasets.list(limit=1, timeout=self._timeout)

    def dataset(
        self, which: str | Mapping[str, str], *, version_id: str | None = None, split: str | None = None
    ) -> ClientDataset:
        """Return a version of a dataset, the newest by default, with the examples of all splits or of a single split.

        Args:
            which: an ID or a name, or a mapping with `id` or `name` to exclude confusion.
            version_id: the ID of the version.
            split: the name of the split.
        """
        identifier: Any = which
        splits = [split] if split else None
        return self._client.datasets.get_dataset(
            dataset=identifier, version_id=version_id, splits=splits, timeout=self._timeout
        )

    def create_experiment(
        self,
        *,
        dataset_id: str,
        version_id: str,
        split: str | None,
        name: str,
        metadata: Mapping[str, Any],
        repetitions: int,
    ) -> Mapping[str, Any]:
        """Create an experiment and return the record."""
        return self._client.experiments.create(
            dataset_id=dataset_id,
            dataset_version_id=version_id,
            experiment_name=name,
            experiment_metadata=metadata,
            splits=[split] if split else None,
            repetitions=repetitions,
            timeout=self._timeout,
        )

    def experiments(self, dataset_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the records of all experiments on a dataset."""
        return self._client.experiments.list(dataset_id=dataset_id, timeout=self._timeout)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and the project of its traces; the client's method has no timeout.

        Raises:
            ValueError: the experiment does not exist.
        """
        self._client.experiments.delete(experiment_id=experiment_id, delete_project=True)

    def create_run(self, experiment_id: str, run: TaskRun, error: str | None) -> str:
        """Record a run and return the ID."""
        recorded = self._client.experiments.log_run(
            experiment_id=experiment_id,
            dataset_example_id=run.example.node_id,
            output=run.output,
            start_time=run.start_time,
            end_time=run.end_time,
            repetition_number=run.repetition,
            trace_id=run.trace_id,
            error=error,
            timeout=self._timeout,
        )
        return str(recorded["id"])

    def put_evaluation(self, run_id: str, evaluation: Evaluation, error: str | None) -> str:
        """Record an evaluation, replacing the run's evaluation with the same name, and return the ID."""
        recorded = self._client.experiments.log_evaluation(
            experiment_run_id=run_id,
            name=evaluation.name,
            annotator_kind=evaluation.annotator_kind,
            start_time=evaluation.start_time,
            end_time=evaluation.end_time,
            score=evaluation.score,
            label=evaluation.label,
            explanation=evaluation.explanation,
            error=error,
            metadata=evaluation.metadata,
            trace_id=evaluation.trace_id,
            timeout=self._timeout,
        )
        return str(recorded["id"])

    # --- requests that the client does not support ---

    def send_spans(self, request: bytes) -> None:
        """Send spans as an OTLP request; the client would send them as JSON, which Phoenix does not translate."""
        self._send("POST", "v1/traces", content=request, headers={"content-type": "application/x-protobuf"})

    def server_version(self) -> str:
        """Return the server's version, which requires no credentials."""
        return self._send("GET", "arize_phoenix_version").text.strip()

    def experiment(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment's record, with the counts of successful, failed and missing runs."""
        found: Mapping[str, Any] = self._get(f"v1/experiments/{_path(experiment_id)}")["data"]
        return found

    def run(self, experiment_id: str, run_id: str) -> Mapping[str, Any] | None:
        """Return a run with its output, or None if the experiment does not have the run."""
        page = self._get(f"v1/experiments/{_path(experiment_id)}/runs", cursor=run_id, limit=1)
        return next((run for run in page["data"] if run["id"] == run_id), None)

    def runs(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield all runs of an experiment with their outputs, fetched in pages."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/runs")

    def incomplete_runs(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the examples with failed or missing runs, each with the numbers of these repetitions."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/incomplete-runs")

    def evaluations(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the runs of an experiment, each with all evaluations under `annotations`."""
        return items(self.experiment_document(experiment_id))

    def experiment_document(self, experiment_id: str) -> Iterator[bytes]:
        """Yield the document of an experiment's runs, in parts; Phoenix has no document without runs."""
        return self._stream(f"v1/experiments/{_path(experiment_id)}/json")

    def incomplete_evaluations(self, experiment_id: str, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the successful runs for which an evaluation with any of these names is missing or failed."""
        path = f"v1/experiments/{_path(experiment_id)}/incomplete-evaluations"
        return self._pages(path, evaluation_name=list(names))

    def experiments_page(self, dataset_id: str, cursor: str | None) -> Mapping[str, Any]:
        """Return a page of experiments on a dataset under `data`, newest first, and the `next_cursor`."""
        return self._page(f"v1/datasets/{_path(dataset_id)}/experiments", cursor)

    def set_metadata(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace all metadata of an experiment."""
        self._send("PATCH", f"v1/experiments/{_path(experiment_id)}", json={"metadata": metadata})

    def tags(self, experiment_id: str) -> list[str]:
        """Return the names of an experiment's tags."""
        return [tag["name"] for tag in self._get(f"v1/experiments/{_path(experiment_id)}/tags")["data"]]

    def set_tag(self, experiment_id: str, name: str) -> None:
        """Tag an experiment; other experiments of the dataset lose the tag."""
        self._send("POST", f"v1/experiments/{_path(experiment_id)}/tags", json={"name": name})

    def remove_tag(self, experiment_id: str, name: str) -> None:
        """Remove a tag from an experiment; do nothing if the experiment does not have it."""
        self._send("DELETE", f"v1/experiments/{_path(experiment_id)}/tags/{_path(name)}")

    def datasets_named(self, name: str) -> list[Mapping[str, Any]]:
        """Return the dataset with exactly this name, if it exists."""
        return [dataset for dataset in self._get("v1/datasets", name=name)["data"] if dataset["name"] == name]

    def newest_version(self, dataset_id: str) -> str | None:
        """Return the ID of a dataset's newest version, or None if it has no version."""
        found = self._get(f"v1/datasets/{_path(dataset_id)}/versions", limit=1)["data"]
        return str(found[0]["version_id"]) if found else None

    def examples(self, dataset_id: str, version_id: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the examples of a dataset version, by default the newest, in the dataset's order."""
        parameters = {"version_id": version_id} if version_id else {}
        for line in _lines(self._stream(f"v1/datasets/{_path(dataset_id)}/jsonl", **parameters)):
            yield json.loads(line)

    def has_splits(self, dataset_id: str) -> bool:
        """Check whether a dataset has splits; servers without this request have none."""
        response = self._http.get(f"v1/datasets/{_path(dataset_id)}/splits", timeout=self._timeout)
        if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return False
        return bool(response.raise_for_status().json()["data"])

    def upload(self, name: str, rows: Sequence[Mapping[str, Any]], *, action: str) -> str:
        """Upload examples with unique `id` values: `append` adds them, `update` replaces all.

        Returns:
            The ID of the new version; without changes, the ID of the newest version.
        """
        body: dict[str, Any] = {"name": name, "action": action, "example_ids": [row["id"] for row in rows]}
        for key, part in (("inputs", "input"), ("outputs", "output"), ("metadata", "metadata")):
            body[key] = [row[part] for row in rows]
        if any("splits" in row for row in rows):
            body["splits"] = [list(row.get("splits", ())) for row in rows]
        answer = self._send("POST", "v1/datasets/upload", params={"sync": True}, json=body).json()
        return str(answer["data"]["version_id"])

    def create_dataset(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Create a dataset without a version."""
        query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"name": name, "metadata": metadata})

    def set_dataset_metadata(self, dataset_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace all metadata of a dataset."""
        query = "mutation ($input: PatchDatasetInput!) { patchDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"datasetId": dataset_id, "metadata": metadata})

    def set_dataset_description(self, dataset_id: str, text: str) -> None:
        """Replace the description of a dataset, without a change of its metadata."""
        query = "mutation ($input: PatchDatasetInput!) { patchDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"datasetId": dataset_id, "description": text})

    def remove_examples(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove all of these examples in a new version, or none if the request fails."""
        operations = [{"remove": {"exampleId": node_id}} for node_id in node_ids]
        query = (
            "mutation ($input: PatchDatasetExamplesInput!) { patchDatasetExamples(input: $input) { dataset { id } } }"
        )
        self._graphql(query, {"datasetId": dataset_id, "operations": operations})

    def project_description(self, name: str) -> str | None:
        """Return the description of the project with this name, or None if it does not exist."""
        response = self._http.get(f"v1/projects/{_path(name)}", timeout=self._timeout)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return str(response.raise_for_status().json()["data"]["description"] or "")

    def create_project(self, name: str, description: str) -> None:
        """Create a project; fails if a project with this name exists."""
        self._send("POST", "v1/projects", json={"name": name, "description": description})

    # --- sending ---

    def _send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        return self._http.request(method, path, timeout=self._timeout, **parts).raise_for_status()

    def _get(self, path: str, **parameters: Any) -> Any:
        return self._send("GET", path, params=parameters).json()

    def _page(self, path: str, cursor: str | None, **parameters: Any) -> Mapping[str, Any]:
        page: Mapping[str, Any] = self._get(path, limit=_PAGE, **parameters, **({"cursor": cursor} if cursor else {}))
        return page

    def _pages(self, path: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        cursor = None
        while True:
            page = self._page(path, cursor, **parameters)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def _stream(self, path: str, **parameters: str) -> Iterator[bytes]:
        with self._http.stream("GET", path, params=parameters, timeout=self._timeout) as response:
            if response.is_error:
                response.read()  # messages quote the body
            response.raise_for_status()
            yield from response.iter_bytes()

    def _graphql(self, query: str, input_: Mapping[str, Any]) -> None:
        """Send a GraphQL mutation that has no REST counterpart."""
        answer = self._send("POST", "graphql", json={"query": query, "variables": {"input": input_}}).json()
        if errors := answer.get("errors"):
            raise ValueError("; ".join(error.get("message", str(error)) for error in errors))


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines split at line feeds only; httpx would also split at U+2028, which JSON text may contain."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _path(identifier: str) -> str:
    return quote(identifier, safe="")
