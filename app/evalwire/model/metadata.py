"""evalwire's entries in an experiment's metadata, with which later runs find a baseline and score it again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from evalwire.model.baseline import BaselineScore, EvaluationKind
from evalwire.model.inputs import Inputs
from evalwire.model.means import means_to_json, score_means
from evalwire.model.numbers import mean
from evalwire.model.run import kind_by_score
from evalwire.model.stats import percentile
from evalwire.model.stopping import Stopping, StoppingRules
from evalwire.model.usage import token_count, usage_from_json, usage_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evalwire.model.budget import BudgetUse
    from evalwire.model.example import Dataset
    from evalwire.model.experiment import Experiment
    from evalwire.model.job_spec import JobSpec
    from evalwire.model.report import Outcome
    from evalwire.model.result import ExperimentResult
    from evalwire.model.run import Evaluation, TaskRun
    from evalwire.model.usage import Usage

CREATION_KEY = "evalwire_key"  # in a Phoenix experiment's metadata: the key of the request that created it

_KINDS = get_args(EvaluationKind)

FACTS_KEY = "evalwire"  # in a Phoenix experiment's metadata: evalwire's own entry


def start_metadata(experiment: Experiment, spec: JobSpec, dataset: Dataset, *, started: datetime) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an experiment that starts.

    Args:
        experiment: the loaded experiment; the files it has read so far are recorded for later comparisons.
        spec: the job's specification.
        dataset: the experiment's dataset.
        started: the start of the experiment, with its time zone.
    """
    variant = {"variant": experiment.variant.to_json()} if experiment.variant else {}
    return {
        "experiment": experiment.name,
        **variant,
        "prefix": spec.prefix,
        "split": spec.split,
        "repetitions": spec.repetitions,
        "evaluators": evaluator_hashes(experiment),
        "begun": started.isoformat(),
        "data": data_digest(dataset),
        "settings": _settings_digest(experiment, spec),
        "inputs": experiment.inputs.to_json(),
        **({"stopping": spec.stopping.to_json()} if spec.stopping else {}),
        **({"noise": True} if spec.is_noise else {}),
    }


def start_time_of(metadata: Mapping[str, Any]) -> datetime | None:
    """Return the start of an experiment according to its metadata; None if they do not have it with a time zone."""
    try:
        started = datetime.fromisoformat(own_metadata(metadata)["begun"])
    except (KeyError, TypeError, ValueError):
        return None
    return started if started.tzinfo is not None else None


def recorded_start(record: Mapping[str, Any]) -> datetime:
    """Return the start of an experiment from Phoenix's record: its own time, or else Phoenix's.

    With SQLite, Phoenix's time is in whole seconds, rounded down, so it can be before the start of an earlier
    experiment.
    """
    return start_time_of(record.get("metadata") or {}) or datetime.fromisoformat(record["created_at"])


def data_digest(dataset: Dataset) -> str:
    """Return a digest of the examples' IDs and contents, independent of their order."""
    return examples_digest((example.id, example.content_hash) for example in dataset.examples)


def examples_digest(examples: Iterable[tuple[str, str]]) -> str:
    """Return the `data_digest` of examples, each given by its ID and content hash."""
    return _digest(sorted(examples))


def _settings_digest(experiment: Experiment, spec: JobSpec) -> str:
    """Return a digest of the settings that can change the results of an experiment; gates cannot."""
    evaluators = sorted(evaluator.name for evaluator in experiment.evaluators)
    asked = {"repetitions": spec.repetitions, "split": spec.split, "dataset": experiment.dataset_name}
    env = {"env": dict(experiment.variant.env)} if experiment.variant else {}
    return _digest({**asked, **spec.calls, **env, "inputs": experiment.input_globs, "evaluators": evaluators})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def with_inputs(result: ExperimentResult, inputs: Inputs) -> ExperimentResult:
    """Return a result with the files that its task and evaluators had read by the end of the run in its metadata."""
    if result.opened is None:
        return result
    metadata = result.experiment_metadata
    facts = {**own_metadata(metadata), "inputs": inputs.to_json()}
    return replace(result, opened=replace(result.opened, metadata={**metadata, FACTS_KEY: facts}))


def inputs_of(result: ExperimentResult) -> Inputs:
    """Return the files that a result's task and evaluators read, from its metadata."""
    return Inputs.from_json(own_metadata(result.experiment_metadata).get("inputs"))


def recorded_prefix(record: Mapping[str, Any], dataset_name: str) -> str | None:
    """Return the prefix of a recorded experiment; None if neither its metadata nor its name has it.

    Args:
        record: Phoenix's record of the experiment.
        dataset_name: the name of the dataset.
    """
    facts = own_metadata(record.get("metadata"))
    if isinstance(prefix := facts.get("prefix"), str):
        return prefix
    before, found, _ = str(record.get("name") or "").rpartition(f"_{dataset_name}_")
    return before if found else None


def evaluator_hashes(experiment: Experiment) -> dict[str, str]:
    """Return a digest of each evaluator's file, by the evaluator's name."""
    return {evaluator.name: file_hash(evaluator.path) for evaluator in experiment.evaluators}


def file_hash(path: Path) -> str:
    """Return a digest of a file, as 16 hexadecimal digits; empty if the file cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def end_metadata(
    metadata: Mapping[str, Any], result: ExperimentResult, outcome: Outcome, *, budget: BudgetUse | None = None
) -> dict[str, Any]:
    """Return the complete metadata of an experiment that has ended; Phoenix cannot update a part of it."""
    usage = result.usage
    evaluations = [evaluation for run in result.runs for evaluation in run.evaluations]
    scores = {each.name: each.evaluator for each in evaluations if each.name != each.evaluator}
    return {
        **metadata,
        FACTS_KEY: {
            **own_metadata(metadata),
            "outcome": outcome,
            "examples": result.example_count,
            "seconds": round(result.seconds, 3),
            "means": means_to_json(score_means(result)),
            "scores": scores,  # score name -> evaluator, for evaluators that return several scores
            "usage": usage_to_json(usage),
            "models": _models(result),
            **_stopping(result),
            **({"run_tokens": tokens} if (tokens := run_tokens(result)) else {}),
            **({"budget": asdict(budget)} if budget else {}),
        },
    }


def run_tokens(result: ExperimentResult) -> dict[str, float] | None:
    """Return the mean, the standard deviation and the 95th percentile of the tokens of a run; None without tokens."""
    usages = [usage for run in result.runs if (usage := run.total_usage) is not None]
    counts = [float(token_count(usage)) for usage in usages]
    if len(counts) < len(result.runs) or not any(counts):
        return None
    center = mean(counts)
    variance = sum((number - center) ** 2 for number in counts) / max(1, len(counts) - 1)
    return {"mean": center, "sd": math.sqrt(variance), "p95": percentile(counts, 0.95)}


def _stopping(result: ExperimentResult) -> dict[str, Any]:
    """Return the extent of an experiment with early verdicts, with the rules that it started with.

    Without an extent, the rules stay, so that the experiment can be resumed. The extent of an earlier attempt does
    not stay.
    """
    rules = StoppingRules.from_json(own_metadata(result.experiment_metadata).get("stopping"))
    entries = {
        **(rules.to_json() if rules is not None else {}),
        **(result.stopping.to_json() if result.stopping is not None else {}),
    }
    return {"stopping": entries} if entries else {}


def _models(result: ExperimentResult) -> dict[str, Any]:
    """Return the sorted model names in the spans of the task and of each evaluator."""
    evaluators: dict[str, set[str]] = {}
    for each in (evaluation for run in result.runs for evaluation in run.evaluations):
        evaluators.setdefault(each.evaluator, set()).update(part.model for part in each.usage or () if part.model)
    task = {part.model for run in result.runs for part in run.usage or () if part.model}
    return {"task": sorted(task), "evaluators": {name: sorted(models) for name, models in evaluators.items()}}


def models_of(result: ExperimentResult, evaluator: str) -> tuple[str, ...] | None:
    """Return the sorted names of the models that an evaluator called, or that were recorded; None if unknown."""
    usages = [each.usage for run in result.runs for each in run.evaluations if each.evaluator == evaluator]
    known = [usage for usage in usages if usage is not None]
    if known:
        return tuple(sorted({part.model for usage in known for part in usage if part.model}))
    recorded = own_metadata(result.experiment_metadata).get("models")
    found = recorded.get("evaluators", {}).get(evaluator) if isinstance(recorded, Mapping) else None
    return tuple(map(str, found)) if isinstance(found, list) else None


def evaluation_metadata(evaluation: Evaluation, run: TaskRun, *, is_shared: bool) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an evaluation; empty if Phoenix's record suffices.

    The entry has the kind if it does not follow from score and label. Phoenix stores neither the evaluator of an
    evaluation nor the usage of the evaluator and the task. The gates of an experiment that several jobs share need
    both. The first evaluation of a run also has the task's usage.

    Args:
        evaluation: the evaluation to record.
        run: the run of the evaluation.
        is_shared: whether several jobs share the experiment.
    """
    is_kind_known = evaluation.failure or evaluation.kind == kind_by_score(evaluation.score, evaluation.label)
    facts: dict[str, Any] = {} if is_kind_known else {"kind": evaluation.kind}
    if is_shared:
        own = [each for each in run.evaluations if each.evaluator == evaluation.evaluator]
        facts |= {"evaluator": evaluation.evaluator, "of": len(own), "usage": usage_to_json(evaluation.usage)}
        if run.evaluations and run.evaluations[0].name == evaluation.name:
            facts["task_usage"] = usage_to_json(run.usage)
    if evaluation.baseline_score is not None:
        facts["baseline_score"] = asdict(evaluation.baseline_score)
    return facts


def recorded_baseline_score(facts: Mapping[str, Any]) -> BaselineScore | None:
    """Return the score of the corresponding baseline output from an evaluation's metadata entry."""
    if "baseline_score" not in facts:
        return None
    try:
        return BaselineScore(**facts["baseline_score"])
    except TypeError:  # from another version
        return None


def own_metadata(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the entry under `FACTS_KEY`; empty for an experiment that another tool recorded."""
    found = metadata.get(FACTS_KEY) if metadata else None
    return found if isinstance(found, dict | Mapping) else {}  # the check for a dict is faster


def partial_facts(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the selection and the size of a partial run, from an experiment's metadata; None for a complete run."""
    found = own_metadata(metadata).get("partial")
    return found if isinstance(found, Mapping) else None


def source_facts(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the entry of the experiment whose outputs were scored again; None if the experiment called its task."""
    found = own_metadata(metadata).get("source")
    return found if isinstance(found, Mapping) else None


def is_noise_run(metadata: Mapping[str, Any] | None) -> bool:
    """Check whether an experiment was recorded to measure noise, by its metadata."""
    return own_metadata(metadata).get("noise") is True


def stopping_of(metadata: Mapping[str, Any] | None) -> Stopping | None:
    """Return the extent of an experiment with early verdicts, from its metadata; None for other experiments."""
    return Stopping.from_json(own_metadata(metadata).get("stopping"))


def without_stopping(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of an experiment without its early verdict, for a run of all its examples."""
    facts = {key: value for key, value in own_metadata(metadata).items() if key != "stopping"}
    return {**metadata, FACTS_KEY: facts} if FACTS_KEY in metadata else metadata


def baseline_obstacle(metadata: Mapping[str, Any] | None, *, stopping: Stopping | None = None) -> str:
    """Return why an experiment is never a baseline, to follow its name; empty if it may be a baseline.

    Args:
        metadata: the metadata of the experiment.
        stopping: the extent of the experiment, if the metadata are from its start, as in a `results.json`.
    """
    if partial_facts(metadata) is not None:
        return "is from a partial run"
    if is_noise_run(metadata):
        return "was run to measure noise"
    if source_facts(metadata) is not None:
        return "has new scores of outputs of an earlier run"
    stopping = stopping or stopping_of(metadata)
    if stopping is not None and stopping.is_early:
        return f"ended early, after {stopping.extent}"
    return ""


def comparison_time(metadata: Mapping[str, Any]) -> datetime | None:
    """Return the time that a baseline must precede: the start of the run that called the task; None if unknown."""
    source = source_facts(metadata)
    return start_time_of(metadata if source is None else {FACTS_KEY: source})


def recorded_kind(facts: Mapping[str, Any]) -> EvaluationKind | None:
    """Return the recorded kind of an evaluation; None if it is missing or from another version."""
    kind = facts.get("kind")
    return kind if kind in _KINDS else None


def recorded_usage(facts: Mapping[str, Any], key: str = "usage") -> Usage | None:
    """Return the recorded usage of an experiment or an evaluation; None if it is missing."""
    if key not in facts:
        return None
    try:
        return usage_from_json(facts[key])
    except TypeError:  # from another version
        return None
