"""Datasets as an upload needs them: what they hold by hash, and writes that can be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evalwire.model import StoredDataset, StoredExample, UnfinishedUpload, content_hash, mark_count, mark_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.phoenix.rest import Rest


T = TypeVar("T")


class Request(Protocol):
    """Makes a request, given its timeout in seconds, and tries it again; `what` is said where it fails."""

    def __call__(self, request: Callable[[int], T], what: str) -> T:
        """What the request gives."""
        ...


class DatasetStore:
    """The datasets of a server.

    Args:
        rest: its interface.
        request: tries a request again; every one of these may be.
    """

    def __init__(self, rest: Rest, request: Request) -> None:
        self._rest = rest
        self._request = request

    def find(self, name: str) -> StoredDataset | None:
        """The dataset of this name, if there is one."""

        def ask(timeout: int) -> StoredDataset | None:
            found = next(iter(self._rest.datasets_named(name, timeout=timeout)), None)
            if found is None:
                return None
            newest = self._rest.newest_version(found["id"], timeout=timeout)
            return StoredDataset(found["id"], newest, found.get("example_count", 0), found.get("metadata") or {})

        return self._request(ask, f"find the dataset {name!r}")

    def stored(self, dataset_id: str) -> list[StoredExample]:
        """What its newest version holds, read line by line."""

        def ask(timeout: int) -> list[StoredExample]:
            return [
                StoredExample(
                    found["id"],
                    found["node_id"],
                    content_hash(found["input"], found["output"], found["metadata"]),
                    frozenset(found.get("splits") or ()),
                )
                for found in self._rest.examples(dataset_id, timeout=timeout)
            ]

        return self._request(ask, f"list the examples of the dataset {dataset_id}")

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        """Create a dataset that holds nothing yet, marked."""

        def ask(timeout: int) -> None:
            if not self._rest.datasets_named(name, timeout=timeout):  # else an answer was lost
                self._rest.create_dataset(name, mark_unfinished({}, unfinished, number=1), timeout=timeout)

        self._request(ask, f"create the dataset {name!r}")

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        """Mark a dataset as unfinished, or take the mark away."""
        metadata = mark_unfinished(held.metadata, unfinished, number=mark_count(held.metadata) + 1)

        def ask(timeout: int) -> None:
            self._rest.set_dataset_metadata(held.id, metadata, timeout=timeout)

        self._request(ask, f"mark the dataset {held.id}")

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> None:
        """Add rows, or change those of the same ids; as a whole, what has none of their ids is removed."""
        action = "update" if as_whole else "append"

        def ask(timeout: int) -> None:
            self._rest.upload(name, rows, action=action, timeout=timeout)

        self._request(ask, f"upload {len(rows)} examples to the dataset {name!r}")

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in a version of their own."""
        left = list(node_ids)
        is_first = True

        def ask(timeout: int) -> None:
            nonlocal left, is_first
            if not is_first:  # an answer was lost, or some are gone already, which refuses all
                there = {found["node_id"] for found in self._rest.examples(dataset_id, timeout=timeout)}
                left = [one for one in left if one in there]
            is_first = False
            if left:
                self._rest.remove_examples(dataset_id, left, timeout=timeout)

        self._request(ask, f"remove {len(node_ids)} examples from the dataset {dataset_id}")
