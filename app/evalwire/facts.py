"""What every run leaves in its experiment's metadata, so that a later one can find its baseline and judge it again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.model import FACTS_KEY
from evalwire.usage import from_json, to_json

if TYPE_CHECKING:
    from evalwire.model import Evaluation, Experiment, ExperimentResult, Outcome, TaskRun
    from evalwire.usage import Usage


def at_start(experiment: Experiment, *, split: str | None, repetitions: int) -> dict[str, Any]:
    """Of an experiment that begins: the metadata's entry under `FACTS_KEY`.

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


def at_end(metadata: Mapping[str, Any], result: ExperimentResult, outcome: Outcome) -> dict[str, Any]:
    """The whole metadata of an experiment that has ended, by what it was; Phoenix replaces it as one."""
    usage = result.usage
    scores = {one.name: one.evaluator for run in result.runs for one in run.evaluations if one.name != one.evaluator}
    return {
        **metadata,
        FACTS_KEY: {
            **facts_of(metadata),
            "outcome": outcome,
            "examples": result.example_count,
            "seconds": round(result.seconds, 3),
            "scores": scores,  # of evaluators that give several: whose each is
            "usage": to_json(usage),
        },
    }


def evaluation_facts(evaluation: Evaluation, run: TaskRun) -> dict[str, Any]:
    """Of one evaluation of an experiment that several jobs share: the entry under `FACTS_KEY` in its metadata.

    Phoenix does not know an evaluator from the names of its evaluations, nor what it and the task used. The first
    evaluation of a run tells of its task, too.
    """
    own = [one for one in run.evaluations if one.evaluator == evaluation.evaluator]
    is_first = bool(run.evaluations) and run.evaluations[0] is evaluation
    return {
        "evaluator": evaluation.evaluator,
        "of": len(own),
        "usage": to_json(evaluation.usage),
        **({"task_usage": to_json(run.usage)} if is_first else {}),
    }


def facts_of(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The entry under `FACTS_KEY`; empty where an experiment has none, because another tool recorded it."""
    found = (metadata or {}).get(FACTS_KEY)
    return found if isinstance(found, Mapping) else {}


def usage_of(facts: Mapping[str, Any], key: str = "usage") -> Usage | None:
    """What an experiment or an evaluation used of language models, by its facts; None when they do not tell."""
    try:
        return from_json(facts.get(key))
    except TypeError:  # of another version
        return None
