"""Shared code of contenders that record in a real Phoenix: datasets, and counts of records."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from _contender import arguments, process_seconds, report

EVALUATORS = ("match", "again")
_SETTLED_SECONDS = 60.0


def recording(distribution: str, client: Any, run: Callable[[str], None]) -> None:
    """Run a contender on a new dataset, and print its duration and the numbers of records in Phoenix.

    A first call with a single example is not timed, because it includes late imports and opens connections. Waiting
    at the end is not timed, either: Phoenix must store all spans, or it would slow down the next contender.

    Args:
        distribution: the name of the installed package.
        client: a client of the Phoenix server.
        run: runs the experiment on the dataset with this name, and returns after all records are delivered.
    """
    run(make_dataset(client, 1))
    name = make_dataset(client, arguments()["examples"])
    server = arguments().get("server")  # its process ID
    used = process_seconds(server) if server else 0.0
    began = time.perf_counter()
    run(name)
    figures = {"seconds": time.perf_counter() - began}
    if server:
        figures["server_seconds"] = process_seconds(server) - used
    report(distribution, **figures, **_arrived(client, name))


def make_dataset(client: Any, count: int) -> str:
    """Upload a dataset with `count` examples; return its name."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    text = "x" * arguments().get("text", 0)
    examples = [{"input": {"n": n, "text": text}, "output": {"n": n}} for n in range(count)]
    client.datasets.create_dataset(name=name, examples=examples, timeout=60)
    return name


def _arrived(client: Any, name: str) -> dict[str, int]:
    """Return the numbers of records of the only experiment on a dataset; `evaluator_traces` are linked evaluations."""
    dataset = client.datasets.get_dataset(dataset=name, timeout=60)
    (experiment,) = client.experiments.list(dataset_id=dataset.id)
    recorded = client.experiments.get_experiment(experiment_id=experiment["id"])
    runs = len(recorded["task_runs"])
    spans = 0
    deadline = time.monotonic() + _SETTLED_SECONDS
    while spans < runs and time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPStatusError):  # the project does not exist before its first span
            spans = len(client.spans.get_spans(project_identifier=experiment["project_name"], limit=10 * runs))
        time.sleep(0.5)
    evaluations = recorded["evaluation_runs"]
    return {
        "runs": runs,
        "evaluations": len(evaluations),
        "task_spans": spans,
        "evaluator_traces": sum(evaluation.trace_id is not None for evaluation in evaluations),
    }
