"""Requests to the REST API of Phoenix.

Phoenix's client is not used for them: it has only half of the requests, and importing it takes as long as the rest of a
short command.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalwire.phoenix.json_stream import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from evalwire.model import Evaluation, TaskRun


_PAGE = 200


class Rest:
    """The requests of an attempt; each request raises the errors of httpx.

    Args:
        http: the connection, with address, credentials and certificates.
        timeout_seconds: the timeout of each request.
    """

    def __init__(self, http: httpx.Client, timeout_seconds: int) -> None:
        self._http = http
        self._timeout = timeout_seconds

    def check_credentials(self) -> None:
        """List at most 1 dataset, to check that the server responds and accepts the credentials."""
        self._page("v1/datasets", None, limit=1)["data"]

    def dataset(self, dataset_id: str, *, version_id: str | None = None, split: str | None = None) -> Mapping[str, Any]:
        """Return a version of a dataset, the newest by default, with `version_id` and `examples`.

        Args:
            dataset_id: the ID of the dataset.
            version_id: the ID of the version.
            split: the name of a split; None for the examples of all splits.
        """
        wanted = {"version_id": version_id, "split": split}
        parameters = {name: value for name, value in wanted.items() if value}
        found: Mapping[str, Any] = self._get(f"v1/datasets/{_path(dataset_id)}/examples", **parameters)["data"]
        return found

    def dataset_name(self, dataset_id: str) -> str:
        """Return the name of a dataset."""
        return str(self._get(f"v1/datasets/{_path(dataset_id)}")["data"]["name"])

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
        body = {"name": name, "metadata": metadata, "version_id": version_id, "repetitions": repetitions}
        body |= {"splits": [split]} if split else {}
        created: Mapping[str, Any] = self._post(f"v1/datasets/{_path(dataset_id)}/experiments", body)["data"]
        return created

    def experiments(self, dataset_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of all experiments on a dataset, newest first."""
        return self._pages(f"v1/datasets/{_path(dataset_id)}/experiments")

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and the project of its traces."""
        self._send("DELETE", f"v1/experiments/{_path(experiment_id)}", params={"delete_project": True})

    def create_run(self, experiment_id: str, run: TaskRun, error: str | None) -> str:
        """Record a run and return the ID."""
        body = {
            "dataset_example_id": run.example.node_id,
            "output": run.output,
            "repetition_number": run.repetition,
            "start_time": run.start_time.isoformat(),
            "end_time": run.end_time.isoformat(),
        }
        body |= {name: text for name, text in (("trace_id", run.trace_id), ("error", error)) if text}
        return str(self._post(f"v1/experiments/{_path(experiment_id)}/runs", body)["data"]["id"])

    def put_evaluation(self, run_id: str, evaluation: Evaluation, error: str | None) -> str:
        """Record an evaluation, replacing the run's evaluation with the same name, and return the ID."""
        parts = {"score": evaluation.score, "label": evaluation.label, "explanation": evaluation.explanation}
        body = {
            "experiment_run_id": run_id,
            "name": evaluation.name,
            "annotator_kind": evaluation.annotator_kind,
            "start_time": evaluation.start_time.isoformat(),
            "end_time": evaluation.end_time.isoformat(),
            "result": {name: part for name, part in parts.items() if part is not None} or None,
            "error": error,
            "metadata": evaluation.metadata,
            "trace_id": evaluation.trace_id,
        }
        return str(self._post("v1/experiment_evaluations", body)["data"]["id"])

    def send_spans(self, request: bytes) -> None:
        """Send spans as an OTLP request."""
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

    def root_spans(self, project: str, trace_ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the spans without a parent of at most 1,000 traces."""
        return self._pages(f"v1/projects/{_path(project)}/spans", trace_id=list(trace_ids), parent_id="null")

    def span_annotations(self, project: str, span_ids: Sequence[str], name: str) -> Iterator[Mapping[str, Any]]:
        """Yield the annotations with a name on at most 1,000 spans, newest first."""
        path = f"v1/projects/{_path(project)}/span_annotations"
        return self._pages(path, span_ids=list(span_ids), include_annotation_names=[name])

    def annotate_spans(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write annotations on spans; each replaces the annotation with the same span, name and identifier."""
        self._send("POST", "v1/span_annotations", params={"sync": True}, json={"data": list(rows)})

    def delete_span_annotations(self, ids: Sequence[str]) -> None:
        """Delete annotations on spans by their IDs."""
        query = "mutation ($input: DeleteAnnotationsInput!) { deleteSpanAnnotations(input: $input) { __typename } }"
        self._graphql(query, {"annotationIds": list(ids)})

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

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("POST", path, json=body).json()

    def _page(self, path: str, cursor: str | None, *, limit: int = _PAGE, **parameters: Any) -> Mapping[str, Any]:
        page: Mapping[str, Any] = self._get(path, limit=limit, **parameters, **({"cursor": cursor} if cursor else {}))
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
