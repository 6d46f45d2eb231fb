"""The interfaces of journals and openers, whose implementations `jobs` passes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Evaluation, Experiment, OpenExperiment, TaskRun

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
