"""Recorders of runs: in Phoenix or, for a dry run, nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from evalwire.errors import EvalwireError, PhoenixError
from evalwire.model import CREATION_KEY, FACTS_KEY, OpenExperiment, TaskRun, evaluation_metadata
from evalwire.recording.create import part_of_job, partial_entry
from evalwire.usercode import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from evalwire.model import Evaluation, Experiment, Failure, JobSpec
    from evalwire.recording.protocols import Datasets, JournalWriter, Opener, Server

T = TypeVar("T")


class _Requests:
    """Makes the client's blocking requests on threads, with a limited number of concurrent requests."""

    def __init__(self, connections: int) -> None:
        self._slots = asyncio.Semaphore(connections)
        self._threads = Threads()

    async def run(self, request: Callable[[], T]) -> T:
        async with self._slots:
            result: T = await self._threads.run(request)
            return result

    def close(self) -> None:
        """End the idle threads."""
        self._threads.close()


class PhoenixRecorder:
    """Opens experiments in Phoenix and records every run there.

    Args:
        server: the Phoenix server.
        opener: the object that opens the experiments.
        journal: the journal, which is written before anything is sent.
        connections: the maximum number of concurrent requests.
        mask: a function that replaces secrets in the text of a failure.
    """

    def __init__(
        self,
        server: Server,
        opener: Opener,
        *,
        journal: JournalWriter,
        connections: int,
        mask: Callable[[str], str],
    ) -> None:
        self._server = server
        self._opener = opener
        self._journal = journal
        self._requests = _Requests(connections)
        self._mask = mask

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and open the experiment."""
        return await self._requests.run(partial(self._opener.open, experiment))

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write the result of a task to the journal."""
        self._journal.returned(opened, run)

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write the result of an evaluator to the journal."""
        self._journal.evaluated(opened, run, evaluations)

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record the parts without an ID: first the run, then each of its evaluations."""
        if run.is_recorded:
            return run, None
        return await self._requests.run(partial(self._record, opened, run))

    def _record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        evaluations = list(run.evaluations)
        try:
            run_id = run.id or self._log_run(opened, run)
            run = replace(run, id=run_id)
            for index, evaluation in enumerate(evaluations):
                if evaluation.id is None:
                    sent = _with_metadata(evaluation, run, is_shared=opened.shard is not None)
                    id_ = self._server.runs.record_evaluation(run_id, sent, error=self._error_text(evaluation.failure))
                    evaluations[index] = replace(evaluation, id=id_)
        except EvalwireError as error:
            return replace(run, evaluations=tuple(evaluations)), error
        return replace(run, evaluations=tuple(evaluations)), None

    async def record_again(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record evaluations with a baseline's score again; Phoenix replaces its records of them."""
        again = tuple(
            replace(each, id=None) if each.baseline_score is not None else each for each in run.evaluations if each.id
        )
        sent, error = await self._requests.run(partial(self._record, opened, replace(run, evaluations=again)))
        by_name = {evaluation.name: evaluation for evaluation in sent.evaluations}
        return replace(run, evaluations=tuple(by_name.get(each.name, each) for each in run.evaluations)), error

    def _log_run(self, opened: OpenExperiment, run: TaskRun) -> str:
        if opened.id is None:
            raise PhoenixError(
                f"the experiment {opened.recorded_name} got no ID from Phoenix, so its runs cannot be recorded. "
                "Run the job again."
            )
        return self._server.runs.record(opened.id, run, error=self._error_text(run.failure))

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Compare Phoenix's counts with the accepted records; describe missing records."""
        return await self._requests.run(partial(self._verify, opened, runs))

    def _verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        if opened.id is None:  # not created, because its part of the dataset is empty
            return []
        key = opened.metadata.get(CREATION_KEY)  # None for an experiment that another tool created
        is_part = opened.shard is not None  # the shard that created it has already removed any twins
        if key is not None and not is_part:
            self._server.experiments.remove_twins(opened.dataset.id, key, keep=opened.id)
        return self._server.runs.missing(opened.id, runs, is_part=is_part)

    def close(self) -> None:
        """End the threads; nothing can be recorded after this."""
        self._requests.close()

    def _error_text(self, failure: Failure | None) -> str | None:
        """Return a failure as text that Phoenix can store, without secrets."""
        if failure is None:
            return None
        return self._mask(str(failure)).encode(errors="replace").decode().replace("\0", " ")


def _with_metadata(evaluation: Evaluation, run: TaskRun, *, is_shared: bool) -> Evaluation:
    """Return an evaluation with metadata for facts that Phoenix's record does not have."""
    facts = evaluation_metadata(evaluation, run, is_shared=is_shared)
    return replace(evaluation, metadata={**evaluation.metadata, FACTS_KEY: facts}) if facts else evaluation


class DryRunRecorder:
    """Fetches datasets, opens experiments with only their first examples, and writes nothing.

    Args:
        datasets: the datasets of the Phoenix server.
        spec: the job's specification.
        examples: the number of examples of each experiment.
    """

    def __init__(self, datasets: Datasets, spec: JobSpec, *, examples: int) -> None:
        self._datasets = datasets
        self._spec = spec
        self._examples = examples
        self._requests = _Requests(4)

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset."""
        spec = self._spec
        name = experiment.dataset_name
        fetch = partial(self._datasets.fetch, name, split=spec.split, version_id=spec.version_of(name))
        whole = await self._requests.run(lambda: self._datasets.with_splits(fetch()))
        shard = spec.sharing.shard if spec.sharing and whole.examples else None
        dataset = part_of_job(whole, spec, experiment=experiment.name)
        metadata: dict[str, Any] = {}
        if spec.selection is not None:
            metadata[FACTS_KEY] = {"partial": partial_entry(spec.selection, whole, dataset, experiment=experiment.name)}
        return OpenExperiment(
            experiment=experiment,
            dataset=replace(dataset, examples=dataset.examples[: self._examples]),
            recorded_name=f"{spec.prefix}_{experiment.dataset_name}_dry_run",
            repetitions=spec.repetitions,
            metadata=metadata,
            shard=shard,
        )

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Return the run unchanged."""
        del opened
        return run, None

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Return an empty list, because nothing was written."""
        del opened, runs
        return []

    def close(self) -> None:
        """End the threads; nothing can be fetched after this."""
        self._requests.close()
