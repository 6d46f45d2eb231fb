"""Datasets for uploads: contents are read as hashes, and writes can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalwire.model import StoredDataset, StoredExample, UnfinishedUpload, content_hash, mark_count, mark_unfinished

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


class Uploads:
    """The datasets of a server, for uploads; every operation is safe to repeat.

    Args:
        connection: the connection to the server.
        is_patient: whether requests are retried and may take many minutes.
    """

    def __init__(self, connection: Connection, *, is_patient: bool = True) -> None:
        self._run = connection.upload if is_patient else connection.fetch_once

    def find(self, name: str) -> StoredDataset | None:
        """Return the dataset with this name, or None."""

        def find(rest: Rest) -> StoredDataset | None:
            found = next(iter(rest.datasets_named(name)), None)
            if found is None:
                return None
            newest = rest.newest_version(found["id"])
            return StoredDataset(
                found["id"],
                newest,
                found.get("example_count", 0),
                found.get("metadata") or {},
                found.get("description") or "",
            )

        return self._run(f"find the dataset {name!r}", find)

    def stored(self, dataset_id: str, version_id: str) -> list[StoredExample]:
        """Return the examples of a dataset version, parsed line by line."""

        def read(rest: Rest) -> list[StoredExample]:
            return [
                StoredExample(
                    found["id"],
                    found["node_id"],
                    content_hash(found["input"], found["output"], found["metadata"]),
                    frozenset(found.get("splits") or ()),
                )
                for found in rest.examples(dataset_id, version_id)
            ]

        return self._run(f"list the examples of the dataset {dataset_id}", read)

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        """Create a dataset without examples, marked as unfinished."""

        def create(rest: Rest) -> None:
            if not rest.datasets_named(name):  # a retry may find the dataset created
                rest.create_dataset(name, mark_unfinished({}, unfinished, number=1))

        self._run(f"create the dataset {name!r}", create)

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        """Mark a dataset as unfinished, or remove the mark."""
        metadata = mark_unfinished(held.metadata, unfinished, number=mark_count(held.metadata) + 1)
        self._run(f"mark the dataset {held.id}", lambda rest: rest.set_dataset_metadata(held.id, metadata))

    def describe(self, dataset_id: str, text: str) -> None:
        """Replace the description of a dataset."""
        self._run(f"describe the dataset {dataset_id}", lambda rest: rest.set_dataset_description(dataset_id, text))

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        """Add rows, or replace examples with the same IDs; return the ID of the version that has them.

        With `as_whole`, all other examples are removed.
        """
        action = "update" if as_whole else "append"
        return self._run(
            f"upload {len(rows)} examples to the dataset {name!r}",
            lambda rest: rest.upload(name, rows, action=action),
        )

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in a new version."""
        left = list(node_ids)
        is_first = True

        def remove(rest: Rest) -> None:
            nonlocal left, is_first
            if not is_first:  # Phoenix refuses the whole request if any example is already removed
                there = {found["node_id"] for found in rest.examples(dataset_id)}
                left = [node_id for node_id in left if node_id in there]
            is_first = False
            if left:
                rest.remove_examples(dataset_id, left)

        self._run(f"remove {len(node_ids)} examples from the dataset {dataset_id}", remove)
