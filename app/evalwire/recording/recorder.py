"""Where runs go: to the journal and to Phoenix, or, in a dry run, nowhere."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evalwire.errors import EvalwireError
from evalwire.model import (
    CREATION_KEY,
    FACTS_KEY,
    Callee,
    Evaluation,
    Experiment,
    OpenExperiment,
    TaskRun,
    evaluation_metadata,
)
from evalwire.recording.opening import NoNotes, part_of
from evalwire.usercode import Threads

if TYPE_CHECKING:
    from evalwire.model import Shard
    from evalwire.recording.opening import Notes, Opening
    from evalwire.recording.server import Datasets, Server


T = TypeVar("T")


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

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()


class PhoenixRecorder:
    """Begins experiments in Phoenix, and records every run there.

    Args:
        phoenix: the server.
        tracer: makes the spans.
        opening: begins the experiments.
        notes: the journal.
        connections: requests at once.
        mask: takes secrets out of the text of a failure.
    """

    def __init__(
        self,
        phoenix: Server,
        tracer: Tracer,
        opening: Opening,
        *,
        notes: Notes | None = None,
        connections: int = 4,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._phoenix = phoenix
        self._tracer = tracer
        self._opening = opening
        self._notes = notes or NoNotes()
        self._requests = _Requests(connections)
        self._mask = mask

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset; create the experiment unless the dataset is empty or another job did."""
        return await self._requests.run(partial(self._opening.open, experiment))

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> Any:
        """Trace a task in the experiment's project, an evaluator in Phoenix's project `evaluators`."""
        is_task = callee is opened.experiment.task
        project = opened.project_name if is_task else "evaluators"
        return self._tracer.trace(
            project=project, kind="CHAIN" if is_task else "EVALUATOR", callee=callee, values=values
        )

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Note what a task returned."""
        self._notes.returned(opened, run)

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Note what an evaluator said."""
        self._notes.judged(opened, run, evaluations)

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record what has no id yet: the run, then each evaluation of it."""
        if run.is_recorded:
            return run, None
        return await self._requests.run(partial(self._record, opened, run))

    def _record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        if opened.id is None:
            raise AssertionError("an experiment without an id has no runs")
        evaluations = list(run.evaluations)
        try:
            if run.id is None:
                run = replace(run, id=self._phoenix.runs.record(opened.id, run, error=self._error_text(run.failure)))
            for index, evaluation in enumerate(evaluations):
                if evaluation.id is None and run.id is not None:
                    sent = _with_facts(evaluation, run) if opened.shard else evaluation
                    id_ = self._phoenix.runs.record_evaluation(run.id, sent, error=self._error_text(evaluation.failure))
                    evaluations[index] = replace(evaluation, id=id_)
        except EvalwireError as error:
            return replace(run, evaluations=tuple(evaluations)), error
        return replace(run, evaluations=tuple(evaluations)), None

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Compare Phoenix's counts with what it accepted; what is missing, in words."""
        return await self._requests.run(partial(self._verify, opened, runs))

    def _verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        if opened.id is None:
            return []
        key = opened.metadata.get(CREATION_KEY)  # an experiment that somebody else created has none
        is_part = opened.shard is not None  # whichever shard created it is sure of it, or removes a twin
        if key is not None and not is_part:
            self._phoenix.experiments.remove_twins(opened.dataset.id, key, keep=opened.id)
        return self._phoenix.runs.missing(opened.id, runs, is_part=is_part)

    def close(self) -> None:
        """Nothing more is to be recorded."""
        self._requests.close()

    def _error_text(self, failure: object | None) -> str | None:
        return self._mask(str(failure)).encode(errors="replace").decode().replace("\0", " ") if failure else None


def _with_facts(evaluation: Evaluation, run: TaskRun) -> Evaluation:
    """An evaluation that says what a later job, or the gate, cannot tell from it: whose it is, and what was used."""
    metadata = {**evaluation.metadata, FACTS_KEY: evaluation_metadata(evaluation, run)}
    return replace(evaluation, metadata=metadata)


class _Untraced:
    trace_id: str | None = None
    usage = None

    def __init__(self) -> None:
        self.context = contextvars.copy_context()

    def finish(self, **_: Any) -> None:
        """Nothing to note it on."""


class DryRunRecorder:
    """Fetches datasets, gives the first examples of each, and writes nothing."""

    def __init__(
        self,
        datasets: Datasets,
        *,
        examples: int,
        prefix: str = "eval",
        repetitions: int = 1,
        split: str | None = None,
        version_id: str | None = None,
        shard: Shard | None = None,
    ) -> None:
        self._datasets = datasets
        self._split = split
        self._version_id = version_id
        self._examples = examples
        self._prefix = prefix
        self._repetitions = repetitions
        self._shard = shard
        self._requests = _Requests(4)

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset."""
        fetch = partial(self._datasets.fetch, experiment.dataset_name, split=self._split, version_id=self._version_id)
        dataset = await self._requests.run(fetch)
        shard = self._shard if dataset.examples else None
        if shard is not None:
            dataset = part_of(dataset, shard, experiment=experiment.name)
        return OpenExperiment(
            experiment=experiment,
            dataset=replace(dataset, examples=dataset.examples[: self._examples]),
            recorded_name=f"{self._prefix}_{experiment.dataset_name}_dry_run",
            repetitions=self._repetitions,
            shard=shard,
        )

    def trace(self, *_: Any) -> Any:
        """No trace: it would be written to Phoenix."""
        return _Untraced()

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Note nothing."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Note nothing."""

    async def record(self, _: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """The run as it is."""
        return run, None

    async def verify(self, *_: Any) -> list[str]:
        """Nothing was written, so nothing is missing."""
        return []

    def close(self) -> None:
        """Nothing more is to be fetched."""
        self._requests.close()
