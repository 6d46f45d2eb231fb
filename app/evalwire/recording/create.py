"""Creation of experiments in Phoenix."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalwire import clocks
from evalwire.errors import DatasetChanged
from evalwire.model import CREATION_KEY, FACTS_KEY, OpenExperiment, data_digest, deal_examples, start_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalwire.model import Dataset, ExampleSelection, Experiment, JobSpec
    from evalwire.recording.protocols import JournalWriter, Server

log = logging.getLogger("evalwire")


class CreateExperiments:
    """Creates a new experiment in Phoenix for each experiment of a job.

    Args:
        server: the Phoenix server.
        spec: the job's specification.
        journal: the journal, which is written before anything is created.
        now: a function that returns the current time, for the names.
    """

    def __init__(
        self,
        server: Server,
        spec: JobSpec,
        journal: JournalWriter,
        *,
        now: Callable[[], datetime] = clocks.now,
    ) -> None:
        self._server = server
        self._spec = spec
        self._journal = journal
        self._now = now

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Fetch the dataset and create the experiment, unless the dataset is empty.

        Raises:
            EvalwireError: the experiment cannot run.
        """
        return self.own_part(self.create_new(experiment))

    def create_new(self, experiment: Experiment, *, claim: str | None = None) -> OpenExperiment:
        """Create an experiment on its whole dataset; with an empty dataset, it gets no ID.

        Args:
            experiment: the experiment.
            claim: the claim for which the experiment is created; None unless several jobs share it.

        Raises:
            DatasetChanged: the examples are not the examples that the job uploaded.
        """
        spec = self._spec.of_experiment(experiment.name)
        dataset = self._server.datasets.fetch(
            experiment.dataset_name, split=spec.split, version_id=spec.version_of(experiment.dataset_name)
        )
        _check_uploaded(dataset, spec)
        dataset = self._server.datasets.with_splits(dataset)
        facts = start_metadata(experiment, spec, dataset, started=clocks.now())
        selected = part_of_job(dataset, spec, experiment=experiment.name)
        if spec.selection is not None:
            facts |= {"partial": partial_entry(spec.selection, dataset, selected, experiment=experiment.name)}
        if experiment.name in spec.sources:
            facts |= {"source": spec.sources[experiment.name].facts}
        if spec.sharing is not None:
            facts |= {"shards": spec.sharing.total, "job": spec.sharing.job}
        if claim is not None:
            facts["claim"] = claim
        opened = OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name=self._name(experiment),
            metadata={
                "dataset": experiment.dataset_name,
                "run_by": "evalwire",
                **spec.metadata,
                CREATION_KEY: uuid.uuid4().hex,
                FACTS_KEY: facts,
            },
            repetitions=spec.repetitions,
        )
        if not dataset.examples or (spec.selection is not None and not selected.examples):
            return replace(opened, dataset=selected)
        self._journal.creating(opened)
        return self.create(opened, adopt=False)

    def _name(self, experiment: Experiment) -> str:
        variant = f"@{experiment.variant.name}" if experiment.variant else ""
        now = self._now().astimezone(UTC)
        return f"{self._spec.prefix}_{experiment.dataset_name}{variant}_{now:%Y-%m-%dT%H:%M:%SZ}"

    def create(self, opened: OpenExperiment, *, adopt: bool) -> OpenExperiment:
        """Create an experiment in Phoenix; with `adopt`, use the experiment that an earlier process created, if any."""
        created = self._server.experiments.create(
            opened.dataset,
            name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
            adopt=adopt,
        )
        opened = replace(
            opened,
            id=created["id"],
            url=self._server.experiments.url(opened.dataset.id, created["id"]),
            project_name=created.get("project_name"),
        )
        self._journal.opened(opened)
        return opened

    def own_part(self, opened: OpenExperiment) -> OpenExperiment:
        """Return an experiment with only the examples that this job selects, or that belong to its shard."""
        spec = self._spec.of_experiment(opened.experiment.name)
        shard = spec.sharing.shard if spec.sharing else None
        examples = opened.dataset.examples
        own = part_of_job(opened.dataset, spec, experiment=opened.experiment.name)
        if shard is None or not examples:
            return replace(opened, dataset=own)
        log.info("shard %s of %s: %d of %d examples", shard, opened.experiment.name, len(own.examples), len(examples))
        return replace(opened, dataset=own, shard=shard)


def part_of_job(dataset: Dataset, spec: JobSpec, *, experiment: str) -> Dataset:
    """Return a dataset with only the examples of an experiment that a job runs, in the dataset's order."""
    examples = dataset.examples
    if spec.selection is not None:
        examples = spec.selection.choose(examples, experiment=experiment)
    if spec.sharing is not None and (shard := spec.sharing.shard) is not None and examples:
        numbers = deal_examples([example.id for example in examples], shard.total, experiment=experiment)
        own = (example for example, number in zip(examples, numbers, strict=True) if number == shard.number)
        examples = tuple(own)
    return replace(dataset, examples=examples)


def partial_entry(
    selection: ExampleSelection, dataset: Dataset, selected: Dataset, *, experiment: str
) -> dict[str, Any]:
    """Build the entry of a partial run in the metadata of its experiment, which `partial_facts` reads."""
    sizes = {"examples": len(selected.examples), "of": len(dataset.examples)}
    return {**selection.to_json(experiment), **sizes}


def _check_uploaded(dataset: Dataset, spec: JobSpec) -> None:
    """Check that a dataset has the examples that the job uploaded: Phoenix does not keep splits with versions.

    Raises:
        DatasetChanged: another upload changed the splits.
    """
    uploaded = spec.uploaded.get(dataset.name)
    if uploaded is not None and data_digest(dataset) != uploaded.data:
        raise DatasetChanged(
            f"{dataset.name}: the version {dataset.version_id} that this job uploaded no longer has the same examples"
            + (f" in the split {dataset.split!r}" if dataset.split else "")
            + ".\nAnother upload may have changed the splits of its examples. Start a new job with `evalwire run`."
        )
