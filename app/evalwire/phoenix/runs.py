"""Record runs and their evaluations, read them back, and check that Phoenix has them."""

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

# how an exception is recorded: by evalwire as `Type: message`, by Phoenix's client as its `repr`
_TYPE_AND_MESSAGE = re.compile(r"([A-Za-z_][\w.]*): (.*)", re.DOTALL)

_REPR = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)


class Runs:
    """The runs of a server's experiments, with their evaluations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._places: dict[str, tuple[str, str, int]] = {}  # of each run that was recorded, by its id

    def record(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; return its id. One that Phoenix has already is a success when it holds this very output.

        Raises:
            RunTaken: Phoenix has another output under this example and repetition.
            PhoenixError: Phoenix did not take the run.
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
                        f"Phoenix at {self._connection.endpoint} has another output for example {run.example.id} "
                        f"(repetition {run.repetition}) of this experiment, so this one was not recorded: "
                        "does another job write to the same experiment?"
                    ) from refused
                return str(held["id"])

        what = f"record the run of example {run.example.id}"
        run_id = self._connection.record(what, create_or_compare)
        place = (experiment_id, run.example.node_id, run.repetition)
        if self._places.setdefault(run_id, place) != place:  # such as from a cache in between
            raise PhoenixError(
                f"Phoenix at {self._connection.endpoint} did not {what}: it answered with the run of another one."
            )
        return run_id

    def record_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation (an upsert by run and name, so a repeat changes nothing); return its id."""
        return self._connection.record(
            f"record the evaluation {evaluation.name!r}", lambda rest: rest.put_evaluation(run_id, evaluation, error)
        )

    def read(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """Return the runs of an experiment with their evaluations, in the dataset's order, then by repetition."""
        return self._connection.fetch(
            f"fetch the runs of the experiment {experiment_id}", lambda rest: _read(rest, experiment_id, dataset)
        )

    def missing(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """Return what Phoenix lacks of runs that it accepted; see `evalwire.phoenix.verification`."""
        return self._connection.record(
            "count what was recorded", lambda rest: missing_records(rest, experiment_id, runs, is_part=is_part)
        )


def _held(rest: Rest, experiment_id: str, run: TaskRun, refused: Exception) -> Mapping[str, Any] | None:
    """Return the run that Phoenix has in the place of `run`.

    It is found by the id that Phoenix's refusal names, else by looking for it.
    """
    known = _EXISTING_RUN.search(detail_of(refused))
    if known is not None:
        named = rest.run(experiment_id, known[1])
        candidates = iter([named] if named else [])
    else:
        candidates = rest.runs(experiment_id)
    place = (run.example.node_id, run.repetition)
    return next((one for one in candidates if _place(one["dataset_example_id"], one) == place), None)


def _read(rest: Rest, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
    found = {_place(run["dataset_example_id"], run): run for run in rest.runs(experiment_id)}
    order = {example.node_id: index for index, example in enumerate(dataset.examples)}
    full = rest.evaluations(experiment_id) if found else ()
    known = [
        to_run(found[place], dataset.examples[order[place[0]]], one["annotations"])
        for one in full
        if (place := _place(one["example_id"], one)) in found and place[0] in order
    ]
    return sorted(known, key=lambda run: (order[run.example.node_id], run.repetition))


def _place(example_id: str, run: Mapping[str, Any]) -> tuple[str, int]:
    """Return the key of a run within its experiment."""
    return example_id, int(run["repetition_number"])


def to_run(run: Mapping[str, Any], example: Example, annotations: Sequence[Mapping[str, Any]]) -> TaskRun:
    """Return a run of Phoenix's, with its evaluations, as evalwire has it."""
    error = run.get("error")
    evaluations = [_to_evaluation(one) for one in annotations]
    facts = [own_metadata(one.get("metadata")) for one in annotations]
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
    """Yield the evaluations, without those of an evaluator that returned more than is recorded: its job was killed."""
    counts = Counter(one.evaluator for one in evaluations)
    for evaluation, own in zip(evaluations, facts, strict=True):
        if counts[evaluation.evaluator] >= own.get("of", 1):
            yield evaluation


def _to_evaluation(annotation: Mapping[str, Any]) -> Evaluation:
    metadata = annotation.get("metadata") or EMPTY
    facts = own_metadata(metadata)
    evaluator = facts.get("evaluator")
    return Evaluation(
        name=annotation["name"],
        evaluator=evaluator if evaluator and isinstance(evaluator, str) else annotation["name"],
        score=annotation["score"],
        label=annotation["label"],
        explanation=annotation["explanation"],
        metadata={key: value for key, value in metadata.items() if key != FACTS_KEY} if facts else metadata,
        annotator_kind=annotation["annotator_kind"],
        failure=_failure(annotation.get("error"), "evaluator"),
        start_time=datetime.fromisoformat(annotation["start_time"]),
        end_time=datetime.fromisoformat(annotation["end_time"]),
        usage=recorded_usage(facts),
        trace_id=annotation.get("trace_id"),
        id="recorded",  # this interface does not tell its id
        baseline_score=recorded_baseline_score(facts),
        kind=None if annotation.get("error") else recorded_kind(facts),
    )


def _failure(error: str | None, stage: FailureStage) -> Failure | None:
    """Parse a failure that Phoenix holds as one text."""
    if not error:
        return None
    if match := _TYPE_AND_MESSAGE.fullmatch(error):
        return Failure(kind="user", stage=stage, type=match[1], message=match[2])
    if match := _REPR.fullmatch(error):
        return Failure(kind="user", stage=stage, type=match[1], message=_unquoted(match[2]))
    return Failure(kind="user", stage=stage, type="Error", message=error)


def _unquoted(arguments: str) -> str:
    """Return the arguments of an exception's `repr`; the text itself where there is nothing else."""
    try:
        value = ast.literal_eval(arguments)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return arguments
    return value if isinstance(value, str) else arguments
