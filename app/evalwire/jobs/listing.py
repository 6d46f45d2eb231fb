"""The recorded experiments on datasets, requested once per job."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalwire.phoenix import Phoenix

_AT_ONCE = 4  # requests for tags, which Phoenix lists for a single experiment at a time


class Listing:
    """The records of the experiments on datasets, newest first; each page is requested when it is needed, and once.

    Attributes:
        phoenix: the server of the experiments.
    """

    def __init__(self, phoenix: Phoenix) -> None:
        self.phoenix = phoenix
        self._parts: dict[str, tuple[list[Mapping[str, Any]], Iterator[Mapping[str, Any]]]] = {}

    def on_dataset(self, dataset_name: str, *, is_patient: bool = True) -> Iterator[Mapping[str, Any]]:
        """Yield the records of the experiments on a dataset, newest first.

        Args:
            dataset_name: the name of the dataset.
            is_patient: whether requests are retried, if these are the first requests for the dataset.

        Raises:
            DatasetNotFound: no dataset has this name.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        if dataset_name not in self._parts:
            records = self.phoenix.experiments.on_dataset(dataset_name, is_patient=is_patient)
            self._parts[dataset_name] = [], records
        seen, rest = self._parts[dataset_name]
        place = 0
        while True:
            if place == len(seen):
                try:
                    record = next(rest, None)
                except BaseException:
                    del self._parts[dataset_name]  # an iterator that failed would look like the end of the list
                    raise
                if record is None:
                    return
                seen.append(record)
            yield seen[place]
            place += 1

    def with_tags(self, dataset_name: str) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
        """Yield the records of the experiments on a dataset with their tags, newest first.

        Raises:
            DatasetNotFound: no dataset has this name.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        tags = self.phoenix.experiments.tags
        records = self.on_dataset(dataset_name)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while batch := list(itertools.islice(records, _AT_ONCE)):
                yield from zip(batch, pool.map(tags, [record["id"] for record in batch]), strict=True)

    def tagged(self, dataset_name: str, tag: str) -> Mapping[str, Any] | None:
        """Return the record of the experiment on a dataset that has a tag; None if no experiment has it.

        Raises:
            DatasetNotFound: no dataset has this name.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        return next((record for record, tags in self.with_tags(dataset_name) if tag in tags), None)
