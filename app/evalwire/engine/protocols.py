"""The seams of the engine: where experiments come from and runs go, who traces calls, who watches progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.errors import EvalwireError
    from evalwire.model import Callee, Evaluation, Experiment, ExperimentResult, OpenExperiment, TaskRun
    from evalwire.usercode import Trace


class Recorder(Protocol):
    """Opens experiments and records runs: in Phoenix, or nowhere in a dry run."""

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and open the experiment.

        Raises:
            EvalwireError: this experiment cannot run.
        """

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write down what a task returned, at once."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write down what an evaluator returned, at once."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record what has no ID yet; return the run with the IDs of what Phoenix has, and why that is not all."""

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Describe what Phoenix lacks, at the end, of what it accepted.

        Raises:
            EvalwireError: Phoenix cannot be asked.
        """


class Tracer(Protocol):
    """Traces calls of user code.

    Attributes:
        lost: spans that could not be delivered.
    """

    @property
    def lost(self) -> int:
        """Return the number of spans that could not be delivered."""

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Trace:
        """Begin the trace of one call."""


class Observer(Protocol):
    """Receives progress events, on the engine's thread."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Receive that an experiment's dataset is there and its first example is about to run."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Receive that a run is over and recorded, or failed."""

    def finished(self, result: ExperimentResult) -> None:
        """Receive that an experiment is over."""

    def close(self) -> None:
        """Give back what was opened to show the progress."""
