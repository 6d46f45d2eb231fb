"""Resumption of the experiments of an earlier job or of a plan."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalwire.errors import ExperimentNotFound, PhoenixError, UsageError
from evalwire.model import OpenExperiment, is_same_json, without_stopping

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from evalwire.model import Dataset, Evaluation, Experiment, JobSpec, RunKey, TaskRun
    from evalwire.recording.create import CreateExperiments
    from evalwire.recording.journal.past import PastDataset, PastExperiment
    from evalwire.recording.protocols import JournalWriter, Server

log = logging.getLogger("evalwire")

_START_NEW = (
    "The jobs of this pipeline run share the experiment, but it was deleted: start new experiments with --fresh."
)


class ResumeExperiments:
    """Continues experiments on their original dataset versions.

    Args:
        server: the Phoenix server.
        spec: the job's specification.
        journal: the journal, which is written before anything is sent.
        creation: the creator of missing experiments.
        past: the known state of the earlier job, by experiment.
        retry_failed: whether to discard the failures of the earlier job, which retries the runs.
    """

    def __init__(
        self,
        server: Server,
        spec: JobSpec,
        journal: JournalWriter,
        *,
        creation: CreateExperiments,
        past: Mapping[str, PastExperiment],
        retry_failed: bool = False,
    ) -> None:
        self._server = server
        self._is_shared = spec.sharing is not None
        self._is_early = spec.stopping is not None
        self._journal = journal
        self._creation = creation
        self._past = past
        self._retry_failed = retry_failed
        self._scored = spec.sources.keys()

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Resume an experiment, or create it if the earlier job did not start it.

        Raises:
            EvalwireError: the experiment cannot run.
        """
        past = self._past.get(experiment.name)
        return self.reopen(experiment, past) if past else self._creation.open(experiment)

    def reopen(self, experiment: Experiment, past: PastExperiment) -> OpenExperiment:
        """Continue an experiment on its original dataset version.

        Raises:
            EvalwireError: Phoenix does not have the experiment or the dataset version.
        """
        if past.dataset is None:
            return self._creation.open(experiment)
        dataset = self._dataset(past.dataset)
        opened = OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name=past.recorded_name,
            metadata=past.metadata if self._is_early else without_stopping(past.metadata),
            repetitions=past.repetitions,
        )
        if past.id is None:
            return self._creation.own_part(self._creation.create(opened, adopt=True))
        record = self._record(past, past.id)
        if record is None:
            opened = replace(opened, earlier=self._earlier_runs(past, dataset, experiment, ()))
            return self._creation.own_part(self._creation.create(opened, adopt=True))
        opened = replace(
            opened,
            id=past.id,
            url=self._server.experiments.url(dataset.id, past.id),
            project_name=past.project_name or record.get("project_name"),
        )
        self._journal.creating(opened)  # again, because the journal may be new
        self._journal.opened(opened)
        opened = self._creation.own_part(opened)
        recorded = self._server.runs.read(past.id, opened.dataset)
        if opened.shard is not None and recorded:
            log.info("%s: %d runs of this shard are already recorded", experiment.name, len(recorded))
        return replace(opened, earlier=self._earlier_runs(past, opened.dataset, experiment, recorded))

    def _dataset(self, past: PastDataset) -> Dataset:
        dataset = self._server.datasets.fetch_version(past.id, past.version_id, split=past.split)
        if dataset.name != past.name:
            raise UsageError(
                f"the dataset {past.id} on this Phoenix server is {dataset.name!r}, not {past.name!r}: "
                "check that PHOENIX_ENDPOINT is the server on which the job was recorded."
            )
        if len(dataset.examples) != past.examples:
            raise PhoenixError(
                f"version {dataset.version_id} of the dataset {dataset.name!r} has {len(dataset.examples)} examples, "
                f"but had {past.examples} when the job started, so the job cannot be resumed. Start a new job with "
                "`evalwire run`."
            )
        return self._server.datasets.with_splits(dataset)

    def _record(self, past: PastExperiment, experiment_id: str) -> Mapping[str, Any] | None:
        """Fetch Phoenix's record of the experiment; None if the experiment was deleted.

        Raises:
            UsageError: Phoenix has another experiment with this ID.
            ExperimentNotFound: the experiment was deleted or replaced, and other jobs rely on it.
        """
        try:
            record = self._server.experiments.find(experiment_id)
        except ExperimentNotFound as error:
            if self._is_shared:
                raise deleted_experiment(error) from error
            log.warning("%s\nThe dataset still exists, so the experiment is created again.", error)
            return None
        if past.is_same(recorded_name=record["name"], metadata=record["metadata"]):
            return record
        if self._is_shared:
            raise replaced_experiment(experiment_id, record)
        raise UsageError(
            f"the experiment {experiment_id} on this Phoenix server is {record['name']!r}, not {past.recorded_name!r}: "
            "check that PHOENIX_ENDPOINT is the server on which the job was recorded."
        )

    def _earlier_runs(
        self, past: PastExperiment, dataset: Dataset, experiment: Experiment, recorded: Collection[TaskRun]
    ) -> Mapping[RunKey, TaskRun]:
        """Return the runs from the journal and Phoenix, with the IDs of records that Phoenix really has."""
        by_key = {run.key: run for run in recorded}
        others = {key: _own_evaluations(experiment, run) for key, run in by_key.items()}
        runs = past.runs_on(dataset.examples, others=others)
        earlier = {key: _with_recorded_ids(run, by_key.get(key)) for key, run in runs.items()}
        keeps_tasks = experiment.name in self._scored  # recorded outputs stay as they are
        return _without_failures(earlier, keeps_tasks=keeps_tasks) if self._retry_failed else earlier


def replaced_experiment(experiment_id: str, record: Mapping[str, Any]) -> ExperimentNotFound:
    """Return the error for an ID that now belongs to a new experiment; SQLite reuses the IDs of deleted rows."""
    return ExperimentNotFound(
        f"the experiment {experiment_id} on this Phoenix server is now {record['name']!r}.\n{_START_NEW}"
    )


def deleted_experiment(error: ExperimentNotFound) -> ExperimentNotFound:
    """Return the error for a deleted shared experiment."""
    return ExperimentNotFound(f"{error}\n{_START_NEW}")


def _with_recorded_ids(run: TaskRun, recorded: TaskRun | None) -> TaskRun:
    """Return a run, which has no IDs in a journal, with the IDs of the records that Phoenix has."""
    if recorded is None or not is_same_json(run.output, recorded.output):
        return run
    if (run.failure is None) != (recorded.failure is None):
        return run
    by_name = {evaluation.name: evaluation for evaluation in recorded.evaluations}
    evaluations = tuple(_as_recorded(evaluation, by_name.get(evaluation.name)) for evaluation in run.evaluations)
    return replace(run, id=recorded.id, evaluations=evaluations)


def _as_recorded(evaluation: Evaluation, recorded: Evaluation | None) -> Evaluation:
    """Return an evaluation with the ID and the baseline's score from Phoenix, if Phoenix has the same evaluation."""
    if recorded is None or (evaluation.failure is None) != (recorded.failure is None):
        return evaluation
    own = (evaluation.kind, evaluation.score, evaluation.label, evaluation.explanation)
    if own != (recorded.kind, recorded.score, recorded.label, recorded.explanation):
        return evaluation
    return replace(evaluation, id=recorded.id, baseline_score=recorded.baseline_score)


def _own_evaluations(experiment: Experiment, run: TaskRun) -> TaskRun:
    """Return a run that only Phoenix knows, without evaluations that are not named like an evaluator.

    Such names may come from an evaluator that returned a list, or from a person; Phoenix does not say which. Evaluators
    without a remaining evaluation are called again.
    """
    names = {evaluator.name for evaluator in experiment.evaluators}
    return replace(run, evaluations=tuple(evaluation for evaluation in run.evaluations if evaluation.name in names))


def _without_failures(runs: Mapping[RunKey, TaskRun], *, keeps_tasks: bool) -> dict[RunKey, TaskRun]:
    """Return the runs without failed evaluations, and without runs whose task failed unless `keeps_tasks` is set."""
    return {
        key: replace(run, evaluations=tuple(each for each in run.evaluations if each.failure is None))
        for key, run in runs.items()
        if run.failure is None or keeps_tasks
    }
