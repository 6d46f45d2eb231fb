"""What Phoenix's REST interface has and its client has no call for, over the client's own connection."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalwire.phoenix.json_stream import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx


_PAGE = 200


class Rest:
    """Requests to one Phoenix server; every call raises what httpx raises.

    Args:
        http: the connection, with the client's address, credentials and certificates.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def experiment(self, experiment_id: str, *, timeout: float) -> Mapping[str, Any]:
        """An experiment, with its counts of successful, failed and missing runs."""
        document: Mapping[str, Any] = self._get(f"v1/experiments/{_path(experiment_id)}", {}, timeout)
        found: Mapping[str, Any] = document["data"]
        return found

    def run(self, experiment_id: str, run_id: str, *, timeout: float) -> Mapping[str, Any] | None:
        """One run, output included; None when the experiment has no such run."""
        page = self._get(f"v1/experiments/{_path(experiment_id)}/runs", {"cursor": run_id, "limit": 1}, timeout)
        return next((run for run in page["data"] if run["id"] == run_id), None)

    def runs(self, experiment_id: str, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        """All runs of an experiment, outputs included, page by page."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/runs", {}, timeout)

    def evaluations(self, experiment_id: str, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        """The runs of an experiment that has any, each with all its evaluations under `annotations`."""
        return items(self.experiment_document(experiment_id, timeout=timeout))

    def incomplete_evaluations(
        self, experiment_id: str, names: Sequence[str], *, timeout: float
    ) -> Iterator[Mapping[str, Any]]:
        """The successful runs that lack an evaluation of one of these names, or have it with an error only."""
        path = f"v1/experiments/{_path(experiment_id)}/incomplete-evaluations"
        return self._pages(path, {"evaluation_name": list(names)}, timeout)

    def experiments_page(self, dataset_id: str, cursor: str | None, *, timeout: float) -> Mapping[str, Any]:
        """Some experiments on a dataset under `data`, the newest first, and the `next_cursor`."""
        parameters = {"limit": _PAGE, **({"cursor": cursor} if cursor else {})}
        page: Mapping[str, Any] = self._get(f"v1/datasets/{_path(dataset_id)}/experiments", parameters, timeout)
        return page

    def datasets_named(self, name: str, *, timeout: float) -> list[Mapping[str, Any]]:
        """The dataset of exactly this name, if there is one."""
        found: list[Mapping[str, Any]] = self._get("v1/datasets", {"name": name}, timeout)["data"]
        return [one for one in found if one["name"] == name]

    def newest_version(self, dataset_id: str, *, timeout: float) -> str | None:
        """The id of a dataset's newest version; None where it has none."""
        found = self._get(f"v1/datasets/{_path(dataset_id)}/versions", {"limit": 1}, timeout)["data"]
        return str(found[0]["version_id"]) if found else None

    def examples(
        self, dataset_id: str, version_id: str | None = None, *, timeout: float
    ) -> Iterator[Mapping[str, Any]]:
        """The examples of a version of a dataset, the newest by default, in its order, one after the other."""
        parameters = {"version_id": version_id} if version_id else {}
        for line in _lines(self._stream(f"v1/datasets/{_path(dataset_id)}/jsonl", parameters, timeout)):
            yield json.loads(line)

    def upload(self, name: str, rows: Sequence[Mapping[str, Any]], *, action: str, timeout: float) -> None:
        """Upload examples, each with an `id` of its own, as a new version: `append` adds them, `update` replaces."""
        body: dict[str, Any] = {"name": name, "action": action, "example_ids": [row["id"] for row in rows]}
        for key, part in (("inputs", "input"), ("outputs", "output"), ("metadata", "metadata")):
            body[key] = [row[part] for row in rows]
        if any("splits" in row for row in rows):
            body["splits"] = [list(row.get("splits", ())) for row in rows]
        response = self._http.post("v1/datasets/upload", params={"sync": True}, json=body, timeout=timeout)
        response.raise_for_status()

    def create_dataset(self, name: str, metadata: Mapping[str, Any], *, timeout: float) -> None:
        """Create a dataset without a version."""
        query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"name": name, "metadata": metadata}, timeout)

    def set_dataset_metadata(self, dataset_id: str, metadata: Mapping[str, Any], *, timeout: float) -> None:
        """Replace a dataset's metadata as a whole."""
        query = "mutation ($input: PatchDatasetInput!) { patchDataset(input: $input) { dataset { id } } }"
        self._graphql(query, {"datasetId": dataset_id, "metadata": metadata}, timeout)

    def remove_examples(self, dataset_id: str, node_ids: Sequence[str], *, timeout: float) -> None:
        """Remove examples in one new version, or none of them."""
        operations = [{"remove": {"exampleId": node_id}} for node_id in node_ids]
        query = (
            "mutation ($input: PatchDatasetExamplesInput!) { patchDatasetExamples(input: $input) { dataset { id } } }"
        )
        self._graphql(query, {"datasetId": dataset_id, "operations": operations}, timeout)

    def _graphql(self, query: str, input_: Mapping[str, Any], timeout: float) -> None:
        """Ask for what REST has no call for."""
        body = {"query": query, "variables": {"input": input_}}
        response = self._http.post("graphql", json=body, timeout=timeout)
        response.raise_for_status()
        if errors := response.json().get("errors"):
            raise ValueError("; ".join(error.get("message", str(error)) for error in errors))

    def project_description(self, name: str, *, timeout: float) -> str | None:
        """The description of the project of this name; None when there is none."""
        response = self._http.get(f"v1/projects/{_path(name)}", timeout=timeout)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        response.raise_for_status()
        return str(response.json()["data"]["description"] or "")

    def create_project(self, name: str, description: str, *, timeout: float) -> None:
        """Create a project; an error when there is one of this name."""
        body = {"name": name, "description": description}
        self._http.post("v1/projects", json=body, timeout=timeout).raise_for_status()

    def tags(self, experiment_id: str, *, timeout: float) -> list[str]:
        """The names of an experiment's tags."""
        document = self._get(f"v1/experiments/{_path(experiment_id)}/tags", {}, timeout)
        return [tag["name"] for tag in document["data"]]

    def set_tag(self, experiment_id: str, name: str, *, timeout: float) -> None:
        """Give an experiment a tag, which its dataset's other experiments lose."""
        path = f"v1/experiments/{_path(experiment_id)}/tags"
        self._http.post(path, json={"name": name}, timeout=timeout).raise_for_status()

    def set_metadata(self, experiment_id: str, metadata: Mapping[str, Any], *, timeout: float) -> None:
        """Replace an experiment's metadata as a whole."""
        path = f"v1/experiments/{_path(experiment_id)}"
        self._http.patch(path, json={"metadata": metadata}, timeout=timeout).raise_for_status()

    def experiment_document(self, experiment_id: str, *, timeout: float) -> Iterator[bytes]:
        """The text that `evaluations` reads, in parts; of an experiment without a run, Phoenix has none."""
        return self._stream(f"v1/experiments/{_path(experiment_id)}/json", {}, timeout)

    def incomplete_runs(self, experiment_id: str, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        """The examples with runs that failed or were not made, each with the numbers of these repetitions."""
        return self._pages(f"v1/experiments/{_path(experiment_id)}/incomplete-runs", {}, timeout)

    def _stream(self, path: str, parameters: Mapping[str, Any], timeout: float) -> Iterator[bytes]:
        with self._http.stream("GET", path, params=dict(parameters), timeout=timeout) as response:
            if response.is_error:
                response.read()  # what it says of the error is shown
            response.raise_for_status()
            yield from response.iter_bytes()

    def _pages(self, path: str, parameters: Mapping[str, Any], timeout: float) -> Iterator[Mapping[str, Any]]:
        cursor = None
        while True:
            page = self._get(path, {**parameters, "limit": _PAGE, **({"cursor": cursor} if cursor else {})}, timeout)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def _get(self, path: str, parameters: Mapping[str, Any], timeout: float) -> Any:
        response = self._http.get(path, params=dict(parameters), timeout=timeout)
        response.raise_for_status()
        return response.json()


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end in a line feed: httpx's own would also end them at U+2028, which JSON does not escape."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _path(identifier: str) -> str:
    return quote(identifier, safe="")
