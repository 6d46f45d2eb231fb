"""What Phoenix recorded, read back: runs, evaluations, whole experiments."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.model import (
    EMPTY,
    FACTS_KEY,
    Evaluation,
    Experiment,
    ExperimentResult,
    Failure,
    OpenExperiment,
    TaskRun,
    own_metadata,
    recorded_usage,
)

if TYPE_CHECKING:
    from evalwire.model import Dataset, Example, FailureStage
    from evalwire.phoenix.rest import Rest


# how an exception is recorded: by evalwire as `Type: message`, by Phoenix's client as its `repr`
_TOLD = re.compile(r"([A-Za-z_][\w.]*): (.*)", re.DOTALL)

_REPR = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)


def read_runs(rest: Rest, experiment_id: str, dataset: Dataset, *, timeout: float) -> list[TaskRun]:
    """The runs of an experiment with their evaluations, in the dataset's order, then by repetition."""
    found = {place_of(run["dataset_example_id"], run): run for run in rest.runs(experiment_id, timeout=timeout)}
    order = {example.node_id: index for index, example in enumerate(dataset.examples)}
    full = rest.evaluations(experiment_id, timeout=timeout) if found else ()
    known = [
        _to_run(found[place], dataset.examples[order[place[0]]], one["annotations"])
        for one in full
        if (place := place_of(one["example_id"], one)) in found and place[0] in order
    ]
    return sorted(known, key=lambda run: (order[run.example.node_id], run.repetition))


def to_result(
    record: Mapping[str, Any],
    dataset: Dataset,
    found: Sequence[TaskRun],
    *,
    url: str | None,
    is_whole: bool = False,
) -> ExperimentResult:
    """A recorded experiment as the result that its run had.

    Args:
        record: Phoenix's of the experiment.
        dataset: the version that it ran on.
        found: its runs.
        url: its page.
        is_whole: with every evaluation that Phoenix has; else with those by which its run is judged.
    """
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    name = _text(facts.get("experiment")) or _text(metadata.get("dataset")) or dataset.name
    evaluators = facts.get("evaluators")
    if not isinstance(evaluators, Mapping):  # another tool recorded it, which left no list of them
        evaluators = None
    runs_ = [_attributed(run, facts.get("scores") or {}) for run in found]
    if not is_whole:
        runs_ = [_judged(run, evaluators) for run in runs_]
    names = evaluators if evaluators is not None else {one.name for run in runs_ for one in run.evaluations}
    times = [time for run in runs_ for time in (run.start_time, run.end_time)]
    seconds = facts.get("seconds")
    # the number that was announced does not keep a script from recording more
    repetitions = max([record.get("repetitions") or 1, *(run.repetition for run in runs_)])
    return ExperimentResult(
        name=name,
        dataset_name=dataset.name,
        evaluator_names=tuple(sorted(names)),
        opened=OpenExperiment(
            experiment=Experiment(name=name, dataset_name=dataset.name, path=Path(name), task=None),
            dataset=replace(dataset, examples=()),
            recorded_name=record["name"],
            id=record["id"],
            url=url,
            project_name=record.get("project_name"),
            repetitions=repetitions,
            metadata=metadata,
        ),
        runs=tuple(runs_),
        example_count=record["example_count"],
        repetitions=repetitions,
        seconds=seconds if isinstance(seconds, int | float) else _span(times),
        used=recorded_usage(facts),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _span(times: Sequence[datetime]) -> float:
    return (max(times) - min(times)).total_seconds() if times else 0.0


def _attributed(run: TaskRun, scores: Mapping[str, str]) -> TaskRun:
    """A run whose evaluations say which evaluator each is of, where that gave several."""
    if not scores:
        return run
    return replace(
        run, evaluations=tuple(replace(one, evaluator=scores.get(one.name, one.name)) for one in run.evaluations)
    )


def _judged(run: TaskRun, evaluators: Mapping[str, str] | None) -> TaskRun:
    """A run with the evaluations by which it is judged.

    These are of the experiment's own evaluators, where it says which it has: others are people's, or came later.
    Where it does not say, they are all but people's. A run that failed has none: Phoenix's client has evaluators score
    the output of a failed task, too, which there is not.
    """
    if run.failure is not None:
        return replace(run, evaluations=())
    return replace(
        run,
        evaluations=tuple(
            one
            for one in run.evaluations
            if (one.annotator_kind != "HUMAN" if evaluators is None else one.evaluator in evaluators)
        ),
    )


def place_of(example_id: str, run: Mapping[str, Any]) -> tuple[str, int]:
    """What a run is known by within its experiment."""
    return example_id, int(run["repetition_number"])


def _to_run(run: Mapping[str, Any], example: Example, annotations: Sequence[Mapping[str, Any]]) -> TaskRun:
    error = run.get("error")
    evaluations = [_to_evaluation(one) for one in annotations]
    facts = [own_metadata(one.get("metadata")) for one in annotations]
    return TaskRun(
        example=example,
        output=None if error else run["output"],
        failure=_failure(error, "task"),
        evaluations=tuple(_spoken_whole(evaluations, facts)),
        start_time=datetime.fromisoformat(run["start_time"]),
        end_time=datetime.fromisoformat(run["end_time"]),
        repetition=int(run["repetition_number"]),
        trace_id=run.get("trace_id"),
        usage=next((recorded_usage(own, "task_usage") for own in facts if "task_usage" in own), None),
        id=run["id"],
    )


def _spoken_whole(evaluations: Sequence[Evaluation], facts: Sequence[Mapping[str, Any]]) -> Iterator[Evaluation]:
    """The evaluations but those of an evaluator that said more than is recorded: its job was killed meanwhile."""
    counts = Counter(one.evaluator for one in evaluations)
    for evaluation, own in zip(evaluations, facts, strict=True):
        if counts[evaluation.evaluator] >= own.get("of", 1):
            yield evaluation


def _to_evaluation(annotation: Mapping[str, Any]) -> Evaluation:
    metadata = annotation.get("metadata") or EMPTY
    facts = own_metadata(metadata)  # of an experiment that several jobs share
    return Evaluation(
        name=annotation["name"],
        evaluator=_text(facts.get("evaluator")) or annotation["name"],
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
    )


def _failure(error: str | None, stage: FailureStage) -> Failure | None:
    """A failure that Phoenix knows as one text."""
    if not error:
        return None
    if told := _TOLD.fullmatch(error):
        return Failure(kind="user", stage=stage, type=told[1], message=told[2])
    if told := _REPR.fullmatch(error):
        return Failure(kind="user", stage=stage, type=told[1], message=_unquoted(told[2]))
    return Failure(kind="user", stage=stage, type="Error", message=error)


def _unquoted(arguments: str) -> str:
    """The arguments of an exception in a `repr`: the text itself where that is all there is."""
    try:
        value = ast.literal_eval(arguments)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return arguments
    return value if isinstance(value, str) else arguments
