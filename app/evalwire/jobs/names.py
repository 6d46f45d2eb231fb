"""Find recorded experiments of the project by the names that users type: an ID or its start, `last~1`, a branch."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from typing import TYPE_CHECKING, Any

from evalwire.errors import DatasetNotFound, UsageError
from evalwire.gates import BaselineQuery, choose_baseline
from evalwire.jobs.selection import recorded_names
from evalwire.model import count, history_entry, own_metadata, recorded_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalwire.jobs.listing import Listing
    from evalwire.settings import Settings

_LAST = re.compile(r"last(?:~([0-9]{1,6}))?")
_ID = re.compile(rb"Experiment:[0-9]+")
_MOST_RECORDS = 1_000  # experiments of a dataset in which the start of an ID and a branch are searched
_MOST_CANDIDATES = 5

NAMES = "an ID from `evalwire runs`, last, last~1, branch:NAME or tag:NAME"


class RecordedNames:
    """The names of the recorded experiments of a project.

    A name stands for at most one recorded experiment of each directory of the project. `last` is the newest recorded
    experiment with the directory's name and the prefix in the settings, whatever its outcome; `last~1` is the
    experiment before it.

    Args:
        settings: settings with the directory, the names and the prefix of the experiments.
        listing: the recorded experiments of the server.
        is_ci: whether the job runs in CI, where a branch does not have the experiments of working copies.
    """

    def __init__(self, settings: Settings, listing: Listing, *, is_ci: bool = False) -> None:
        self._settings = settings
        self._listing = listing
        self._is_ci = is_ci

    @property
    def datasets(self) -> dict[str, str]:
        """The name of the dataset of each selected experiment, by the experiment's name."""
        return recorded_names(self._settings)

    def records(self, name: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of an experiment of the project, newest first.

        Args:
            name: the name of the experiment.
        """
        dataset, prefix = self.datasets[name], self._settings.prefix
        for record in self._on_dataset(dataset):
            recorded_name = own_metadata(record.get("metadata")).get("experiment", name)
            if recorded_name == name and recorded_prefix(record, dataset) == prefix:
                yield record

    def find(self, text: str) -> list[str]:
        """Return the IDs of the experiments that a name stands for, at most one for each directory of the project.

        Args:
            text: an ID or the unique start of an ID, `last`, `last~N`, `branch:NAME`, `tag:NAME`, or a branch.

        Raises:
            UsageError: the name stands for no experiment, or is the start of several IDs.
            EvalwireError: Phoenix cannot be reached.
        """
        if is_experiment_id(text):
            return [text]
        if last := _LAST.fullmatch(text):
            return self._last(text, int(last[1] or 0))
        kind, colon, value = text.partition(":")
        if colon and value and kind in ("branch", "tag"):
            found = self._on_branch(value) if kind == "branch" else self._tagged(value)
            if not found:
                raise UsageError(f"no recorded experiment matches {text}. {self._advice}")
            return found
        found = self._starting_with(text) or ([] if colon else self._on_branch(text))
        if not found:
            raise UsageError(
                f"no recorded experiment matches {text!r}: no ID starts with it, and no experiment of this project "
                f"ran on such a branch. {self._advice}"
            )
        return found

    def find_single(self, text: str) -> str:
        """Return the ID of the only experiment that a name stands for.

        Raises:
            UsageError: the name stands for no experiment, or for experiments of several directories.
            EvalwireError: Phoenix cannot be reached.
        """
        found = self.find(text)
        if len(found) > 1:
            raise UsageError(
                f"{text} stands for {count(len(found), 'experiment')} of different directories: {', '.join(found)}. "
                "Select a directory with --name."
            )
        return found[0]

    @property
    def _advice(self) -> str:
        if not self.datasets:
            return f"{self._settings.experiments}/ has no experiments: run this in the project, or give an ID."
        return f"Give {NAMES}."

    def _on_dataset(self, dataset: str) -> Iterator[Mapping[str, Any]]:
        try:
            yield from self._listing.on_dataset(dataset)
        except DatasetNotFound:
            return

    def _last(self, text: str, back: int) -> list[str]:
        found = [next(itertools.islice(self.records(name), back, None), None) for name in self.datasets]
        if ids := [record["id"] for record in found if record is not None]:
            return ids
        known = [f"{sum(1 for _ in self.records(name))} of {name}" for name in self.datasets]
        prefix = f"with the prefix {self._settings.prefix!r}"
        has = f"Phoenix has {', '.join(known)} {prefix}. " if known else ""
        raise UsageError(f"no recorded experiment matches {text}. {has}{self._advice}")

    def _on_branch(self, branch: str) -> list[str]:
        """Return the newest finished experiment of each directory on a branch."""
        found = []
        for name, dataset in self.datasets.items():
            wanted = BaselineQuery(
                experiment=name,
                dataset_name=dataset,
                prefix=self._settings.prefix,
                split=self._settings.split,
                branches=[branch],
                is_ci=self._is_ci,
                base_branch=self._settings.base_branch or "main",
                is_any_outcome=True,
            )
            record, _ = choose_baseline(itertools.islice(self._on_dataset(dataset), _MOST_RECORDS), wanted)
            found += [record["id"]] if record else []
        return found

    def _tagged(self, tag: str) -> list[str]:
        found = []
        for dataset in dict.fromkeys(self.datasets.values()):
            try:
                record = self._listing.tagged(dataset, tag)
            except DatasetNotFound:
                continue
            found += [record["id"]] if record else []
        return found

    def _starting_with(self, text: str) -> list[str]:
        """Return the only ID that starts with a text; an empty list if there is none.

        Raises:
            UsageError: several IDs start with the text.
        """
        datasets = dict.fromkeys(self.datasets.values())
        records = itertools.chain.from_iterable(
            itertools.islice(self._on_dataset(dataset), _MOST_RECORDS) for dataset in datasets
        )
        fitting = [record for record in records if record["id"].startswith(text)] if text else []
        exact = [record for record in fitting if record["id"] == text]
        fitting = exact or fitting
        if len(fitting) > 1:
            lines = [f"{each['id']}  {history_entry(each).time_text}  {each['name']}" for each in fitting]
            more = [f"and {len(lines) - _MOST_CANDIDATES} more"] if len(lines) > _MOST_CANDIDATES else []
            shown = "\n  ".join([*lines[:_MOST_CANDIDATES], *more])
            raise UsageError(f"{len(fitting)} IDs start with {text!r}:\n  {shown}\nGive more of the ID.")
        return [record["id"] for record in fitting]


def is_experiment_id(text: str) -> bool:
    """Check whether a text has the form of Phoenix's IDs of experiments, which needs no request."""
    try:
        return _ID.fullmatch(base64.b64decode(text, validate=True)) is not None
    except (binascii.Error, ValueError):
        return False
