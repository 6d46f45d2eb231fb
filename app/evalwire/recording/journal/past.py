"""The state of an earlier job, from a journal or from Phoenix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evalwire.model import CREATION_KEY, JobSpec, TaskRun

if TYPE_CHECKING:
    from datetime import datetime

    from evalwire.model import Budget, Dataset, Evaluation, Example, OpenExperiment, RunKey, Usage
    from evalwire.recording.journal.lines import RunLine


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDataset:
    """The dataset of an earlier experiment, as a later job finds and recognizes it.

    Attributes:
        examples: the number of examples.
        split: the split that ran; None for the whole dataset.
    """

    id: str
    name: str
    version_id: str
    examples: int
    split: str | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> PastDataset:
        """Return the identifying data of a dataset."""
        return cls(
            id=dataset.id,
            name=dataset.name,
            version_id=dataset.version_id,
            examples=len(dataset.examples),
            split=dataset.split,
        )


@dataclass(slots=True, kw_only=True)
class PastExperiment:
    """The state of an experiment of an earlier job, from a journal or from Phoenix.

    Attributes:
        dataset: the dataset; None if the creation of the experiment was never attempted.
        id: Phoenix's ID of the experiment; None unless its creation is known to have succeeded.
        runs: the runs without their examples, which only Phoenix has; see `runs_on`.
    """

    experiment: str
    dataset: PastDataset | None = None
    recorded_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    id: str | None = None
    url: str | None = None
    project_name: str | None = None
    runs: dict[RunKey, RunLine] = field(default_factory=dict)
    evaluations: dict[RunKey, dict[str, Sequence[Evaluation]]] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: OpenExperiment) -> PastExperiment:
        """Return the state of an opened experiment, without runs."""
        return cls(
            experiment=opened.experiment.name,
            dataset=PastDataset.of(opened.dataset),
            recorded_name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
            id=opened.id,
            url=opened.url,
            project_name=opened.project_name,
        )

    def is_same(self, *, recorded_name: str, metadata: Mapping[str, Any] | None) -> bool:
        """Check whether an experiment in Phoenix is this experiment, not another with a reused ID."""
        key = (metadata or {}).get(CREATION_KEY)
        return recorded_name == self.recorded_name and key == self.metadata.get(CREATION_KEY)

    def runs_on(self, examples: Sequence[Example], *, others: Mapping[RunKey, TaskRun]) -> dict[RunKey, TaskRun]:
        """Return the known runs on these examples.

        Args:
            examples: the examples of the original dataset version.
            others: the runs from Phoenix, for examples without a run in the journal.
        """
        found: dict[RunKey, TaskRun] = {}
        for example in examples:
            for repetition in range(1, self.repetitions + 1):
                key = (example.node_id, repetition)
                run = _run(example, self.runs[key]) if key in self.runs else others.get(key)
                if run is not None:  # the journal may have evaluations of a run from Phoenix
                    found[key] = self._with_evaluations(run, key)
        return found

    def _with_evaluations(self, run: TaskRun, key: RunKey) -> TaskRun:
        own = self.evaluations.get(key, {})
        others = [evaluation for evaluation in run.evaluations if evaluation.evaluator not in own]
        return replace(run, evaluations=(*others, *(evaluation for found in own.values() for evaluation in found)))


@dataclass(slots=True)
class PastUse:
    """The calls of a job so far, also if a later attempt replaced their results.

    Attributes:
        usage: the usage of each call, with the experiment and the key of its run; None for an output of a baseline.
        times: the start and the end of each call.
    """

    usage: list[tuple[str, RunKey | None, Usage]] = field(default_factory=list)
    times: list[tuple[datetime, datetime]] = field(default_factory=list)

    def add(self, experiment: str, key: RunKey | None, usage: Usage | None) -> None:
        """Add the usage of a call."""
        if usage:
            self.usage.append((experiment, key, usage))


@dataclass(slots=True, kw_only=True)
class PastJob:
    """The state of a job, from its journal.

    Attributes:
        experiments: the names of all planned experiments, including experiments that never started.
        spec: the job's specification.
        past: the state of each started experiment, by name.
        damaged: the number of unreadable lines before the last line.
        budget: the budget of the job; None without a budget.
        use: the calls of the job so far.
    """

    experiments: list[str]
    spec: JobSpec
    past: dict[str, PastExperiment] = field(default_factory=dict)
    damaged: int = 0
    budget: Budget | None = None
    use: PastUse = field(default_factory=PastUse)


def _run(example: Example, line: RunLine) -> TaskRun:
    return TaskRun(
        example=example,
        output=line.output,
        failure=line.failure,
        start_time=line.start_time,
        end_time=line.end_time,
        repetition=line.repetition,
        trace_id=line.trace_id,
        attempts=line.attempts,
        usage=line.usage,
        lossy_output=line.lossy_output,
    )
