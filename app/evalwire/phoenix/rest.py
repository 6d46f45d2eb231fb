"""Make requests to Phoenix with one time-out, by its client's calls or over the client's connection."""

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
    """The requests of one try to one Phoenix server; each raises what httpx or the client raises.

    Args:
        client: Phoenix's.
        http: the client's connection, with its address, credentials and certificates.
        timeout_seconds: the time limit of each request.
    """

    def __init__(self, client: Client, http: httpx.Client, timeout_seconds: int) -> None:
        self._client = client
        self._http = http
        self._timeout = timeout_seconds

    # --- calls of the client ---

    def list_one_dataset(self) -> None:
        """List a dataset, if there is one: shows that the server answers and accepts the credentials."""
        self._client.datasets.list(limit=1, timeout=self._timeout)

    def dataset(
        self, which: str | Mapping[str, str], *, version_id: str | None = None, split: str | None = None
    ) -> ClientDataset:
        """Return a version of a dataset, the newest by default, with the examples of all splits or of one.

        Args:
            which: an id or a name; or a mapping with `id` or `name`, which cannot be taken for each other.
            version_id: of the dataset.
            split: the name of a split.
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
        """Create an experiment; return its record."""
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
        """Delete an experiment and the project of its traces; the client's call has no time limit.

        Raises:
            ValueError: there is no such experiment.
        """
        self._client.experiments.delete(experiment_id=experiment_id, delete_project=True)

    def create_run(self, experiment_id: str, run: TaskRun, error: str | None) -> str:
        """Record a run; return its id."""
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
        """Record an evaluation in place of the run's evaluation of that name, if there is one; return its id."""
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

    def log_spans(self, project: str, spans: Sequence[Any]) -> None:
        """Send spans to a project."""
        self._client.spans.log_spans(project_identifier=project, spans=spans, timeout=self._timeout)

    # --- requests that the client has no call for ---

    def server_version(self) -> str:
        """Return the server's version; open even with authentication."""
        return self._send("GET", "arize_phoenix_version").text.strip()

    def experiment(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment's record, with its counts of successful, failed and missing runs."""
        found: Mapping[str, Any] = self._get(f"v1/experiments/{_path(experiment_id)}")["data"]
        return found

    def run(self, experiment_id: str, run_id: str) -> Mapping[str, Any] | None:
        """Return one run, output included; None when the experiment has no such run."""
        page = self._get(f"v1/experiments/{_path(experiment_id)}/runs", cursor=run_id, limit=1)
        return next((run for run in page["data"] if run["id"] == run_id), None)

    def runs(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield all runs of an experiment, outputs included, page by page."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/runs")

    def incomplete_runs(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the examples with runs that failed or were not made, each with the numbers of these repetitions."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/incomplete-runs")

    def evaluations(self, experiment_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the runs of an experiment that has any, each with all its evaluations under `annotations`."""
        return items(self.experiment_document(experiment_id))

    def experiment_document(self, experiment_id: str) -> Iterator[bytes]:
        """Yield the text that `evaluations` reads, in parts; Phoenix has none of an experiment without a run."""
        return self._stream(f"v1/experiments/{_path(experiment_id)}/json")

    def incomplete_evaluations(self, experiment_id: str, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the successful runs that lack an evaluation of one of these names, or have it with an error only."""
        path = f"v1/experiments/{_path(experiment_id)}/incomplete-evaluations"
        return self._pages(path, evaluation_name=list(names))

    def experiments_page(self, dataset_id: str, cursor: str | None) -> Mapping[str, Any]:
        """Return some experiments on a dataset under `data`, the newest first, and the `next_cursor`."""
        return self._page(f"v1/datasets/{_path(dataset_id)}/experiments", cursor)

    def set_metadata(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace an experiment's metadata as a whole."""
        self._send("PATCH", f"v1/experiments/{_path(experiment_id)}", json={"metadata": metadata})

    def tags(self, experiment_id: str) -> list[str]:
        """Return the names of an experiment's tags."""
        return [tag["name"] for tag in self._get(f"v1/experiments/{_path(experiment_id)}/tags")["data"]]

    def set_tag(self, experiment_id: str, name: str) -> None:
        """Give an experiment a tag, which its dataset's other experiments lose."""
        self._send("POST", f"v1/experiments/{_path(experiment_id)}/tags", json={"name": name})

    def datasets_named(self, name: str) -> list[Mapping[str, Any]]:
        """Return the dataset of exactly this name, if there is one."""
        return [one for one in self._get("v1/datasets", name=name)["data"] if one["name"] == name]

    def newest_version(self, dataset_id: str) -> str | None:
        """Return the id of a dataset's newest version; None where it has none."""
        found = self._get(f"v1/datasets/{_path(dataset_id)}/versions", limit=1)["data"]
        return str(found[0]["version_id"]) if found else None

    def examples(self, dataset_id: str, version_id: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the examples of a version of a dataset, the newest by default, in its order."""
        parameters = {"version_id": version_id} if version_id else {}
        for line in _lines(self._stream(f"v1/datasets/{_path(dataset_id)}/jsonl", **parameters)):
            yield json.loads(line)

    def upload(self, name: str, rows: Sequence[Mapping[str, Any]], *, action: str) -> None:
        """Upload examples, each with an `id` of its own, as a new version: `append` adds them, `update` replaces."""
        body: dict[str, Any] = {"name": name, "action": action, "example_ids": [row["id"] for row in rows]}
        for key, part in (("inputs", "input"), ("outputs", "output"), ("metadata", "metadata")):
            body[key] = [row[part] for row in rows]
        if any("splits" in row for row in rows):
            body["splits"] = [list(row.get("splits", ())) for row in rows]
        self._send("POST", "v1/datasets/upload", params={"sync": True}, json=body)

    def create_dataset(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Create a dataset without a version."""
        query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"name": name, "metadata": metadata})

    def set_dataset_metadata(self, dataset_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace a dataset's metadata as a whole."""
        query = "mutation ($input: PatchDatasetInput!) { patchDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"datasetId": dataset_id, "metadata": metadata})

    def remove_examples(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in one new version, or none of them."""
        operations = [{"remove": {"exampleId": node_id}} for node_id in node_ids]
        query = (
            "mutation ($input: PatchDatasetExamplesInput!) { patchDatasetExamples(input: $input) { dataset { id } } }"
        )
        self._graphql(query, {"datasetId": dataset_id, "operations": operations})

    def project_description(self, name: str) -> str | None:
        """Return the description of the project of this name; None when there is none."""
        response = self._http.get(f"v1/projects/{_path(name)}", timeout=self._timeout)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return str(response.raise_for_status().json()["data"]["description"] or "")

    def create_project(self, name: str, description: str) -> None:
        """Create a project; an error when there is one of this name."""
        self._send("POST", "v1/projects", json={"name": name, "description": description})

    # --- how they are made ---

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
                response.read()  # what it says of the error is shown
            response.raise_for_status()
            yield from response.iter_bytes()

    def _graphql(self, query: str, input_: Mapping[str, Any]) -> None:
        """Ask for what REST has no call for."""
        answer = self._send("POST", "graphql", json={"query": query, "variables": {"input": input_}}).json()
        if errors := answer.get("errors"):
            raise ValueError("; ".join(error.get("message", str(error)) for error in errors))


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines that end in a line feed: httpx would also end them at U+2028, which JSON does not escape."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _path(identifier: str) -> str:
    return quote(identifier, safe="")
