"""Record runs: in Phoenix, or, in a dry run, nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from evalwire.errors import EvalwireError, PhoenixError
from evalwire.model import CREATION_KEY, FACTS_KEY, OpenExperiment, TaskRun, evaluation_metadata
from evalwire.recording.create import part_of
from evalwire.usercode import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from evalwire.model import Evaluation, Experiment, Failure, JobSpec
    from evalwire.recording.protocols import JournalWriter, Opener
    from evalwire.recording.server import Datasets, Server

T = TypeVar("T")


class _Requests:
    """Makes the client's blocking requests on a few threads: so many at a time, and no more."""

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
    """Opens experiments in Phoenix, and records every run there.

    Args:
        server: the Phoenix server.
        opener: opens the experiments.
        journal: written before anything is sent.
        connections: requests at once.
        mask: replaces secrets in the text of a failure.
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
        """Fetch the dataset; open the experiment."""
        return await self._requests.run(partial(self._opener.open, experiment))

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write what a task returned into the journal."""
        self._journal.returned(opened, run)

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write what an evaluator returned into the journal."""
        self._journal.evaluated(opened, run, evaluations)

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record what has no ID yet: the run, then each of its evaluations."""
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
        """Record the evaluations that have a baseline's score once more; Phoenix replaces what it has of them."""
        again = tuple(
            replace(one, id=None) if one.baseline_score is not None else one for one in run.evaluations if one.id
        )
        sent, error = await self._requests.run(partial(self._record, opened, replace(run, evaluations=again)))
        by_name = {one.name: one for one in sent.evaluations}
        return replace(run, evaluations=tuple(by_name.get(one.name, one) for one in run.evaluations)), error

    def _log_run(self, opened: OpenExperiment, run: TaskRun) -> str:
        if opened.id is None:
            raise PhoenixError(f"{opened.recorded_name} has no ID in Phoenix, so its runs cannot be recorded.")
        return self._server.runs.record(opened.id, run, error=self._error_text(run.failure))

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Compare Phoenix's counts with what it accepted; describe what is missing."""
        return await self._requests.run(partial(self._verify, opened, runs))

    def _verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        if opened.id is None:  # its part of the dataset is empty, so nothing was created
            return []
        key = opened.metadata.get(CREATION_KEY)  # an experiment that somebody else created has none
        is_part = opened.shard is not None  # whichever shard created it is sure of it, or removes a twin
        if key is not None and not is_part:
            self._server.experiments.remove_twins(opened.dataset.id, key, keep=opened.id)
        return self._server.runs.missing(opened.id, runs, is_part=is_part)

    def close(self) -> None:
        """End the threads; nothing more is to be recorded."""
        self._requests.close()

    def _error_text(self, failure: Failure | None) -> str | None:
        """Return a failure as text that Phoenix can hold, without secrets."""
        if failure is None:
            return None
        return self._mask(str(failure)).encode(errors="replace").decode().replace("\0", " ")


def _with_metadata(evaluation: Evaluation, run: TaskRun, *, is_shared: bool) -> Evaluation:
    """Return an evaluation whose metadata says what a later job cannot tell from its record."""
    facts = evaluation_metadata(evaluation, run, is_shared=is_shared)
    return replace(evaluation, metadata={**evaluation.metadata, FACTS_KEY: facts}) if facts else evaluation


class DryRunRecorder:
    """Fetches datasets, gives the first examples of each, and writes nothing.

    Args:
        datasets: of the Phoenix server.
        spec: what the job runs.
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
        fetch = partial(
            self._datasets.fetch, experiment.dataset_name, split=spec.split, version_id=spec.dataset_version
        )
        dataset = await self._requests.run(fetch)
        shard = spec.sharing.shard if spec.sharing and dataset.examples else None
        if shard is not None:
            dataset = part_of(dataset, shard, experiment=experiment.name)
        return OpenExperiment(
            experiment=experiment,
            dataset=replace(dataset, examples=dataset.examples[: self._examples]),
            recorded_name=f"{spec.prefix}_{experiment.dataset_name}_dry_run",
            repetitions=spec.repetitions,
            shard=shard,
        )

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Return the run as it is."""
        del opened
        return run, None

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Return nothing: nothing was written, so nothing is missing."""
        del opened, runs
        return []

    def close(self) -> None:
        """End the threads; nothing more is to be fetched."""
        self._requests.close()
