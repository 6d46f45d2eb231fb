"""Where runs go: to the journal and to Phoenix, or, in a dry run, nowhere."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evalwire.calling import Threads
from evalwire.errors import EvalwireError, ExperimentNotFound, PhoenixError, UsageError
from evalwire.facts import at_start
from evalwire.model import CREATION_KEY, FACTS_KEY, Callee, Dataset, Evaluation, Experiment, OpenExperiment, TaskRun
from evalwire.returns import is_same_json

if TYPE_CHECKING:
    from evalwire.journal import Past, Place

T = TypeVar("T")

log = logging.getLogger("evalwire")


class Server(Protocol):
    """What a recorder needs of `evalwire.gateway.Phoenix`."""

    def dataset(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a dataset."""

    def dataset_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch one version of a dataset."""

    def create_experiment(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment; Phoenix's record of it."""

    def is_sure_of(self, key: str) -> bool:
        """Whether it made the creation with this key once, and answered."""

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete what an earlier try of the creation left behind."""

    def experiment(self, experiment_id: str) -> Mapping[str, Any]:
        """An experiment's record, with the counts of its runs."""

    def experiment_url(self, dataset_id: str, experiment_id: str) -> str | None:
        """Its page."""

    def log_run(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; its id."""

    def log_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation; its id."""

    def recorded_runs(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """The runs that it has."""

    def missing_records(self, experiment_id: str, runs: Collection[TaskRun]) -> list[str]:
        """What it lacks of the runs that it accepted."""


class Tracer(Protocol):
    """What makes the spans around calls of the user's code."""

    def trace(self, *, project: str | None, kind: str, callee: Callee, values: Mapping[str, Any]) -> Any:
        """Begin a trace of one call."""


class Notes(Protocol):
    """Where everything is noted before it is sent: `evalwire.journal.Journal`."""

    def creating(self, opened: OpenExperiment) -> None:
        """An experiment is about to be created in Phoenix."""

    def opened(self, opened: OpenExperiment) -> None:
        """It was created."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """A task returned, or failed for good."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """An evaluator said something of a run, or failed for good."""


class NoNotes:
    """No journal: there is no folder for it."""

    def creating(self, opened: OpenExperiment) -> None:
        """Note nothing."""

    def opened(self, opened: OpenExperiment) -> None:
        """Note nothing."""

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Note nothing."""

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Note nothing."""


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
    """Fetches datasets from Phoenix, creates experiments there, and records every run.

    Args:
        phoenix: the server.
        tracer: makes the spans.
        notes: the journal.
        past: what is known of an earlier job that goes on, by experiment.
        retry_failed: forget the failures of the earlier job, so that they are tried again.
        prefix: first part of the experiments' names.
        metadata: recorded with each experiment.
        repetitions: how often each example is to run.
        split: of the datasets, or None for all of each.
        version_id: of the dataset, or None for the newest of each.
        connections: requests at once.
        mask: takes secrets out of the text of a failure.
        now: the time, for the names.
    """

    def __init__(
        self,
        phoenix: Server,
        tracer: Tracer,
        *,
        notes: Notes | None = None,
        past: Mapping[str, Past] | None = None,
        retry_failed: bool = False,
        prefix: str = "eval",
        metadata: Mapping[str, Any] | None = None,
        repetitions: int = 1,
        split: str | None = None,
        version_id: str | None = None,
        connections: int = 4,
        mask: Callable[[str], str] = str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._phoenix = phoenix
        self._tracer = tracer
        self._notes = notes or NoNotes()
        self._past = past or {}
        self._retry_failed = retry_failed
        self._prefix = prefix
        self._metadata = dict(metadata or {})
        self._repetitions = repetitions
        self._split = split
        self._version_id = version_id
        self._requests = _Requests(connections)
        self._mask = mask
        self._now = now

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset; create the experiment unless the dataset is empty or an earlier job did."""
        past = self._past.get(experiment.name)
        begin = self._open if past is None or past.dataset is None else partial(self._reopen, past=past)
        return await self._requests.run(partial(begin, experiment))

    def _open(self, experiment: Experiment) -> OpenExperiment:
        dataset = self._phoenix.dataset(experiment.dataset_name, split=self._split, version_id=self._version_id)
        name = f"{self._prefix}_{experiment.dataset_name}_{self._now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        metadata = {
            "dataset": experiment.dataset_name,
            "run_by": "evalwire",
            **self._metadata,
            CREATION_KEY: uuid.uuid4().hex,
            FACTS_KEY: at_start(experiment, split=self._split, repetitions=self._repetitions),
        }
        opened = OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name=name,
            metadata=metadata,
            repetitions=self._repetitions,
        )
        if not dataset.examples:
            return opened
        self._notes.creating(opened)
        return self._create(opened, adopt=False)

    def _create(self, opened: OpenExperiment, *, adopt: bool) -> OpenExperiment:
        created = self._phoenix.create_experiment(
            opened.dataset,
            name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
            adopt=adopt,
        )
        opened = replace(
            opened,
            id=created["id"],
            url=self._phoenix.experiment_url(opened.dataset.id, created["id"]),
            project_name=created.get("project_name"),
        )
        self._notes.opened(opened)
        return opened

    def _reopen(self, experiment: Experiment, *, past: Past) -> OpenExperiment:
        """Go on with an experiment of an earlier job, on the version of the dataset that it began with.

        Raises:
            EvalwireError: this Phoenix has not that experiment, or not that version of the dataset.
        """
        if past.dataset is None:
            raise AssertionError("an experiment that was not to be created has no past")
        split = past.dataset.get("split")
        dataset = self._phoenix.dataset_version(past.dataset["id"], past.dataset["version_id"], split=split)
        if dataset.name != past.dataset["name"]:
            raise UsageError(
                f"the dataset {past.dataset['id']} of this Phoenix is {dataset.name!r}, not {past.dataset['name']!r}: "
                "is PHOENIX_ENDPOINT the server that the job recorded to?"
            )
        expected = past.dataset["examples"]
        if len(dataset.examples) != expected:
            raise PhoenixError(
                f"version {dataset.version_id} of the dataset {dataset.name!r} has {len(dataset.examples)} examples, "
                f"and had {expected} when the job began, so it cannot go on; run it anew."
            )
        opened = OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name=past.recorded_name,
            metadata=past.metadata,
            repetitions=past.repetitions,
        )
        if past.id is None:
            return self._create(opened, adopt=True)
        there = self._counts(past)
        if there is None:
            return self._create(replace(opened, earlier=self._earlier(past, dataset, experiment, ())), adopt=True)
        held = self._phoenix.recorded_runs(past.id, dataset)
        opened = replace(
            opened,
            id=past.id,
            url=self._phoenix.experiment_url(dataset.id, past.id),
            project_name=past.project_name or there.get("project_name"),
            earlier=self._earlier(past, dataset, experiment, held),
        )
        self._notes.creating(opened)  # once more: the journal may be a new one
        self._notes.opened(opened)
        return opened

    def _counts(self, past: Past) -> Mapping[str, Any] | None:
        """Phoenix's record of the experiment; None when it has none, though its creation was answered.

        Raises:
            UsageError: it is another one.
        """
        if past.id is None:
            raise AssertionError("an experiment that was created has an id")
        try:
            found = self._phoenix.experiment(past.id)
        except ExperimentNotFound as error:
            log.warning("%s\nIts dataset is here, so the experiment is created anew.", error)
            return None
        if found["name"] != past.recorded_name:
            raise UsageError(
                f"the experiment {past.id} of this Phoenix is {found['name']!r}, not {past.recorded_name!r}: "
                "is PHOENIX_ENDPOINT the server that the job recorded to?"
            )
        return found

    def _earlier(
        self, past: Past, dataset: Dataset, experiment: Experiment, held: Collection[TaskRun]
    ) -> Mapping[Place, TaskRun]:
        """What was paid for, by the journal and by Phoenix; what of it Phoenix has, by Phoenix alone."""
        there = {(run.example.node_id, run.repetition): run for run in held}
        others = {place: _judged_by(experiment, run) for place, run in there.items()}
        runs = past.runs_on(dataset.examples, others=others)
        earlier = {place: _as_held(run, there.get(place)) for place, run in runs.items()}
        return _without_failures(earlier) if self._retry_failed else earlier

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
                run = replace(run, id=self._phoenix.log_run(opened.id, run, error=self._error_text(run.failure)))
            for index, evaluation in enumerate(evaluations):
                if evaluation.id is None and run.id is not None:
                    id_ = self._phoenix.log_evaluation(run.id, evaluation, error=self._error_text(evaluation.failure))
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
        if key is not None and not self._phoenix.is_sure_of(key):
            self._phoenix.remove_twins(opened.dataset.id, key, keep=opened.id)
        return self._phoenix.missing_records(opened.id, runs)

    def close(self) -> None:
        """Nothing more is to be recorded."""
        self._requests.close()

    def _error_text(self, failure: object | None) -> str | None:
        return self._mask(str(failure)).encode(errors="replace").decode().replace("\0", " ") if failure else None


def _as_held(run: TaskRun, held: TaskRun | None) -> TaskRun:
    """A run with the ids of what Phoenix holds of it, and with no others."""
    is_there = held is not None and (
        is_same_json(run.output, held.output) and (run.failure is None) == (held.failure is None)
    )
    if held is None or not is_there:
        unsent = tuple(replace(one, id=None) for one in run.evaluations)
        return replace(run, id=None, evaluations=unsent)
    said = {one.name: one for one in held.evaluations}
    evaluations = tuple(replace(one, id=_id_if_same(one, said.get(one.name))) for one in run.evaluations)
    return replace(run, id=held.id, evaluations=evaluations)


def _id_if_same(one: Evaluation, held: Evaluation | None) -> str | None:
    if held is None or (one.failure is None) != (held.failure is None):
        return None
    return held.id if (one.score, one.label, one.explanation) == (held.score, held.label, held.explanation) else None


def _judged_by(experiment: Experiment, run: TaskRun) -> TaskRun:
    """A run that only Phoenix knows, with the evaluations that go by an evaluator's name.

    Whose the others are (of an evaluator that returns a list, or a person's) is not told, so the evaluators that
    seem not to have spoken speak again.
    """
    names = {evaluator.name for evaluator in experiment.evaluators}
    return replace(run, evaluations=tuple(one for one in run.evaluations if one.name in names))


def _without_failures(runs: Mapping[Place, TaskRun]) -> dict[Place, TaskRun]:
    """Runs whose task did not fail, without the evaluations that did."""
    return {
        place: replace(run, evaluations=tuple(one for one in run.evaluations if one.failure is None))
        for place, run in runs.items()
        if run.failure is None
    }


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
        phoenix: Server,
        *,
        examples: int,
        prefix: str = "eval",
        repetitions: int = 1,
        split: str | None = None,
        version_id: str | None = None,
    ) -> None:
        self._phoenix = phoenix
        self._split = split
        self._version_id = version_id
        self._examples = examples
        self._prefix = prefix
        self._repetitions = repetitions
        self._requests = _Requests(4)

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset."""
        fetch = partial(self._phoenix.dataset, experiment.dataset_name, split=self._split, version_id=self._version_id)
        dataset = await self._requests.run(fetch)
        return OpenExperiment(
            experiment=experiment,
            dataset=replace(dataset, examples=dataset.examples[: self._examples]),
            recorded_name=f"{self._prefix}_{experiment.dataset_name}_dry_run",
            repetitions=self._repetitions,
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
