"""What a journal, or Phoenix, knows of an earlier job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalwire.model import (
    CREATION_KEY,
    Evaluation,
    Failure,
    JobSpec,
    TaskRun,
    kind_without_record,
    usage_from_json,
)

if TYPE_CHECKING:
    from evalwire.model import Dataset, Example, OpenExperiment, RunKey


def dataset_record(dataset: Dataset) -> dict[str, Any]:
    """Return the record by which a later job finds and recognises a dataset."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version_id": dataset.version_id,
        "examples": len(dataset.examples),
        "split": dataset.split,
    }


@dataclass(slots=True, kw_only=True)
class PastExperiment:
    """What a journal, or Phoenix, knows of one experiment of an earlier job.

    Attributes:
        dataset: `id`, `name`, `version_id`, `split` and the number of `examples`; empty before the experiment was
            to be created.
        id: Phoenix's id of the experiment; None when its creation is not known to have succeeded.
        runs: without examples, which only Phoenix has: see `runs_on`.
    """

    experiment: str
    dataset: Mapping[str, Any] = field(default_factory=dict)
    recorded_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    id: str | None = None
    url: str | None = None
    project_name: str | None = None
    runs: dict[RunKey, Mapping[str, Any]] = field(default_factory=dict)
    evaluations: dict[RunKey, dict[str, list[Mapping[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: OpenExperiment) -> PastExperiment:
        """An experiment that has begun, and has no runs yet."""
        return cls(
            experiment=opened.experiment.name,
            dataset=dataset_record(opened.dataset),
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
                place = (example.node_id, repetition)
                if place in self.runs:
                    run: TaskRun | None = self._run(example, place)
                else:
                    run = others.get(place)
                    if run is not None and place in self.evaluations:  # judged after its run was found in Phoenix
                        run = self._judged(run, place)
                if run is not None:
                    found[place] = run
        return found

    def _run(self, example: Example, place: RunKey) -> TaskRun:
        line = self.runs[place]
        run = TaskRun(
            example=example,
            output=line["output"],
            failure=_failure(line["failure"]),
            start_time=datetime.fromisoformat(line["start_time"]),
            end_time=datetime.fromisoformat(line["end_time"]),
            repetition=place[1],
            trace_id=line["trace_id"],
            attempts=line["attempts"],
            usage=usage_from_json(line.get("usage")),
        )
        return self._judged(run, place)

    def _judged(self, run: TaskRun, place: RunKey) -> TaskRun:
        own = self.evaluations.get(place, {})
        evaluations = [_evaluation(fields, evaluator=evaluator) for evaluator, said in own.items() for fields in said]
        others = [one for one in run.evaluations if one.evaluator not in own]
        return replace(run, evaluations=(*others, *evaluations))


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


def _failure(fields: Mapping[str, Any] | None) -> Failure | None:
    return Failure(**{"kind": kind_without_record(fields["stage"], fields["type"]), **fields}) if fields else None


def _evaluation(fields: Mapping[str, Any], *, evaluator: str) -> Evaluation:
    return Evaluation(
        **{
            **fields,
            "failure": _failure(fields["failure"]),
            "start_time": datetime.fromisoformat(fields["start_time"]),
            "end_time": datetime.fromisoformat(fields["end_time"]),
            "usage": usage_from_json(fields.get("usage")),
        },
        evaluator=evaluator,
    )
