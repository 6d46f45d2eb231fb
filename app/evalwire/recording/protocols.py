"""Declare what recording needs of a journal, and how experiments are opened; `jobs` passes both in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Evaluation, Experiment, OpenExperiment, TaskRun


class JournalWriter(Protocol):
    """Writes everything down before it is sent: `evalwire.recording.Journal`."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment is about to be created in Phoenix."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write what a task returned, or why it failed for good."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write what an evaluator returned for a run, or why it failed for good."""


class NoJournal:
    """Writes nothing: there is no folder for a journal."""

    def creating(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def opened(self, opened: OpenExperiment) -> None:
        """Write nothing."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing."""


class Opener(Protocol):
    """Opens experiments in Phoenix: creates, resumes or shares them."""

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset of an experiment and open the experiment.

        Raises:
            EvalwireError: this experiment cannot run.
        """
