"""Check that a resumed job has the same code and examples as at its start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import digest_today
from evalwire.model import (
    FACTS_KEY,
    Inputs,
    changed_files,
    data_digest,
    evaluator_hashes,
    own_metadata,
    recorded_variant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalwire.jobs.run import Job
    from evalwire.model import Experiment
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastExperiment


def check_unchanged(job: Job, *, say: Callable[[str], object]) -> Job:
    """Check the inputs of resumed experiments before the run; the experiments must be importable.

    An experiment with accepted changes is marked as mixed, also in Phoenix, and is never used as a baseline.

    Args:
        job: the job and its past experiments.
        say: receives the accepted changes.

    Returns:
        The job with its mixed experiments marked.

    Raises:
        UsageError: code or examples changed, and changes are not accepted.
        EvalwireError: Phoenix cannot be reached.
    """
    past = dict(job.past)
    refused: list[str] = []
    for experiment in job.experiments:
        earlier = past.get(experiment.name)
        changes = list(_changes(experiment, earlier, job.phoenix)) if earlier is not None and earlier.metadata else []
        if earlier is None or not changes:
            continue
        text = f"{experiment.name} started with another version of {', '.join(changes)}"
        if not job.accept_changes:
            refused.append(text)
            continue
        say(f"{text}. It is marked as mixed and will not be used as a baseline")
        past[experiment.name] = _mark_mixed(earlier, experiment, job.phoenix)
    if refused:
        raise UsageError(
            f"{'; '.join(refused)}, so its results would mix two versions.\n"
            "Undo the changes, or start a new run with `evalwire run`. With --accept-changes the job continues, but "
            "the experiment is marked as mixed and will not be used as a baseline."
        )
    return replace(job, past=past)


def _changes(experiment: Experiment, earlier: PastExperiment, phoenix: Phoenix) -> Iterator[str]:
    """Yield the names of files and data that changed since an experiment started."""
    facts = own_metadata(earlier.metadata)
    recorded = Inputs.from_json(facts.get("inputs"))
    if recorded.is_known:
        files = set(changed_files(experiment.inputs.task, recorded.task, digest_today))
        for name in experiment.inputs.evaluators.keys() | recorded.evaluators.keys():
            now, then = experiment.inputs.evaluators.get(name, {}), recorded.evaluators.get(name, {})
            files.update(changed_files(now, then, digest_today) if now else [f"{experiment.name}/{name}.py"])
        yield from sorted(files)
    else:
        yield from _changed_evaluators(experiment, facts.get("evaluators"))
    variant = recorded_variant(earlier.metadata)
    if dict(variant.env if variant else {}) != dict(experiment.variant.env if experiment.variant else {}):
        yield "the variables of its variant"
    dataset = earlier.dataset
    if dataset is not None and isinstance(digest := facts.get("data"), str):
        found = phoenix.datasets.fetch_version(dataset.id, dataset.version_id, split=dataset.split)
        if data_digest(found) != digest:
            yield f"the examples of the dataset {dataset.name!r}"


def _changed_evaluators(experiment: Experiment, recorded: object) -> Iterator[str]:
    """Yield changed files of evaluators, by hashes that an older version of evalwire recorded."""
    then: Mapping[str, str] = recorded if isinstance(recorded, dict) else {}
    now = evaluator_hashes(experiment)
    if then:
        yield from (f"{experiment.name}/{name}.py" for name in sorted({*now, *then}) if now.get(name) != then.get(name))


def _mark_mixed(earlier: PastExperiment, experiment: Experiment, phoenix: Phoenix) -> PastExperiment:
    """Mark an experiment as mixed in Phoenix, and return it with its current inputs."""
    own = {"mixed": True, "inputs": experiment.inputs.to_json()}
    if earlier.id is not None:
        recorded = phoenix.experiments.find(earlier.id).get("metadata") or {}
        phoenix.experiments.note_end(earlier.id, {**recorded, FACTS_KEY: {**own_metadata(recorded), **own}})
    return replace(earlier, metadata={**earlier.metadata, FACTS_KEY: {**own_metadata(earlier.metadata), **own}})
