"""What recording needs of a Phoenix server and of a journal; `jobs` passes both in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.model import Dataset, Evaluation, Experiment, OpenExperiment, TaskRun


class Datasets(Protocol):
    """Gives datasets."""

    def dataset(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a dataset."""


class Server(Datasets, Protocol):
    """A Phoenix server, as experiments are created and recorded there."""

    def dataset_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch one version of a dataset."""

    def create_experiment(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment, or adopt the one of an earlier try; return Phoenix's record of it."""

    def remove_experiment(self, experiment_id: str) -> None:
        """Delete an experiment; do nothing when it is gone."""

    def experiment(self, experiment_id: str) -> Mapping[str, Any]:
        """Fetch an experiment's record, with the counts of its runs."""

    def experiment_url(self, dataset_id: str, experiment_id: str) -> str | None:
        """Return the address of an experiment's page."""

    def recorded_runs(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """Fetch the runs of an experiment."""

    def claimed(self, claim: str) -> str | None:
        """Return the ID of the experiment that has a claim; None when there is none."""

    def claim(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment unless another one has the claim; return the ID of the one that has it."""

    def is_sure_of(self, key: str) -> bool:
        """Check whether the creation with this key was made once, and answered."""

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete what an earlier try of a creation left behind."""

    def log_run(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; return its ID."""

    def log_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation; return its ID."""

    def missing_records(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """Describe what the server lacks of the runs that it accepted."""


class JournalWriter(Protocol):
    """Writes everything down before it is sent: `evalwire.recording.Journal`."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment is about to be created in Phoenix."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write what a task returned, or why it failed for good."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write what an evaluator returned for a run, or why it failed for good."""


class NoJournal:
    """Writes nothing: there is no folder for a journal."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing."""


class Opener(Protocol):
    """Opens experiments in Phoenix: creates, resumes or shares them."""

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset of an experiment and open the experiment.

        Raises:
            EvalwireError: this experiment cannot run.
        """
