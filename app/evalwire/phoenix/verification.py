"""Verification that Phoenix has all accepted records: compares counts, and names missing records."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.model import TaskRun
    from evalwire.phoenix.rest import Rest


_MOST_NAMED = 5  # missing records that a message lists


def missing_records(rest: Rest, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
    """Describe the missing records of runs with an ID, in a line for each kind; empty if all are there.

    Without a difference, two cheap requests are enough: the experiment's counts, and the first page of runs with
    incomplete evaluations. Contents are not compared.

    Args:
        rest: the requests to the server.
        experiment_id: Phoenix's ID of the experiment.
        runs: the expected runs.
        is_part: whether other jobs record to the same experiment, so that its counts cannot be compared.
    """
    sent = {run.id: run for run in runs if run.id is not None}
    unsent = {(run.example.node_id, run.repetition) for run in runs if run.id is None}
    return [
        *(_incomplete_runs(rest, experiment_id, sent) if is_part else _missing_runs(rest, experiment_id, sent, unsent)),
        *_missing_evaluations(rest, experiment_id, sent),
    ]


def _missing_runs(
    rest: Rest, experiment_id: str, sent: Mapping[str, TaskRun], unsent: Collection[tuple[str, int]]
) -> list[str]:
    counts = rest.experiment(experiment_id)
    failed = sum(run.failure is not None for run in sent.values())
    if (counts["successful_run_count"], counts["failed_run_count"]) == (len(sent) - failed, failed):
        return []
    there = {run["id"]: run for run in rest.runs(experiment_id)}
    missing = [_named(run) for key, run in sent.items() if key not in there]
    strange = [
        f"{_named(run)} is recorded as {'a success' if run.failure else 'a failure'}"
        for key, run in sent.items()
        if key in there and bool(there[key].get("error")) != (run.failure is not None)
    ]
    # a run may be recorded although its request seemed to fail
    other = sum(
        key not in sent and (run["dataset_example_id"], run["repetition_number"]) not in unsent
        for key, run in there.items()
    )
    return [
        *([f"missing runs: {_list(missing)}"] if missing else []),
        *([f"different runs: {_list(strange)}"] if strange else []),
        *([f"runs of another job: {other}"] if other else []),
    ]


def _incomplete_runs(rest: Rest, experiment_id: str, sent: Mapping[str, TaskRun]) -> list[str]:
    """Describe the successful runs of a part that Phoenix lists as missing or failed."""
    successful = {(run.example.node_id, run.repetition): run for run in sent.values() if run.failure is None}
    missing = [
        _named(run)
        for entry in rest.incomplete_runs(experiment_id)
        for repetition in entry["repetition_numbers"]
        if (run := successful.get((entry["dataset_example"]["node_id"], repetition)))
    ]
    return [f"missing runs: {_list(missing)}"] if missing else []


def _missing_evaluations(rest: Rest, experiment_id: str, sent: Mapping[str, TaskRun]) -> list[str]:
    given: dict[str, set[str]] = {}  # by run: the names of the evaluations without an error
    for run_id, run in sent.items():
        given[run_id] = {
            evaluation.name
            for evaluation in run.evaluations
            if evaluation.id is not None and evaluation.failure is None
        }
    names = sorted(set().union(*given.values()))
    if not names:
        return []
    missing: dict[str, list[str]] = {}
    for entry in rest.incomplete_evaluations(experiment_id, names):
        run_id = entry["experiment_run"]["id"]
        for name in given.get(run_id, set()).intersection(entry["evaluation_names"]):
            missing.setdefault(name, []).append(_named(sent[run_id]))
    return [f"missing evaluations {name!r}: {_list(runs)}" for name, runs in sorted(missing.items())]


def _named(run: TaskRun) -> str:
    return f"example {run.example.id}" + (f", repetition {run.repetition}" if run.repetition > 1 else "")


def _list(items: Sequence[str]) -> str:
    more = f"; and {len(items) - _MOST_NAMED} more" if len(items) > _MOST_NAMED else ""
    return f"{len(items)} ({'; '.join(items[:_MOST_NAMED])}{more})"
