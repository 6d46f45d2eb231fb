"""Where runs go: to Phoenix, or, in a dry run, nowhere."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from evalwire.calling import Threads
from evalwire.model import Callee, Dataset, Evaluation, Experiment, OpenExperiment, TaskRun

T = TypeVar("T")


class Server(Protocol):
    """What a recorder needs of `evalwire.gateway.Phoenix`."""

    def dataset(self, name: str) -> Dataset:
        """Fetch a dataset."""

    def create_experiment(self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an experiment; Phoenix's record of it."""

    def experiment_url(self, dataset_id: str, experiment_id: str) -> str | None:
        """Its page."""

    def log_run(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; its id."""

    def log_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation; its id."""


class Tracer(Protocol):
    """What makes the spans around calls of the user's code."""

    def trace(self, *, project: str | None, kind: str, callee: Callee, values: Mapping[str, Any]) -> Any:
        """Begin a trace of one call."""


class _Requests:
    """A few threads for the client's blocking requests: so many connections at a time and no more."""

    def __init__(self, connections: int) -> None:
        self._slots = asyncio.Semaphore(connections)
        self._threads = Threads()

    async def run(self, request: Callable[[], T]) -> T:
        async with self._slots:
            result: T = await self._threads.run(request)
            return result


class PhoenixRecorder:
    """Fetches datasets from Phoenix, creates experiments there, and records every run."""

    def __init__(
        self,
        phoenix: Server,
        tracer: Tracer,
        *,
        prefix: str = "eval",
        metadata: Mapping[str, Any] | None = None,
        connections: int = 4,
        mask: Callable[[str], str] = str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._phoenix = phoenix
        self._tracer = tracer
        self._prefix = prefix
        self._metadata = dict(metadata or {})
        self._requests = _Requests(connections)
        self._mask = mask
        self._now = now

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset; create the experiment unless the dataset is empty."""
        return await self._requests.run(partial(self._open, experiment))

    def _open(self, experiment: Experiment) -> OpenExperiment:
        dataset = self._phoenix.dataset(experiment.dataset_name)
        name = f"{self._prefix}_{experiment.dataset_name}_{self._now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        metadata = {"dataset": experiment.dataset_name, "run_by": "evalwire", **self._metadata}
        opened = OpenExperiment(experiment=experiment, dataset=dataset, recorded_name=name, metadata=metadata)
        if not dataset.examples:
            return opened
        created = self._phoenix.create_experiment(dataset, name=name, metadata=metadata)
        return replace(
            opened,
            id=created["id"],
            url=self._phoenix.experiment_url(dataset.id, created["id"]),
            project_name=created.get("project_name"),
        )

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Any:
        """Trace a task in the experiment's project, an evaluator in Phoenix's project `evaluators`."""
        is_task = callee is opened.experiment.task
        project = opened.project_name if is_task else "evaluators"
        return self._tracer.trace(
            project=project, kind="CHAIN" if is_task else "EVALUATOR", callee=callee, values=values
        )

    async def record(self, opened: OpenExperiment, run: TaskRun) -> TaskRun:
        """Record the run, then each evaluation of it."""
        return await self._requests.run(partial(self._record, opened, run))

    def _record(self, opened: OpenExperiment, run: TaskRun) -> TaskRun:
        if opened.id is None:
            raise AssertionError("an experiment without an id has no runs")
        run_id = self._phoenix.log_run(opened.id, run, error=self._error_text(run.failure))
        evaluations = tuple(
            replace(
                evaluation,
                id=self._phoenix.log_evaluation(run_id, evaluation, error=self._error_text(evaluation.failure)),
            )
            for evaluation in run.evaluations
        )
        return replace(run, id=run_id, evaluations=evaluations)

    def _error_text(self, failure: object | None) -> str | None:
        return self._mask(str(failure)).encode(errors="replace").decode().replace("\0", " ") if failure else None


class _Untraced:
    trace_id: str | None = None

    def __init__(self) -> None:
        self.context = contextvars.copy_context()

    def finish(self, **_: Any) -> None:
        """Nothing to note it on."""


class DryRunRecorder:
    """Fetches datasets, gives the first examples of each, and writes nothing."""

    def __init__(self, phoenix: Server, *, examples: int, prefix: str = "eval") -> None:
        self._phoenix = phoenix
        self._examples = examples
        self._prefix = prefix
        self._requests = _Requests(4)

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset."""
        dataset = await self._requests.run(partial(self._phoenix.dataset, experiment.dataset_name))
        return OpenExperiment(
            experiment=experiment,
            dataset=replace(dataset, examples=dataset.examples[: self._examples]),
            recorded_name=f"{self._prefix}_{experiment.dataset_name}_dry_run",
        )

    def trace(self, *_: Any) -> Any:
        """No trace: it would be written to Phoenix."""
        return _Untraced()

    async def record(self, _: OpenExperiment, run: TaskRun) -> TaskRun:
        """The run as it is."""
        return run
