"""How an experiment begins in Phoenix: created, gone on with after an earlier job, or shared with other shards."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from evalwire.errors import ExperimentNotFound, PhoenixError, UsageError
from evalwire.model import (
    CREATION_KEY,
    FACTS_KEY,
    Dataset,
    Evaluation,
    Experiment,
    OpenExperiment,
    Shard,
    TaskRun,
    deal_examples,
    evaluator_hashes,
    file_hash,
    is_same_json,
    own_metadata,
    start_metadata,
)
from evalwire.recording.journal import PastExperiment

if TYPE_CHECKING:
    from evalwire.recording.journal import RunKey
    from evalwire.recording.server import Server


log = logging.getLogger("evalwire")

_BEGIN_ANEW = "The jobs of this pipeline run share it, and somebody deleted it: begin anew, with --fresh."


class Notes(Protocol):
    """Where everything is noted before it is sent: `evalwire.recording.Journal`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How the experiments of a job are shared with other jobs.

    Attributes:
        total: how many shards there are.
        shard: the one that this job is; None for a job that runs none of them.
        run_key: by which the jobs find the experiments of their pipeline run; None where a plan names them.
        job: the name that the shards' jobs have in common; empty where it is not known.
    """

    total: int
    shard: Shard | None = None
    run_key: str | None = None
    job: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What experiments are created with.

    Attributes:
        prefix: first part of their names.
        metadata: recorded with each.
        repetitions: how often each example is to run.
        split: of the datasets, or None for all of each.
        version_id: of the dataset, or None for the newest of each.
    """

    prefix: str = "eval"
    metadata: Mapping[str, Any]
    repetitions: int = 1
    split: str | None = None
    version_id: str | None = None


class Opening:
    """Begins experiments in Phoenix, each once for all jobs that share it.

    Args:
        phoenix: the server.
        terms: what is created.
        notes: the journal.
        past: what is known of an earlier job that goes on, or by a plan, by experiment.
        retry_failed: forget the failures of the earlier job, so that they are tried again.
        sharing: with other jobs; None for a job that has its experiments for itself.
        now: the time, for the names.
    """

    def __init__(
        self,
        phoenix: Server,
        terms: Terms,
        *,
        notes: Notes | None = None,
        past: Mapping[str, PastExperiment] | None = None,
        retry_failed: bool = False,
        sharing: Sharing | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._phoenix = phoenix
        self._terms = terms
        self._notes = notes or NoNotes()
        self._past = past or {}
        self._retry_failed = retry_failed
        self._sharing = sharing
        self._now = now

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset; create the experiment, unless the dataset is empty or another job has created it.

        Raises:
            EvalwireError: this experiment cannot run.
        """
        past = self._past.get(experiment.name)
        if self._sharing is not None and self._sharing.run_key is not None:
            return self._open_agreed(experiment, self._claim(experiment, self._sharing.run_key), past)
        if past is None or past.dataset is None:
            return self._own_part(self._open_new(experiment))
        return self._reopen(experiment, past)

    def find(self, experiment: Experiment) -> PastExperiment | None:
        """What Phoenix tells of the experiment that the jobs of the pipeline run have agreed on, if one has begun it.

        Raises:
            ExperimentNotFound: somebody deleted it.
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        if self._sharing is None or self._sharing.run_key is None:
            raise AssertionError("without a key there is nothing to agree by")
        claim = self._claim(experiment, self._sharing.run_key)
        agreed = self._phoenix.claims.holder(claim)
        return None if agreed is None else self._agreed(experiment, claim, agreed)

    # --- new ones ------------------------------------------------------------------------------------

    def _open_new(self, experiment: Experiment) -> OpenExperiment:
        terms = self._terms
        dataset = self._phoenix.datasets.fetch(experiment.dataset_name, split=terms.split, version_id=terms.version_id)
        name = f"{terms.prefix}_{experiment.dataset_name}_{self._now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        facts = start_metadata(experiment, split=terms.split, repetitions=terms.repetitions)
        if self._sharing is not None:
            facts |= {"shards": self._sharing.total, "job": self._sharing.job}
            if self._sharing.run_key is not None:
                facts["claim"] = self._claim(experiment, self._sharing.run_key)
        opened = OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name=name,
            metadata={
                "dataset": experiment.dataset_name,
                "run_by": "evalwire",
                **terms.metadata,
                CREATION_KEY: uuid.uuid4().hex,
                FACTS_KEY: facts,
            },
            repetitions=terms.repetitions,
        )
        if not dataset.examples:
            return opened
        self._notes.creating(opened)
        return self._create(opened, adopt=False)

    def _create(self, opened: OpenExperiment, *, adopt: bool) -> OpenExperiment:
        created = self._phoenix.experiments.create(
            opened.dataset,
            name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
            adopt=adopt,
        )
        opened = replace(
            opened,
            id=created["id"],
            url=self._phoenix.experiments.url(opened.dataset.id, created["id"]),
            project_name=created.get("project_name"),
        )
        self._notes.opened(opened)
        return opened

    # --- those of an earlier job, or of a plan -------------------------------------------------------

    def _reopen(self, experiment: Experiment, past: PastExperiment) -> OpenExperiment:
        """Go on with an experiment, on the version of the dataset that it began with.

        Raises:
            EvalwireError: this Phoenix has not that experiment, or not that version of the dataset.
        """
        if past.dataset is None:
            raise AssertionError("an experiment that was not to be created has no past")
        split = past.dataset.get("split")
        dataset = self._phoenix.datasets.fetch_version(past.dataset["id"], past.dataset["version_id"], split=split)
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
            return self._own_part(self._create(opened, adopt=True))
        there = self._record_of(past)
        if there is None:
            opened = replace(opened, earlier=self._earlier(past, dataset, experiment, ()))
            return self._create(opened, adopt=True)
        opened = replace(
            opened,
            id=past.id,
            url=self._phoenix.experiments.url(dataset.id, past.id),
            project_name=past.project_name or there.get("project_name"),
        )
        self._notes.creating(opened)  # once more: the journal may be a new one
        self._notes.opened(opened)
        opened = self._own_part(opened)
        held = self._phoenix.runs.read(past.id, opened.dataset)
        if opened.shard is not None and held:
            log.info("%s: %d runs of this shard are recorded already", experiment.name, len(held))
        return replace(opened, earlier=self._earlier(past, opened.dataset, experiment, held))

    def _record_of(self, past: PastExperiment) -> Mapping[str, Any] | None:
        """Phoenix's record of the experiment; None when it has none, though its creation was answered.

        Raises:
            UsageError: it is another one.
            ExperimentNotFound: it has none, or another one under that id, and other jobs count on it.
        """
        if past.id is None:
            raise AssertionError("an experiment that was created has an id")
        try:
            found = self._phoenix.experiments.find(past.id)
        except ExperimentNotFound as error:
            if self._sharing is not None:
                raise ExperimentNotFound(f"{error}\n{_BEGIN_ANEW}") from error
            log.warning("%s\nIts dataset is here, so the experiment is created anew.", error)
            return None
        if past.is_same(recorded_name=found["name"], metadata=found["metadata"]):
            return found
        if self._sharing is not None:
            raise _another(past.id, found)
        raise UsageError(
            f"the experiment {past.id} of this Phoenix is another one ({found['name']!r}) than the job began "
            f"({past.recorded_name!r}): is PHOENIX_ENDPOINT the server that it recorded to?"
        )

    def _earlier(
        self, past: PastExperiment, dataset: Dataset, experiment: Experiment, held: Collection[TaskRun]
    ) -> Mapping[RunKey, TaskRun]:
        """What was paid for, by the journal and by Phoenix; what of it Phoenix has, by Phoenix alone."""
        there = {(run.example.node_id, run.repetition): run for run in held}
        others = {place: _judged_by(experiment, run) for place, run in there.items()}
        runs = past.runs_on(dataset.examples, others=others)
        earlier = {place: _as_held(run, there.get(place)) for place, run in runs.items()}
        return _without_failures(earlier) if self._retry_failed else earlier

    # --- those that several jobs share ---------------------------------------------------------------

    def _own_part(self, opened: OpenExperiment) -> OpenExperiment:
        """An experiment with the examples of this job's shard alone."""
        shard = self._sharing.shard if self._sharing else None
        examples = opened.dataset.examples
        if shard is None or not examples:
            return opened
        own = part_of(opened.dataset, shard, experiment=opened.experiment.name)
        log.info("shard %s of %s: %d of %d examples", shard, opened.experiment.name, len(own.examples), len(examples))
        return replace(opened, dataset=own, shard=shard)

    def _claim(self, experiment: Experiment, run_key: str) -> str:
        """What stands for one experiment of one pipeline run: the same in all of its jobs, and nowhere else."""
        terms = self._terms
        task = file_hash(experiment.task.path) if experiment.task else ""
        what = [run_key, experiment.name, experiment.dataset_name, terms.prefix, terms.split, terms.repetitions]
        text = json.dumps([*what, terms.version_id, task, evaluator_hashes(experiment)], sort_keys=True)
        return f"evalwire-claim-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def _open_agreed(self, experiment: Experiment, claim: str, past: PastExperiment | None) -> OpenExperiment:
        """Begin the one experiment of all jobs with this claim, or go on with it: whoever comes first creates it.

        A job that finds no claim creates an experiment and claims for it. Phoenix gives a claim, which is the name of a
        project, to one of them; the others delete theirs. So a job that dies on the way leaves an empty experiment at
        worst, and none that others wait for.
        """
        agreed = self._phoenix.claims.holder(claim)
        if agreed is None:
            own = self._open_new(experiment)
            if own.id is None:
                return own
            agreed = self._phoenix.claims.take(claim, own.id)
            if agreed == own.id and past is None:
                return self._own_part(own)
            if agreed != own.id:
                self._phoenix.experiments.remove(own.id)
        found = self._agreed(experiment, claim, agreed)
        self._check_sharing(found)
        if past is not None:
            found = replace(found, runs=past.runs, evaluations=past.evaluations)
        return self._reopen(experiment, found)

    def _agreed(self, experiment: Experiment, claim: str, experiment_id: str) -> PastExperiment:
        """What Phoenix tells of the experiment that has a claim.

        Raises:
            ExperimentNotFound: somebody deleted it.
            UsageError: it was begun for other code.
        """
        try:
            record = self._phoenix.experiments.find(experiment_id)
        except ExperimentNotFound as error:
            raise ExperimentNotFound(f"{error}\n{_BEGIN_ANEW}") from error
        if own_metadata(record["metadata"]).get("claim") != claim:
            raise _another(experiment_id, record)
        self._check_commit(experiment, record["metadata"])
        return past_experiment(record, experiment.name, dataset_name=experiment.dataset_name)

    def _check_commit(self, experiment: Experiment, metadata: Mapping[str, Any]) -> None:
        """Whether what is recorded came of this code: a key may come again, and all would be there already.

        Raises:
            UsageError: it was another commit.
        """
        own = self._terms.metadata
        before, now = metadata.get("commit"), own.get("commit")
        merged_by_each_agent = own.get("ci") == "jenkins" and own.get("pull_request")
        if before and now and before != now and not merged_by_each_agent:
            raise UsageError(
                f"{experiment.name} was begun at commit {before} under the key of this pipeline run, and this is "
                f"{now}: an earlier run has had the same key.\nGive this run an EVALWIRE_RUN_KEY of its own."
            )

    def _check_sharing(self, found: PastExperiment) -> None:
        """Whether the jobs that share an experiment mean the same by it.

        Raises:
            UsageError: they do not.
        """
        if self._sharing is None:
            raise AssertionError("an experiment of one job alone is not shared")
        facts = own_metadata(found.metadata)
        advice = "Give each group of shards an EVALWIRE_RUN_KEY of its own."
        if facts.get("shards") != self._sharing.total:
            raise UsageError(
                f"{found.experiment} was divided into {facts.get('shards')} shards by another job of this pipeline "
                f"run, and is now to have {self._sharing.total}.\n{advice}"
            )
        job, own = facts.get("job"), self._sharing.job
        if job and own and self._sharing.shard is not None and job != own:
            raise UsageError(
                f"{found.experiment} is run by the shards of the job {job!r} of this pipeline run, and this is "
                f"{own!r}.\n{advice}"
            )


def _another(experiment_id: str, record: Mapping[str, Any]) -> ExperimentNotFound:
    """The error where Phoenix has given the id of a deleted experiment to a new one; SQLite does."""
    return ExperimentNotFound(
        f"the experiment {experiment_id} of this Phoenix is another one now ({record['name']!r}).\n{_BEGIN_ANEW}"
    )


def part_of(dataset: Dataset, shard: Shard, *, experiment: str) -> Dataset:
    """A dataset with the examples of one shard of an experiment alone, in the dataset's order."""
    numbers = deal_examples([example.id for example in dataset.examples], shard.total, experiment=experiment)
    own = (one for one, number in zip(dataset.examples, numbers, strict=True) if number == shard.number)
    return replace(dataset, examples=tuple(own))


def past_experiment(record: Mapping[str, Any], experiment: str, *, dataset_name: str) -> PastExperiment:
    """What Phoenix's record tells of an experiment of this folder, as if a journal had told it."""
    metadata = record["metadata"] or {}
    return PastExperiment(
        experiment=experiment,
        dataset={
            "id": record["dataset_id"],
            "name": dataset_name,
            "version_id": record["dataset_version_id"],
            "examples": record["example_count"],
            "split": own_metadata(metadata).get("split"),
        },
        recorded_name=record["name"],
        metadata=metadata,
        repetitions=record["repetitions"],
        id=record["id"],
        project_name=record.get("project_name"),
    )


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


def _without_failures(runs: Mapping[RunKey, TaskRun]) -> dict[RunKey, TaskRun]:
    """Runs whose task did not fail, without the evaluations that did."""
    return {
        place: replace(run, evaluations=tuple(one for one in run.evaluations if one.failure is None))
        for place, run in runs.items()
        if run.failure is None
    }
