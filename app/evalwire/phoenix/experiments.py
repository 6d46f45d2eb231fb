"""Creation, search, tags and deletion of experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from evalwire.errors import ExperimentNotFound, PhoenixError
from evalwire.model import CREATION_KEY
from evalwire.phoenix.request_errors import status_of

if TYPE_CHECKING:
    from evalwire.model import Dataset
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.datasets import Datasets
    from evalwire.phoenix.rest import Rest


class Experiments:
    """The experiments of a server, without their runs.

    Args:
        connection: the connection to the server.
        datasets: the datasets of the server.
        public_endpoint: the server's address in links; None for the connection's address.
    """

    def __init__(self, connection: Connection, datasets: Datasets, *, public_endpoint: str | None = None) -> None:
        self._connection = connection
        self._datasets = datasets
        self._public_endpoint = public_endpoint
        self._created_once: set[str] = set()  # keys of creations that succeeded at the first attempt

    def create(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment on this version of the dataset; return Phoenix's record with the `id`.

        A creation is not idempotent. Each creation therefore has a unique key in the metadata, under `CREATION_KEY`.
        After a lost response, a retry first looks for an experiment with this key.

        Args:
            dataset: the dataset of the experiment.
            name: the experiment's name in Phoenix.
            metadata: the metadata to record, with the key.
            repetitions: the number of runs of each example.
            adopt: also look for the key before the first attempt, because an earlier process may have used it.
        """
        key = str(metadata[CREATION_KEY])
        tries = 0

        def find_or_create(rest: Rest) -> Mapping[str, Any]:
            nonlocal tries
            tries += 1
            if (tries > 1 or adopt) and (twins := _with_key(rest, dataset.id, key)):
                return twins[0]
            return rest.create_experiment(
                dataset_id=dataset.id,
                version_id=dataset.version_id,
                split=dataset.split,
                name=name,
                metadata=metadata,
                repetitions=repetitions,
            )

        created = self._connection.fetch(f"create the experiment {name!r}", find_or_create)
        if tries == 1 and not adopt:
            self._created_once.add(key)
        return created

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete empty duplicates, which Phoenix may have created after a request timed out.

        There are no duplicates if this process created the experiment in a single attempt.
        """
        if key in self._created_once:
            return

        def remove(rest: Rest) -> None:
            for twin in _with_key(rest, dataset_id, key):
                if twin["id"] != keep and not twin["successful_run_count"] and not twin["failed_run_count"]:
                    rest.delete_experiment(twin["id"])

        self._connection.record("remove an experiment that was created twice", remove)

    def remove(self, experiment_id: str) -> None:
        """Delete an experiment and the project of its traces, if they exist."""

        def remove(rest: Rest) -> None:
            try:
                rest.delete_experiment(experiment_id)
            except httpx.HTTPStatusError as error:
                if status_of(error) != HTTPStatus.NOT_FOUND:
                    raise

        self._connection.fetch(f"remove the experiment {experiment_id}", remove)

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment's record, with the counts of its runs.

        Raises:
            ExperimentNotFound: no experiment has this ID.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        unknown = ExperimentNotFound(
            f"Phoenix at {self._connection.endpoint} has no experiment with the ID {experiment_id!r}.\n"
            "Check that PHOENIX_ENDPOINT is the server to which it was recorded."
        )
        if not experiment_id.strip() or "/" in experiment_id:  # would request a different path, which may exist
            raise unknown
        what = f"find the experiment {experiment_id}"
        try:
            return self._connection.fetch(what, lambda rest: rest.experiment(experiment_id))
        except PhoenixError as error:
            if status_of(error.__cause__) in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise unknown from error
            raise

    def on_dataset(self, dataset_name: str, *, is_patient: bool = True) -> Iterator[Mapping[str, Any]]:
        """Yield the records of the experiments on a dataset, newest first, fetched in pages.

        Args:
            dataset_name: the name of the dataset.
            is_patient: whether requests are retried.

        Raises:
            DatasetNotFound: no dataset has this name.
        """
        dataset_id = self._datasets.find_id(dataset_name, is_patient=is_patient)
        request = self._connection.fetch if is_patient else self._connection.fetch_once
        what = f"list the experiments on the dataset {dataset_name!r}"
        cursor: str | None = None
        while True:
            page = request(what, partial(_page, dataset_id=dataset_id, cursor=cursor))
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def url(self, dataset_id: str, experiment_id: str) -> str:
        """Return the address of the experiment's page in Phoenix's UI."""
        base = self._public_endpoint.rstrip("/") if self._public_endpoint else self._connection.endpoint
        return f"{base}/datasets/{dataset_id}/compare?experimentId={experiment_id}"

    def tags(self, experiment_id: str) -> list[str]:
        """Return the tags of an experiment."""
        return self._connection.fetch(
            f"read the tags of the experiment {experiment_id}", lambda rest: rest.tags(experiment_id)
        )

    def tag(self, experiment_id: str, tag: str) -> None:
        """Tag an experiment; other experiments of the dataset lose the tag.

        Raises:
            PhoenixError: Phoenix does not accept the tag, or did not send a valid response within the policy.
        """
        self._connection.fetch(
            f"tag the experiment {experiment_id} as {tag!r}", lambda rest: rest.set_tag(experiment_id, tag)
        )

    def untag(self, experiment_id: str, tag: str) -> None:
        """Remove a tag from an experiment; do nothing if the experiment does not have it."""
        self._connection.fetch(
            f"remove the tag {tag!r} from the experiment {experiment_id}",
            lambda rest: rest.remove_tag(experiment_id, tag),
        )

    def note_end(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace an experiment's metadata at the end of the experiment."""
        self._connection.record(
            "note how the experiment ended", lambda rest: rest.set_metadata(experiment_id, metadata)
        )


def _page(rest: Rest, *, dataset_id: str, cursor: str | None) -> Mapping[str, Any]:
    return rest.experiments_page(dataset_id, cursor)


def _with_key(rest: Rest, dataset_id: str, key: str) -> list[Mapping[str, Any]]:
    """Return the experiments with a creation key."""
    found = rest.experiments(dataset_id)
    return [experiment for experiment in found if (experiment.get("metadata") or {}).get(CREATION_KEY) == key]
