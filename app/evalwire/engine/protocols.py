"""The interfaces that the engine needs: to open experiments and record runs, trace calls, and report progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.errors import EvalwireError
    from evalwire.model import (
        Callee,
        Evaluation,
        Experiment,
        ExperimentResult,
        GateDecision,
        OpenExperiment,
        TaskRun,
    )
    from evalwire.usercode import Trace


class Recorder(Protocol):
    """Opens experiments and records runs in Phoenix; in a dry run, nothing is recorded."""

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and open the experiment.

        Raises:
            EvalwireError: the experiment cannot run.
        """

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Save the result of a task immediately."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Save the result of an evaluator immediately."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record the parts of a run without an ID; return the run with its IDs, and the error if any part failed."""

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Describe accepted records that are missing in Phoenix at the end.

        Raises:
            EvalwireError: Phoenix cannot be queried.
        """


class GateWatch(Protocol):
    """Decides the gates of an experiment while it runs, so that the experiment can end early.

    Attributes:
        order: the positions of the examples in the dataset, in the random order of the runs.
        risk: the maximum probability that the whole experiment would decide any limit of the job otherwise.
        decisions: the decisions of the gates.
    """

    @property
    def order(self) -> Sequence[int]:
        """The positions of the examples in the dataset, in the random order of the runs."""

    @property
    def risk(self) -> float:
        """The maximum probability that the whole experiment would decide any limit of the job otherwise."""

    @property
    def decisions(self) -> tuple[GateDecision, ...]:
        """The decisions of the gates."""

    def add(self, run: TaskRun) -> bool:
        """Look at the next run of the order; return whether the gates are decided."""

    def end_round(self, part: ExperimentResult) -> bool:
        """Look at all runs of the first repetitions; return whether the gates are decided."""

    def end(self, part: ExperimentResult) -> None:
        """Look at the whole experiment, to account for the earlier looks."""


class EarlyVerdicts(Protocol):
    """Watches the gates of a job."""

    def watch(self, opened: OpenExperiment) -> GateWatch | None:
        """Return the watch of an experiment; None if it runs all its examples."""


class Tracer(Protocol):
    """Traces calls of user code.

    Attributes:
        lost: the number of spans that could not be delivered.
    """

    @property
    def lost(self) -> int:
        """The number of spans that could not be delivered."""

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Trace:
        """Start the trace of a call."""


class Observer(Protocol):
    """Receives progress events, on the engine's thread."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Notify that an experiment's dataset is available and its first example is about to run."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Notify that the task and the evaluators of a run have ended; the run is recorded next."""

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Notify that a run has been recorded, or could not be."""

    def rate_limited(self, seconds: float) -> None:
        """Notify that calls wait for a rate limit, for this time from now."""

    def finished(self, result: ExperimentResult) -> None:
        """Notify that an experiment has ended."""

    def close(self) -> None:
        """Release the resources for the progress display."""
