"""The two seams of the engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from evalwire.errors import EvalwireError
    from evalwire.model import (
        Callee,
        Evaluation,
        Experiment,
        ExperimentResult,
        OpenExperiment,
        TaskRun,
    )
    from evalwire.usercode import Trace


class Recorder(Protocol):
    """Where an experiment comes from and where its runs go: Phoenix, or nowhere in a dry run."""

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and create the experiment.

        Raises:
            EvalwireError: this experiment cannot run.
        """

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Trace:
        """Begin a trace of one call in the experiment's project."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Note what a task returned, at once."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Note what an evaluator said, at once."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record what has no id yet; the run with the ids of what Phoenix has, and why that is not all."""

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """What Phoenix lacks, at the end, of what it accepted, in words.

        Raises:
            EvalwireError: Phoenix cannot be asked.
        """


class Observer(Protocol):
    """Who wants to know how far the job is. Called on the engine's thread."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """An experiment's dataset is there and its first example is about to run."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """A run is over and recorded, or failed."""

    def finished(self, result: ExperimentResult) -> None:
        """An experiment is over."""
