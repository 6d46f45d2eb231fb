"""What evalwire records in an experiment's metadata, so that later runs can find a baseline and judge it again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from evalwire.model.run import EvaluationKind, kind_by_score
from evalwire.model.usage import usage_from_json, usage_to_json

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.model.experiment import Experiment
    from evalwire.model.report import Outcome
    from evalwire.model.result import ExperimentResult
    from evalwire.model.run import Evaluation, TaskRun
    from evalwire.model.usage import Usage

CREATION_KEY = "evalwire_key"  # in a Phoenix experiment's metadata: which creation it came from

FACTS_KEY = "evalwire"  # likewise: what evalwire recorded, and how it ended


def start_metadata(experiment: Experiment, *, split: str | None, repetitions: int) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an experiment that begins.

    An evaluator's hash is of its file, so that scores of two versions of it are not compared unnoticed.
    """
    return {
        "experiment": experiment.name,
        "split": split,
        "repetitions": repetitions,
        "evaluators": evaluator_hashes(experiment),
    }


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
        },
    }


def evaluation_metadata(evaluation: Evaluation, run: TaskRun, *, is_shared: bool) -> dict[str, Any]:
    """Build the entry under `FACTS_KEY` in the metadata of an evaluation; empty where its record tells it all.

    The kind is in it where score and label do not tell it. In an experiment that several jobs share, Phoenix does not
    know an evaluator from the names of its evaluations, nor what it and the task used. The first evaluation of a run
    tells of its task, too.
    """
    is_told = evaluation.failure or evaluation.kind == kind_by_score(evaluation.score, evaluation.label)
    kind = {} if is_told else {"kind": evaluation.kind}
    if not is_shared:
        return kind
    own = [one for one in run.evaluations if one.evaluator == evaluation.evaluator]
    is_first = bool(run.evaluations) and run.evaluations[0] is evaluation
    return {
        **kind,
        "evaluator": evaluation.evaluator,
        "of": len(own),
        "usage": usage_to_json(evaluation.usage),
        **({"task_usage": usage_to_json(run.usage)} if is_first else {}),
    }


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
