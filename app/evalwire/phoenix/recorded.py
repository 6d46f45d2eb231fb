"""Recorded experiments, from evalwire or other tools, read as results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from evalwire.errors import PhoenixError
from evalwire.model import (
    CREATION_KEY,
    Experiment,
    ExperimentResult,
    OpenExperiment,
    own_metadata,
    partial_facts,
    random_order,
    recorded_usage,
    stopping_of,
)
from evalwire.phoenix.export import Recording, example_notes, incomplete_runs

if TYPE_CHECKING:
    from evalwire.model import Dataset, Stopping, TaskRun
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.datasets import Datasets
    from evalwire.phoenix.experiments import Experiments
    from evalwire.phoenix.rest import Rest
    from evalwire.phoenix.runs import Runs


class RecordedExperiments:
    """The recorded experiments of a server, each with its dataset and its runs."""

    def __init__(self, connection: Connection, datasets: Datasets, experiments: Experiments, runs: Runs) -> None:
        self._connection = connection
        self._datasets = datasets
        self._experiments = experiments
        self._runs = runs

    def result(self, experiment_id: str, *, is_whole: bool = False, with_examples: bool = False) -> ExperimentResult:
        """Return an experiment as a result.

        Args:
            experiment_id: Phoenix's ID of the experiment.
            is_whole: whether to include every evaluation in Phoenix, rather than only the evaluations for gates.
            with_examples: whether to include examples that were not run.

        Raises:
            ExperimentNotFound: no experiment has this ID.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        record = self._experiments.find(experiment_id)
        split = own_metadata(record.get("metadata")).get("split")
        dataset = self._datasets.fetch_version(record["dataset_id"], record["dataset_version_id"], split=split)
        url = self._experiments.url(dataset.id, experiment_id)
        found = self._runs.read(experiment_id, dataset)
        result = to_result(record, dataset, found, url=url, is_whole=is_whole)
        if with_examples and result.opened is not None:
            result = replace(result, opened=replace(result.opened, dataset=dataset))
        return result

    def download(self, record: Mapping[str, Any], document: BinaryIO) -> Recording:
        """Download an experiment, with the runs in a file because they may not fit into memory.

        Args:
            record: Phoenix's record of the experiment.
            document: an empty file, which must stay open while the recording is read.

        Raises:
            OSError: the file cannot be written.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        has_runs = record["successful_run_count"] or record["failed_run_count"]

        def write(rest: Rest) -> Recording:
            notes = example_notes(rest, record)
            # read before the runs: a run that is recorded in between is then in both lists, rather than in neither
            incomplete = incomplete_runs(rest, record["id"])
            document.seek(0)
            document.truncate()
            document.writelines(rest.experiment_document(record["id"]) if has_runs else [b"[]"])
            return Recording.of(record, document, notes=notes, incomplete=incomplete)

        try:
            return self._connection.download(f"fetch the runs of the experiment {record['id']}", write)
        except PhoenixError as error:
            if isinstance(error.__cause__, OSError):  # writing the file failed
                raise error.__cause__ from None
            raise


def to_result(
    record: Mapping[str, Any],
    dataset: Dataset,
    found: Sequence[TaskRun],
    *,
    url: str | None,
    is_whole: bool = False,
) -> ExperimentResult:
    """Return a recorded experiment as a result.

    Args:
        record: Phoenix's record of the experiment.
        dataset: the version of the dataset that it ran on.
        found: the runs.
        url: the address of the experiment's page.
        is_whole: whether to include every evaluation in Phoenix, rather than only the evaluations for gates.
    """
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    name = _text(facts.get("experiment")) or _text(metadata.get("dataset")) or dataset.name
    evaluators = facts.get("evaluators")
    if not isinstance(evaluators, Mapping):  # another tool recorded the experiment, without a list of evaluators
        evaluators = None
    runs_ = [_attributed(run, facts.get("scores") or {}) for run in found]
    if not is_whole:
        runs_ = [_with_own_evaluations(run, evaluators) for run in runs_]
    names = evaluators if evaluators is not None else {score.name for run in runs_ for score in run.evaluations}
    partial = partial_facts(metadata) or {}
    stopping = stopping_of(metadata)
    times = [time for run in runs_ for time in (run.start_time, run.end_time)]
    seconds = facts.get("seconds")
    # scripts may record more repetitions than the experiment declares
    repetitions = max([record.get("repetitions") or 1, *(run.repetition for run in runs_)])
    result = ExperimentResult(
        name=name,
        dataset_name=dataset.name,
        evaluator_names=tuple(sorted(names)),
        opened=OpenExperiment(
            experiment=Experiment(name=name, dataset_name=dataset.name, path=Path(name), task=None),
            dataset=replace(dataset, examples=()),
            recorded_name=record["name"],
            id=record["id"],
            url=url,
            project_name=record.get("project_name"),
            repetitions=repetitions,
            metadata=metadata,
        ),
        runs=tuple(runs_),
        example_count=partial.get("examples", record["example_count"]),
        repetitions=repetitions,
        seconds=seconds if isinstance(seconds, int | float) else _span(times),
        used=recorded_usage(facts),
    )
    return result if stopping is None else _counted_part(result, stopping, dataset)


def _counted_part(result: ExperimentResult, stopping: Stopping, dataset: Dataset) -> ExperimentResult:
    """Return the part of an experiment with early verdicts that its gates counted."""
    key = str(result.experiment_metadata.get(CREATION_KEY))
    order = random_order(key, [example.id for example in dataset.examples])
    counted = {dataset.examples[place].id for place in order[: stopping.seen]}
    runs = tuple(run for run in result.runs if run.example.id in counted and run.repetition <= stopping.rounds)
    keys = {run.key for run in runs}
    stopping = replace(stopping, runs_beyond=tuple(run for run in result.runs if run.key not in keys))
    return replace(result, runs=runs, example_count=stopping.seen, repetitions=stopping.rounds, stopping=stopping)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _span(times: Sequence[datetime]) -> float:
    return (max(times) - min(times)).total_seconds() if times else 0.0


def _attributed(run: TaskRun, scores: Mapping[str, str]) -> TaskRun:
    """Return a run whose evaluations name their evaluators, for evaluators that return several scores."""
    if not scores:
        return run
    evaluations = (
        replace(evaluation, evaluator=scores.get(evaluation.name, evaluation.name)) for evaluation in run.evaluations
    )
    return replace(run, evaluations=tuple(evaluations))


def _with_own_evaluations(run: TaskRun, evaluators: Mapping[str, str] | None) -> TaskRun:
    """Return a run with only the evaluations that gates use.

    These are the evaluations of the experiment's listed evaluators. Without a list, they are all evaluations that are
    not from people. A failed run has no evaluations, although Phoenix's client lets evaluators score failed tasks.
    """
    if run.failure is not None:
        return replace(run, evaluations=())
    own = tuple(
        evaluation
        for evaluation in run.evaluations
        if (evaluation.annotator_kind != "HUMAN" if evaluators is None else evaluation.evaluator in evaluators)
    )
    return run if len(own) == len(run.evaluations) else replace(run, evaluations=own)
