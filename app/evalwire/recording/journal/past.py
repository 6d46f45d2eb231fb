"""What a journal, or Phoenix, knows of an earlier job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evalwire.model import CREATION_KEY, JobSpec, TaskRun

if TYPE_CHECKING:
    from evalwire.model import Dataset, Evaluation, Example, OpenExperiment, RunKey
    from evalwire.recording.journal.lines import RunLine


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDataset:
    """The dataset of an earlier experiment, as a later job finds and recognises it.

    Attributes:
        examples: their number.
        split: the split that ran; None for the whole dataset.
    """

    id: str
    name: str
    version_id: str
    examples: int
    split: str | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> PastDataset:
        """Return a dataset as it is found again."""
        return cls(
            id=dataset.id,
            name=dataset.name,
            version_id=dataset.version_id,
            examples=len(dataset.examples),
            split=dataset.split,
        )


@dataclass(slots=True, kw_only=True)
class PastExperiment:
    """What a journal, or Phoenix, knows of one experiment of an earlier job.

    Attributes:
        dataset: None before the experiment was to be created.
        id: Phoenix's id of the experiment; None when its creation is not known to have succeeded.
        runs: without examples, which only Phoenix has: see `runs_on`.
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
        """An experiment that has begun, and has no runs yet."""
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
        """Check whether an experiment in Phoenix is this one, and not another that has its ID by now."""
        key = (metadata or {}).get(CREATION_KEY)
        return recorded_name == self.recorded_name and key == self.metadata.get(CREATION_KEY)

    def runs_on(self, examples: Sequence[Example], *, others: Mapping[RunKey, TaskRun]) -> dict[RunKey, TaskRun]:
        """Return what is known of the runs on these examples.

        Args:
            examples: of the dataset's version that ran.
            others: runs that Phoenix has; they count where the journal holds none.
        """
        found: dict[RunKey, TaskRun] = {}
        for example in examples:
            for repetition in range(1, self.repetitions + 1):
                key = (example.node_id, repetition)
                run = _run(example, self.runs[key]) if key in self.runs else others.get(key)
                if run is not None:  # it may have been evaluated after it was found in Phoenix
                    found[key] = self._with_evaluations(run, key)
        return found

    def _with_evaluations(self, run: TaskRun, key: RunKey) -> TaskRun:
        own = self.evaluations.get(key, {})
        others = [evaluation for evaluation in run.evaluations if evaluation.evaluator not in own]
        return replace(run, evaluations=(*others, *(evaluation for said in own.values() for evaluation in said)))


@dataclass(slots=True, kw_only=True)
class PastJob:
    """What a journal holds of a job.

    Attributes:
        experiments: the names of all experiments that were to run, those that never began included.
        spec: what it ran.
        past: what is known of each experiment that it began, by name.
        damaged: lines in its midst that could not be read.
    """

    experiments: list[str]
    spec: JobSpec
    past: dict[str, PastExperiment] = field(default_factory=dict)
    damaged: int = 0


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
