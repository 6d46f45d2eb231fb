"""Declare what recording needs of a Phoenix server; `evalwire.phoenix.Phoenix` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from evalwire.model import Dataset, Evaluation, TaskRun


class Datasets(Protocol):
    """Reads datasets."""

    def fetch(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a dataset."""

    def fetch_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch one version of a dataset."""


class Experiments(Protocol):
    """Creates, finds and deletes experiments."""

    def create(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment; return Phoenix's record of it."""

    def remove(self, experiment_id: str) -> None:
        """Delete an experiment; nothing when it is gone."""

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete what an earlier try of the creation left behind."""

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment's record, with the counts of its runs."""

    def url(self, dataset_id: str, experiment_id: str) -> str | None:
        """Return the address of an experiment's page."""


class Runs(Protocol):
    """Records runs, and reads them."""

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; return its id."""

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation; return its id."""

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """Return the recorded runs of an experiment."""

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """Return what the server lacks of the runs that it accepted."""


class Claims(Protocol):
    """Lets jobs agree on an experiment."""

    def holder(self, claim: str) -> str | None:
        """Return the experiment that has a claim, if there is one."""

    def take(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment, unless another one has the claim already; return the claim's holder."""


class Server(Protocol):
    """A Phoenix server, in parts."""

    @property
    def datasets(self) -> Datasets:
        """Its datasets."""

    @property
    def experiments(self) -> Experiments:
        """Its experiments."""

    @property
    def runs(self) -> Runs:
        """Its runs."""

    @property
    def claims(self) -> Claims:
        """Its claims."""
