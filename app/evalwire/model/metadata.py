"""What evalwire records in an experiment's metadata, so that later runs can find a baseline and judge it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from evalwire.model.baseline import BaselineScore, EvaluationKind
from evalwire.model.inputs import Inputs
from evalwire.model.run import kind_by_score
from evalwire.model.usage import usage_from_json, usage_to_json

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.model.example import Dataset
    from evalwire.model.experiment import Experiment
    from evalwire.model.job_spec import JobSpec
    from evalwire.model.report import Outcome
    from evalwire.model.result import ExperimentResult
    from evalwire.model.run import Evaluation, TaskRun
    from evalwire.model.usage import Usage

CREATION_KEY = "evalwire_key"  # in a Phoenix experiment's metadata: which creation it came from

FACTS_KEY = "evalwire"  # likewise: what evalwire recorded, and how it ended


def start_metadata(experiment: Experiment, spec: JobSpec, dataset: Dataset, *, begun: datetime) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an experiment that begins.

    Args:
        experiment: loaded; what it has read of the project by now is recorded, for later comparisons.
        spec: what its job runs.
        dataset: that it runs on.
        begun: when it begins, with its zone.
    """
    return {
        "experiment": experiment.name,
        "prefix": spec.prefix,
        "split": spec.split,
        "repetitions": spec.repetitions,
        "evaluators": evaluator_hashes(experiment),
        "begun": begun.isoformat(),
        "data": data_digest(dataset),
        "settings": _settings_digest(experiment, spec),
        "inputs": experiment.inputs.to_json(),
    }


def begun_at(metadata: Mapping[str, Any]) -> datetime | None:
    """Return when an experiment began, by its metadata; None where they do not say."""
    try:
        return datetime.fromisoformat(own_metadata(metadata)["begun"])
    except (KeyError, TypeError, ValueError):
        return None


def data_digest(dataset: Dataset) -> str:
    """Return a digest of the examples' ids and contents, in any order."""
    parts = sorted((example.id, example.content_hash) for example in dataset.examples)
    return _digest(parts)


def _settings_digest(experiment: Experiment, spec: JobSpec) -> str:
    """Return a digest of the settings that can change the results of an experiment; it leaves out gates."""
    evaluators = sorted(one.name for one in experiment.evaluators)
    asked = {"repetitions": spec.repetitions, "split": spec.split, "dataset": experiment.dataset_name}
    return _digest({**asked, **spec.calls, "inputs": experiment.input_globs, "evaluators": evaluators})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def with_inputs(result: ExperimentResult, inputs: Inputs) -> ExperimentResult:
    """Return a result whose metadata say what its task and evaluators had read by the end of the run."""
    if result.opened is None:
        return result
    metadata = result.experiment_metadata
    facts = {**own_metadata(metadata), "inputs": inputs.to_json()}
    return replace(result, opened=replace(result.opened, metadata={**metadata, FACTS_KEY: facts}))


def inputs_of(result: ExperimentResult) -> Inputs:
    """Return what a result's metadata say of what its task and evaluators read."""
    return Inputs.from_json(own_metadata(result.experiment_metadata).get("inputs"))


def recorded_prefix(record: Mapping[str, Any], dataset_name: str) -> str | None:
    """Return the prefix that an experiment was recorded with; None where neither facts nor name tell it.

    Args:
        record: Phoenix's of the experiment.
        dataset_name: the name of its dataset.
    """
    facts = own_metadata(record.get("metadata"))
    if isinstance(prefix := facts.get("prefix"), str):
        return prefix
    before, found, _ = str(record.get("name") or "").rpartition(f"_{dataset_name}_")
    return before if found else None


def evaluator_hashes(experiment: Experiment) -> dict[str, str]:
    """A digest of each evaluator's file, by its name."""
    return {one.name: file_hash(one.path) for one in experiment.evaluators}


def file_hash(path: Path) -> str:
    """A digest of a file, in 16 hexadecimal digits; empty when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def end_metadata(metadata: Mapping[str, Any], result: ExperimentResult, outcome: Outcome) -> dict[str, Any]:
    """The whole metadata of an experiment that has ended, by what it was; Phoenix replaces it as one."""
    usage = result.usage
    scores = {one.name: one.evaluator for run in result.runs for one in run.evaluations if one.name != one.evaluator}
    return {
        **metadata,
        FACTS_KEY: {
            **own_metadata(metadata),
            "outcome": outcome,
            "examples": result.example_count,
            "seconds": round(result.seconds, 3),
            "scores": scores,  # of evaluators that give several: whose each is
            "usage": usage_to_json(usage),
            "models": _models(result),
        },
    }


def _models(result: ExperimentResult) -> dict[str, Any]:
    """Return the sorted model names in the spans of the task and of each evaluator."""
    evaluators: dict[str, set[str]] = {}
    for one in (evaluation for run in result.runs for evaluation in run.evaluations):
        evaluators.setdefault(one.evaluator, set()).update(part.model for part in one.usage or () if part.model)
    task = {part.model for run in result.runs for part in run.usage or () if part.model}
    return {"task": sorted(task), "evaluators": {name: sorted(models) for name, models in evaluators.items()}}


def evaluation_metadata(evaluation: Evaluation, run: TaskRun, *, is_shared: bool) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an evaluation; empty where its record tells it all.

    The kind is in it where score and label do not tell it. Phoenix does not know an evaluator from the names of its
    evaluations, nor what it and the task used, which the gate of an experiment that several jobs share has to know.
    The first evaluation of a run tells of its task, too.

    Args:
        evaluation: that is recorded.
        run: that it is of.
        is_shared: whether several jobs share the experiment.
    """
    is_told = evaluation.failure or evaluation.kind == kind_by_score(evaluation.score, evaluation.label)
    facts: dict[str, Any] = {} if is_told else {"kind": evaluation.kind}
    if is_shared:
        own = [one for one in run.evaluations if one.evaluator == evaluation.evaluator]
        facts |= {"evaluator": evaluation.evaluator, "of": len(own), "usage": usage_to_json(evaluation.usage)}
        if run.evaluations and run.evaluations[0].name == evaluation.name:
            facts["task_usage"] = usage_to_json(run.usage)
    if evaluation.baseline_score is not None:
        facts["baseline_score"] = asdict(evaluation.baseline_score)
    return facts


def recorded_baseline_score(facts: Mapping[str, Any]) -> BaselineScore | None:
    """Return what the facts of an evaluation say of the baseline's output in its place."""
    try:
        return BaselineScore(**facts["baseline_score"])
    except (KeyError, TypeError):  # there is none, or it is of another version
        return None


def own_metadata(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The entry under `FACTS_KEY`; empty where an experiment has none, because another tool recorded it."""
    found = (metadata or {}).get(FACTS_KEY)
    return found if isinstance(found, Mapping) else {}


def recorded_kind(facts: Mapping[str, Any]) -> EvaluationKind | None:
    """Return the recorded kind of an evaluation; None where its facts have none, or one of another version."""
    return next((kind for kind in get_args(EvaluationKind) if kind == facts.get("kind")), None)


def recorded_usage(facts: Mapping[str, Any], key: str = "usage") -> Usage | None:
    """Return the recorded usage of an experiment or an evaluation; None where its facts have none."""
    try:
        return usage_from_json(facts.get(key))
    except TypeError:  # of another version
        return None
