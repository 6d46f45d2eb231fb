"""Runs and evaluations in Phoenix: recording, reading and verification."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from evalwire.errors import PhoenixError, RunTaken
from evalwire.model import (
    EMPTY,
    FACTS_KEY,
    Evaluation,
    Failure,
    TaskRun,
    is_same_json,
    own_metadata,
    recorded_baseline_score,
    recorded_kind,
    recorded_usage,
)
from evalwire.phoenix.request_errors import detail_of, status_of
from evalwire.phoenix.verification import missing_records

if TYPE_CHECKING:
    from evalwire.model import Dataset, Example, FailureStage
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


_EXISTING_RUN = re.compile(r"Experiment run (\S+) already exists")

# recorded exceptions: `Type: message` from evalwire, `repr` from Phoenix's client
_TYPE_AND_MESSAGE = re.compile(r"([A-Za-z_][\w.]*): (.*)", re.DOTALL)

_REPR = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)


class Runs:
    """The runs of a server's experiments, with their evaluations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._places: dict[str, tuple[str, str, int]] = {}  # by the ID of the recorded run

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run and return the ID. A run that Phoenix already has is a success if the outputs are equal.

        Raises:
            RunTaken: Phoenix has another output for this example and repetition.
            PhoenixError: Phoenix did not accept the run.
        """

        def create_or_compare(rest: Rest) -> str:
            try:
                return rest.create_run(experiment_id, run, error)
            except Exception as refused:
                if status_of(refused) != HTTPStatus.CONFLICT:
                    raise
                held = _held(rest, experiment_id, run, refused)
                if held is None or error is not None or not is_same_json(held["output"], run.output):
                    raise RunTaken(
                        f"Phoenix at {self._connection.endpoint} already has a different output for example "
                        f"{run.example.id} (repetition {run.repetition}) of this experiment, so this run was not "
                        "recorded. Check whether another job writes to the same experiment."
                    ) from refused
                return str(held["id"])

        what = f"record the run of example {run.example.id}"
        run_id = self._connection.record(what, create_or_compare)
        place = (experiment_id, run.example.node_id, run.repetition)
        if self._places.setdefault(run_id, place) != place:  # such as from an intermediate cache
            raise PhoenixError(
                f"Phoenix at {self._connection.endpoint} did not {what}: it responded with another example's run."
            )
        return run_id

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation and return the ID; a repeat replaces the evaluation with the same run and name."""
        return self._connection.record(
            f"record the evaluation {evaluation.name!r}", lambda rest: rest.put_evaluation(run_id, evaluation, error)
        )

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """Return the runs of an experiment with their evaluations, in the dataset's order, then by repetition."""
        return self._connection.fetch(
            f"fetch the runs of the experiment {experiment_id}", lambda rest: _read(rest, experiment_id, dataset)
        )

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """Describe missing records of accepted runs; see `evalwire.phoenix.verification`."""
        return self._connection.record(
            "count the recorded runs", lambda rest: missing_records(rest, experiment_id, runs, is_part=is_part)
        )


def _held(rest: Rest, experiment_id: str, run: TaskRun, refused: Exception) -> Mapping[str, Any] | None:
    """Return the run that Phoenix has for the same example and repetition.

    Phoenix's error may name the run's ID. Otherwise, the runs of the experiment are searched.
    """
    known = _EXISTING_RUN.search(detail_of(refused))
    if known is not None:
        named = rest.run(experiment_id, known[1])
        candidates = iter([named] if named else [])
    else:
        candidates = rest.runs(experiment_id)
    place = (run.example.node_id, run.repetition)
    return next((found for found in candidates if _place(found["dataset_example_id"], found) == place), None)


def _read(rest: Rest, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
    found = {_place(run["dataset_example_id"], run): run for run in rest.runs(experiment_id)}
    order = {example.node_id: index for index, example in enumerate(dataset.examples)}
    full = rest.evaluations(experiment_id) if found else ()
    known = [
        to_run(found[place], dataset.examples[order[place[0]]], annotated["annotations"])
        for annotated in full
        if (place := _place(annotated["example_id"], annotated)) in found and place[0] in order
    ]
    return sorted(known, key=lambda run: (order[run.example.node_id], run.repetition))


def _place(example_id: str, run: Mapping[str, Any]) -> tuple[str, int]:
    """Return the key of a run within its experiment."""
    return example_id, int(run["repetition_number"])


def to_run(run: Mapping[str, Any], example: Example, annotations: Sequence[Mapping[str, Any]]) -> TaskRun:
    """Return a `TaskRun` from Phoenix's record of a run and its annotations."""
    error = run.get("error")
    facts = [own_metadata(annotation.get("metadata")) for annotation in annotations]
    evaluations = [_to_evaluation(annotation, own) for annotation, own in zip(annotations, facts, strict=True)]
    return TaskRun(
        example=example,
        output=None if error else run["output"],
        failure=_failure(error, "task"),
        evaluations=tuple(_whole(evaluations, facts)),
        start_time=datetime.fromisoformat(run["start_time"]),
        end_time=datetime.fromisoformat(run["end_time"]),
        repetition=int(run["repetition_number"]),
        trace_id=run.get("trace_id"),
        usage=next((recorded_usage(own, "task_usage") for own in facts if "task_usage" in own), None),
        id=run["id"],
    )


def _whole(evaluations: Sequence[Evaluation], facts: Sequence[Mapping[str, Any]]) -> Iterator[Evaluation]:
    """Yield the evaluations of evaluators whose scores are all recorded; a killed job may record only some."""
    if not any("of" in own for own in facts):
        yield from evaluations
        return
    counts = Counter(evaluation.evaluator for evaluation in evaluations)
    for evaluation, own in zip(evaluations, facts, strict=True):
        if counts[evaluation.evaluator] >= own.get("of", 1):
            yield evaluation


def _to_evaluation(annotation: Mapping[str, Any], facts: Mapping[str, Any]) -> Evaluation:
    metadata = annotation.get("metadata") or EMPTY
    if facts:
        metadata = {key: value for key, value in metadata.items() if key != FACTS_KEY} if len(metadata) > 1 else EMPTY
    evaluator = facts.get("evaluator")
    return Evaluation(
        name=annotation["name"],
        evaluator=evaluator if evaluator and isinstance(evaluator, str) else annotation["name"],
        score=annotation["score"],
        label=annotation["label"],
        explanation=annotation["explanation"],
        metadata=metadata,
        annotator_kind=annotation["annotator_kind"],
        failure=_failure(annotation.get("error"), "evaluator"),
        start_time=datetime.fromisoformat(annotation["start_time"]),
        end_time=datetime.fromisoformat(annotation["end_time"]),
        usage=recorded_usage(facts),
        trace_id=annotation.get("trace_id"),
        id="recorded",  # this response does not include the ID
        baseline_score=recorded_baseline_score(facts),
        kind=None if annotation.get("error") else recorded_kind(facts),
    )


def _failure(error: str | None, stage: FailureStage) -> Failure | None:
    """Parse a failure from Phoenix's text."""
    if not error:
        return None
    if match := _TYPE_AND_MESSAGE.fullmatch(error):
        return Failure(kind="user", stage=stage, type=match[1], message=match[2])
    if match := _REPR.fullmatch(error):
        return Failure(kind="user", stage=stage, type=match[1], message=_unquoted(match[2]))
    return Failure(kind="user", stage=stage, type="Error", message=error)


def _unquoted(arguments: str) -> str:
    """Return the arguments of an exception's `repr`, unquoted if there is only a text."""
    try:
        value = ast.literal_eval(arguments)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return arguments
    return value if isinstance(value, str) else arguments
