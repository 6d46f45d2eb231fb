"""Check that a job that goes on has the code and the examples that it began with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.experiments import digest_today
from evalwire.model import FACTS_KEY, Inputs, changed_files, data_digest, evaluator_hashes, own_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalwire.jobs.run import Job
    from evalwire.model import Experiment
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastExperiment


def check_unchanged(job: Job, *, say: Callable[[str], object]) -> Job:
    """Return a job whose experiments go on as they began; call it within `importable`, before anything runs.

    Where changes are accepted, an experiment that has any is marked as mixed, in Phoenix too: it is nobody's baseline.

    Args:
        job: with what is known of its experiments.
        say: receives what is accepted.

    Raises:
        UsageError: code or examples were changed, and this is not accepted.
        EvalwireError: Phoenix cannot be asked.
    """
    past = dict(job.past)
    refused: list[str] = []
    for experiment in job.experiments:
        begun = past.get(experiment.name)
        changes = list(_changes(experiment, begun, job.phoenix)) if begun is not None and begun.metadata else []
        if begun is None or not changes:
            continue
        text = f"{experiment.name} began with another version of {', '.join(changes)}"
        if not job.accept_changes:
            refused.append(text)
            continue
        say(f"{text}; it is marked as mixed, and is nobody's baseline")
        past[experiment.name] = _mark_mixed(begun, experiment, job.phoenix)
    if refused:
        raise UsageError(
            f"{'; '.join(refused)}, so its results would be of two versions.\n"
            "Put back what was changed, or start a new run with `evalwire run`. With --accept-changes the job goes on, "
            "and the experiment is marked as mixed and is nobody's baseline."
        )
    return replace(job, past=past)


def _changes(experiment: Experiment, begun: PastExperiment, phoenix: Phoenix) -> Iterator[str]:
    """Name the files and the data that are not what an experiment began with."""
    facts = own_metadata(begun.metadata)
    recorded = Inputs.from_json(facts.get("inputs"))
    if recorded.is_known:
        files = set(changed_files(experiment.inputs.task, recorded.task, digest_today))
        for name in experiment.inputs.evaluators.keys() | recorded.evaluators.keys():
            now, then = experiment.inputs.evaluators.get(name, {}), recorded.evaluators.get(name, {})
            files.update(changed_files(now, then, digest_today) if now else [f"{experiment.name}/{name}.py"])
        yield from sorted(files)
    else:
        yield from _changed_evaluators(experiment, facts.get("evaluators"))
    dataset = begun.dataset
    if dataset is not None and isinstance(digest := facts.get("data"), str):
        found = phoenix.datasets.fetch_version(dataset.id, dataset.version_id, split=dataset.split)
        if data_digest(found) != digest:
            yield f"the examples of the dataset {dataset.name!r}"


def _changed_evaluators(experiment: Experiment, recorded: object) -> Iterator[str]:
    """Name the files of evaluators by the hashes that an older version of evalwire recorded."""
    then: Mapping[str, str] = recorded if isinstance(recorded, dict) else {}
    now = evaluator_hashes(experiment)
    if then:
        yield from (f"{experiment.name}/{name}.py" for name in sorted({*now, *then}) if now.get(name) != then.get(name))


def _mark_mixed(begun: PastExperiment, experiment: Experiment, phoenix: Phoenix) -> PastExperiment:
    """Return an experiment that goes on with what it reads today, after Phoenix has noted that it is mixed."""
    own = {"mixed": True, "inputs": experiment.inputs.to_json()}
    if begun.id is not None:
        recorded = phoenix.experiments.find(begun.id).get("metadata") or {}
        phoenix.experiments.note_end(begun.id, {**recorded, FACTS_KEY: {**own_metadata(recorded), **own}})
    return replace(begun, metadata={**begun.metadata, FACTS_KEY: {**own_metadata(begun.metadata), **own}})
