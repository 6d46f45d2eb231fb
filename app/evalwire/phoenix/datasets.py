"""Datasets with their examples."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalwire.errors import DatasetNotFound, DatasetUnfinished, PhoenixError
from evalwire.model import EMPTY, Dataset, Example, UnfinishedUpload, mark_count, moment_of

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


log = logging.getLogger("evalwire.phoenix")

_MOST_MARKS = 5  # attempts to read a dataset between two uploads


class Datasets:
    """The datasets of a server, for experiments."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def fetch(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a version of a dataset or split with its examples; the newest complete version by default.

        During an unfinished upload, the version before the upload is the newest complete version.

        Raises:
            DatasetNotFound: no dataset has this name.
            DatasetUnfinished: the first upload of the dataset is unfinished.
            PhoenixError: Phoenix refused, or did not send a valid response within the policy.
        """
        if version_id is not None:
            return self.fetch_version(self.find_id(name), version_id, split=split)
        for _ in range(_MOST_MARKS):
            record = self._record(name)
            if not record:
                raise DatasetNotFound(
                    f"{self._unknown(name)}\nUpload it with `evalwire upload`, or rename the experiment's directory to "
                    "the dataset's name."
                )
            unfinished = UnfinishedUpload.of(record.get("metadata"))
            if unfinished is not None:
                return self._before(unfinished, record, split)
            found = self._version(record["id"], name, f"fetch the dataset {name!r}", split=split)
            if mark_count(self._record(name).get("metadata")) == mark_count(record.get("metadata")):
                return found
        raise PhoenixError(f"the dataset {name!r} was repeatedly uploaded while it was read. Try again.")

    def fetch_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch a version of a dataset or split by ID.

        Raises:
            PhoenixError: the IDs do not exist, Phoenix refused, or did not send a valid response within the policy.
        """
        what = f"fetch version {version_id} of the dataset {dataset_id}"
        name = self._connection.fetch(what, lambda rest: rest.dataset_name(dataset_id))
        return self._version(dataset_id, name, what, split=split, version_id=version_id)

    def _version(
        self, dataset_id: str, name: str, what: str, *, split: str | None, version_id: str | None = None
    ) -> Dataset:
        what += f", split {split!r}" if split else ""
        found = self._connection.fetch(what, lambda rest: rest.dataset(dataset_id, version_id=version_id, split=split))
        return Dataset(
            id=dataset_id,
            name=name,
            version_id=found["version_id"],
            examples=tuple(map(_to_example, found["examples"])),
            split=split,
        )

    def with_splits(self, dataset: Dataset) -> Dataset:
        """Return a dataset whose examples name their splits; the same dataset if Phoenix cannot list them."""

        def read(rest: Rest) -> dict[str, tuple[str, ...]]:
            if not rest.has_splits(dataset.id):
                return {}
            found = rest.examples(dataset.id, dataset.version_id)
            return {line["node_id"]: tuple(sorted(line.get("splits") or ())) for line in found}

        try:
            splits = self._connection.fetch(f"list the splits of the dataset {dataset.name!r}", read)
        except PhoenixError as error:
            log.info("%s: the report has no splits: %s", dataset.name, error)
            return dataset
        if not any(splits.values()):
            return dataset
        examples = tuple(replace(example, splits=splits.get(example.node_id, ())) for example in dataset.examples)
        return replace(dataset, examples=examples)

    def newest_version(self, dataset_id: str) -> str | None:
        """Return the ID of a dataset's newest version; None if it has no version."""
        return self._connection.fetch(
            f"find the newest version of the dataset {dataset_id}", lambda rest: rest.newest_version(dataset_id)
        )

    def find_id(self, name: str, *, is_patient: bool = True) -> str:
        """Return the ID of a dataset, without fetching examples.

        Args:
            name: the name of the dataset.
            is_patient: whether the request is retried.

        Raises:
            DatasetNotFound: no dataset has this name.
        """
        record = self._record(name, is_patient=is_patient)
        if not record:
            raise DatasetNotFound(self._unknown(name))
        return str(record["id"])

    def _record(self, name: str, *, is_patient: bool = True) -> Mapping[str, Any]:
        """Return Phoenix's record of a dataset with its metadata; empty if the dataset does not exist."""
        request = self._connection.fetch if is_patient else self._connection.fetch_once
        return request(f"find the dataset {name!r}", lambda rest: next(iter(rest.datasets_named(name)), EMPTY))

    def _before(self, unfinished: UnfinishedUpload, record: Mapping[str, Any], split: str | None) -> Dataset:
        """Fetch the version of a dataset before its unfinished upload."""
        if unfinished.base_version_id is None:
            raise DatasetUnfinished(
                f"the dataset {record['name']!r} in Phoenix at {self._connection.endpoint} is not complete: an upload "
                f"of {unfinished.rows} examples to it is running, or was interrupted.\n"
                "Wait for it, or repeat it with `evalwire upload`, which sends only the missing examples."
            )
        log.warning(
            "%s: an upload of %s examples is running or was interrupted; using the dataset version before it. "
            "To finish an interrupted upload, repeat `evalwire upload`.",
            record["name"],
            unfinished.rows,
        )
        return self.fetch_version(record["id"], unfinished.base_version_id, split=split)

    def _unknown(self, name: str) -> str:
        return f"Phoenix at {self._connection.endpoint} has no dataset {name!r} (names are case-sensitive)."


def _to_example(example: Mapping[str, Any]) -> Example:
    node_id = example.get("node_id") or example["id"]
    id_, updated_at = example.get("id") or node_id, example.get("updated_at")
    return Example(
        id=node_id if id_ == node_id else id_,  # share equal texts to save memory
        node_id=node_id,
        input=_or_empty(example.get("input")),
        output=_or_empty(example.get("output")),
        metadata=example.get("metadata") or EMPTY,
        updated_at=moment_of(updated_at) if isinstance(updated_at, str) else updated_at,
    )


def _or_empty(value: Any) -> Any:
    return {} if value is None else value
