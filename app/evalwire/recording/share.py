"""Share one experiment between the jobs of a pipeline run that run its shards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalwire.errors import ExperimentNotFound, UsageError
from evalwire.model import evaluator_hashes, file_hash, own_metadata
from evalwire.recording.journal.past import PastDataset, PastExperiment
from evalwire.recording.resume import deleted_experiment, replaced_experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Experiment, JobSpec, OpenExperiment, Sharing
    from evalwire.recording.create import CreateExperiments
    from evalwire.recording.resume import ResumeExperiments
    from evalwire.recording.server import Server


class FindSharedExperiments:
    """Finds the experiments that the jobs of a pipeline run agreed on.

    Args:
        server: the Phoenix server.
        spec: what the job runs.
        run_key: the key by which the jobs find their experiments.
    """

    def __init__(self, server: Server, spec: JobSpec, *, run_key: str) -> None:
        self._server = server
        self._spec = spec
        self._run_key = run_key

    def find(self, experiment: Experiment) -> PastExperiment | None:
        """Return what Phoenix knows of the experiment that the jobs agreed on; None when no job has begun it.

        Raises:
            ExperimentNotFound: somebody deleted it.
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        claim = self.claim_of(experiment)
        experiment_id = self._server.claims.holder(claim)
        return None if experiment_id is None else self.claimed_experiment(experiment, claim, experiment_id)

    def claim_of(self, experiment: Experiment) -> str:
        """Return the claim of one experiment in one pipeline run: the same in all of its jobs, and nowhere else."""
        spec = self._spec
        task = file_hash(experiment.task.path) if experiment.task else ""
        parts = [self._run_key, experiment.name, experiment.dataset_name, spec.prefix, spec.split, spec.repetitions]
        text = json.dumps([*parts, spec.dataset_version, task, evaluator_hashes(experiment)], sort_keys=True)
        return f"evalwire-claim-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def claimed_experiment(self, experiment: Experiment, claim: str, experiment_id: str) -> PastExperiment:
        """Return what Phoenix knows of the experiment that has a claim.

        Raises:
            ExperimentNotFound: somebody deleted it.
            UsageError: it was begun for other code.
        """
        try:
            record = self._server.experiments.find(experiment_id)
        except ExperimentNotFound as error:
            raise deleted_experiment(error) from error
        if own_metadata(record["metadata"]).get("claim") != claim:
            raise replaced_experiment(experiment_id, record)
        self._check_commit(experiment, record["metadata"])
        return past_experiment(record, experiment.name, dataset_name=experiment.dataset_name)

    def _check_commit(self, experiment: Experiment, metadata: Mapping[str, Any]) -> None:
        """Check that the recorded runs came from this code: a later pipeline run may have the same key.

        Raises:
            UsageError: they came from another commit.
        """
        own = self._spec.metadata
        before, now = metadata.get("commit"), own.get("commit")
        merged_by_each_agent = own.get("ci") == "jenkins" and own.get("pull_request")
        if before and now and before != now and not merged_by_each_agent:
            raise UsageError(
                f"{experiment.name} was begun at commit {before} under the key of this pipeline run, and this is "
                f"{now}: an earlier run has had the same key.\nGive this run an EVALWIRE_RUN_KEY of its own."
            )


class ShareExperiments:
    """Opens the one experiment that all jobs of a pipeline run share; the first job creates it.

    A job that finds no claim creates an experiment and claims for it. Phoenix gives a claim, which is the name of a
    project, to one of the jobs; the others delete their experiments. So a job that dies in between leaves an empty
    experiment at worst, and none that others wait for.

    Args:
        server: the Phoenix server.
        finder: finds the experiments that were begun.
        sharing: how this job shares them.
        creation: creates the experiments that are not there.
        resumption: continues those that are.
        past: what an earlier attempt of this job knows, by experiment.
    """

    def __init__(
        self,
        server: Server,
        *,
        finder: FindSharedExperiments,
        sharing: Sharing,
        creation: CreateExperiments,
        resumption: ResumeExperiments,
        past: Mapping[str, PastExperiment],
    ) -> None:
        self._server = server
        self._finder = finder
        self._sharing = sharing
        self._creation = creation
        self._resumption = resumption
        self._past = past

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Open the shared experiment with the examples of this job's shard.

        Raises:
            EvalwireError: this experiment cannot run.
        """
        past, claim = self._past.get(experiment.name), self._finder.claim_of(experiment)
        experiment_id = self._server.claims.holder(claim)
        if experiment_id is None:
            own = self._creation.create_new(experiment, claim=claim)
            if own.id is None:
                return own
            experiment_id = self._server.claims.take(claim, own.id)
            if experiment_id == own.id and past is None:
                return self._creation.own_part(own)
            if experiment_id != own.id:
                self._server.experiments.remove(own.id)
        found = self._finder.claimed_experiment(experiment, claim, experiment_id)
        self._check_sharing(found)
        if past is not None:
            found = replace(found, runs=past.runs, evaluations=past.evaluations)
        return self._resumption.reopen(experiment, found)

    def _check_sharing(self, found: PastExperiment) -> None:
        """Check that the jobs that share an experiment divide it alike.

        Raises:
            UsageError: they do not.
        """
        recorded = own_metadata(found.metadata)
        advice = "Give each group of shards an EVALWIRE_RUN_KEY of its own."
        if recorded.get("shards") != self._sharing.total:
            raise UsageError(
                f"{found.experiment} was divided into {recorded.get('shards')} shards by another job of this pipeline "
                f"run, and is now to have {self._sharing.total}.\n{advice}"
            )
        job, own = recorded.get("job"), self._sharing.job
        if job and own and self._sharing.shard is not None and job != own:
            raise UsageError(
                f"{found.experiment} is run by the shards of the job {job!r} of this pipeline run, and this is "
                f"{own!r}.\n{advice}"
            )


def past_experiment(record: Mapping[str, Any], experiment: str, *, dataset_name: str) -> PastExperiment:
    """Return what Phoenix's record says of an experiment of this folder, as if a journal had said it."""
    metadata = record["metadata"] or {}
    return PastExperiment(
        experiment=experiment,
        dataset=PastDataset(
            id=record["dataset_id"],
            name=dataset_name,
            version_id=record["dataset_version_id"],
            examples=record["example_count"],
            split=own_metadata(metadata).get("split"),
        ),
        recorded_name=record["name"],
        metadata=metadata,
        repetitions=record["repetitions"],
        id=record["id"],
        project_name=record.get("project_name"),
    )
