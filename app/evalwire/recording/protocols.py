"""The interfaces of journals, openers and Phoenix, whose implementations `jobs` passes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.model import Dataset, Evaluation, Experiment, OpenExperiment, TaskRun

EvaluatorTraces = Literal["auto", "all"]
"""The calls of evaluators whose spans are sent: all, or only spans that hold something."""


class JournalWriter(Protocol):
    """Saves everything before it is sent; `evalwire.recording.Journal` implements it."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment is about to be created in Phoenix."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write the output of a task, or its final failure."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write an evaluator's evaluations of a run, or its final failure."""


class NoJournal:
    """Writes nothing, if there is no directory for a journal."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing."""


class Opener(Protocol):
    """Opens experiments in Phoenix by creating, resuming or sharing them."""

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset of an experiment and open the experiment.

        Raises:
            EvalwireError: the experiment cannot run.
        """


class Datasets(Protocol):
    """Reads datasets."""

    def fetch(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a dataset."""

    def fetch_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch a version of a dataset."""

    def with_splits(self, dataset: Dataset) -> Dataset:
        """Return a dataset whose examples name their splits, as far as Phoenix can list them."""


class Experiments(Protocol):
    """Creates, finds and deletes experiments."""

    def create(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment; return Phoenix's record."""

    def remove(self, experiment_id: str) -> None:
        """Delete an experiment, if it exists."""

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete duplicates from earlier attempts to create an experiment."""

    def find(self, experiment_id: str) -> Mapping[str, Any]:
        """Return an experiment's record, with the counts of its runs."""

    def url(self, dataset_id: str, experiment_id: str) -> str | None:
        """Return the address of an experiment's page."""


class Runs(Protocol):
    """Records runs, and reads them."""

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; return the ID."""

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation; return the ID."""

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """Return the recorded runs of an experiment."""

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """Describe accepted runs and evaluations that are missing on the server."""


class Claims(Protocol):
    """Lets jobs agree on an experiment."""

    def holder(self, claim: str) -> str | None:
        """Return the ID of the experiment that has a claim, or None."""

    def take(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment, unless another experiment has the claim; return the holder's ID."""


class Server(Protocol):
    """A Phoenix server, in parts."""

    @property
    def datasets(self) -> Datasets:
        """The server's datasets."""

    @property
    def experiments(self) -> Experiments:
        """The server's experiments."""

    @property
    def runs(self) -> Runs:
        """The server's runs."""

    @property
    def claims(self) -> Claims:
        """The server's claims."""
