"""Sharing of an experiment among the jobs of a pipeline run, which run its shards."""

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
    from evalwire.recording.protocols import Server
    from evalwire.recording.resume import ResumeExperiments


class FindSharedExperiments:
    """Finds the experiments on which the jobs of a pipeline run agreed.

    Args:
        server: the Phoenix server.
        spec: the job's specification.
        run_key: the key by which the jobs find their experiments.
    """

    def __init__(self, server: Server, spec: JobSpec, *, run_key: str) -> None:
        self._server = server
        self._spec = spec
        self._run_key = run_key

    def find(self, experiment: Experiment) -> PastExperiment | None:
        """Return the shared experiment from Phoenix; None if no job has started it.

        Raises:
            ExperimentNotFound: the experiment was deleted.
            PhoenixError: Phoenix did not give a usable response within the retry policy.
        """
        claim = self.claim_of(experiment)
        experiment_id = self._server.claims.holder(claim)
        return None if experiment_id is None else self.claimed_experiment(experiment, claim, experiment_id)

    def claim_of(self, experiment: Experiment) -> str:
        """Return the claim for an experiment of a pipeline run, unique to it and the same in all its jobs."""
        spec = self._spec
        task = file_hash(experiment.task.path) if experiment.task else ""
        parts = [self._run_key, experiment.name, experiment.dataset_name, spec.prefix, spec.split, spec.repetitions]
        uploaded = spec.uploaded.get(experiment.dataset_name)
        parts += [uploaded.data] if uploaded else []  # the same examples may be in several versions
        parts += [json.dumps(dict(experiment.variant.env), sort_keys=True)] if experiment.variant else []
        text = json.dumps([*parts, spec.dataset_version, task, evaluator_hashes(experiment)], sort_keys=True)
        return f"evalwire-claim-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def claimed_experiment(self, experiment: Experiment, claim: str, experiment_id: str) -> PastExperiment:
        """Return the experiment that has a claim, from Phoenix.

        Raises:
            ExperimentNotFound: the experiment was deleted.
            UsageError: the experiment was started at another commit.
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
        """Check that the recorded runs are from this commit, because a later pipeline run may have the same key.

        Raises:
            UsageError: the runs are from another commit.
        """
        own = self._spec.metadata
        before, now = metadata.get("commit"), own.get("commit")
        merged_by_each_agent = own.get("ci") == "jenkins" and own.get("pull_request")
        if before and now and before != now and not merged_by_each_agent:
            raise UsageError(
                f"{experiment.name} was started at commit {before} with the key of this pipeline run, but this commit "
                f"is {now}: an earlier run had the same key.\nGive this run a unique EVALWIRE_RUN_KEY."
            )


class ShareExperiments:
    """Opens the experiment that all jobs of a pipeline run share; the first job creates it.

    A job that does not find a claim creates an experiment and claims for it. A claim is the name of a project, which
    Phoenix gives to a single job. The other jobs delete their experiments. A job that dies in between leaves an
    empty experiment at worst, for which no other job waits.

    Args:
        server: the Phoenix server.
        finder: the finder of experiments that other jobs have started.
        sharing: the division into shards.
        creation: the creator of missing experiments.
        resumption: the object that continues existing experiments.
        past: the known state of an earlier attempt of this job, by experiment.
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
            EvalwireError: the experiment cannot run.
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
        """Check that all jobs divide the experiment in the same way.

        Raises:
            UsageError: another job divides it differently.
        """
        recorded = own_metadata(found.metadata)
        advice = "Give each group of shards a unique EVALWIRE_RUN_KEY."
        if recorded.get("shards") != self._sharing.total:
            raise UsageError(
                f"{found.experiment} was divided into {recorded.get('shards')} shards by another job of this pipeline "
                f"run, but this job expects {self._sharing.total}.\n{advice}"
            )
        job, own = recorded.get("job"), self._sharing.job
        if job and own and self._sharing.shard is not None and job != own:
            raise UsageError(
                f"{found.experiment} is run by the shards of the job {job!r} of this pipeline run, but this job is "
                f"{own!r}.\n{advice}"
            )


def past_experiment(record: Mapping[str, Any], experiment: str, *, dataset_name: str) -> PastExperiment:
    """Convert Phoenix's record of an experiment to the form in which a journal has it."""
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
