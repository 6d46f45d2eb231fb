"""What Phoenix's REST interface has and its client has no call for, over the client's own connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
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

    def evaluations(self, experiment_id: str, *, timeout: float) -> list[Mapping[str, Any]]:
        """The runs of an experiment that has any, each with all its evaluations under `annotations`."""
        found: list[Mapping[str, Any]] = self._get(f"v1/experiments/{_path(experiment_id)}/json", {}, timeout)
        return found

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


def _path(identifier: str) -> str:
    return quote(identifier, safe="")
