"""The limit: a bare loop in threads over `log_run` and `log_evaluation` of the Phoenix client.

With `spans`, another thread sends the same number of spans as evalwire, with the same shape, to the same projects.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from _contender import arguments
from _phoenix import EVALUATORS, recording

from evalwire.phoenix import connect

BATCH_SIZE = 256

given = arguments()
client = connect(base_url=given["url"])
Send = Callable[[str, Mapping[str, Any]], None]


def run(dataset_name: str) -> None:
    """Record a run and its evaluations for each example."""
    dataset = client.datasets.get_dataset(dataset=dataset_name, timeout=60)
    experiment: Any = client.experiments.create(dataset_id=dataset.id, dataset_version_id=dataset.version_id)

    verdict = {"name": "", "score": 1.0, "label": "True", "explanation": None, "metadata": {}}

    def record(example: Any) -> None:
        now, n = datetime.now(UTC), example["input"]["n"]
        traces = [secrets.token_hex(16) if given["spans"] else None for _ in range(1 + len(EVALUATORS))]
        recorded = client.experiments.log_run(
            experiment_id=experiment["id"],
            dataset_example_id=example["node_id"],
            output=n,
            start_time=now,
            end_time=now,
            trace_id=traces[0],
        )
        for name, trace_id in zip(EVALUATORS, traces[1:], strict=True):
            client.experiments.log_evaluation(
                experiment_run_id=recorded["id"],
                name=name,
                score=1.0,
                label="True",
                start_time=now,
                end_time=now,
                trace_id=trace_id,
            )
        if given["spans"]:
            send(experiment["project_name"], span("task", "CHAIN", traces[0], values=({"n": n}, n), now=now))
            for name, trace_id in zip(EVALUATORS, traces[1:], strict=True):
                values = {"output": n, "expected": {"n": n}}, [verdict | {"name": name}]
                send("evaluators", span(name, "EVALUATOR", trace_id, values=values, now=now))

    with delivery() as send, ThreadPoolExecutor(given["connections"]) as threads:
        list(threads.map(record, dataset.examples))


def span(name: str, kind: str, trace_id: str | None, *, values: tuple[Any, Any], now: datetime) -> dict[str, Any]:
    """Return a span like the spans of evalwire, with an input and an output."""
    return {
        "name": name,
        "context": {"trace_id": trace_id, "span_id": secrets.token_hex(8)},
        "span_kind": kind,
        "parent_id": None,
        "start_time": now.isoformat(),
        "end_time": now.isoformat(),
        "status_code": "OK",
        "status_message": "",
        "attributes": {
            "input.value": json.dumps(values[0]),
            "input.mime_type": "application/json",
            "output.value": json.dumps(values[1]),
            "output.mime_type": "application/json",
        },
        "events": [],
    }


@contextlib.contextmanager
def delivery() -> Iterator[Send]:
    """Yield a function that queues spans for a thread, which delivers them in batches."""
    waiting: queue.SimpleQueue[tuple[str, Mapping[str, Any]] | None] = queue.SimpleQueue()

    def deliver(batch: list[tuple[str, Mapping[str, Any]]]) -> None:
        projects = defaultdict(list)
        for project, row in batch:
            projects[project].append(row)
        for project, rows in projects.items():
            client.spans.log_spans(project_identifier=project, spans=rows, timeout=60)

    def work() -> None:
        batch: list[tuple[str, Mapping[str, Any]]] = []
        while (item := waiting.get()) is not None:
            batch.append(item)
            if len(batch) == BATCH_SIZE:
                deliver(batch)
                batch = []
        deliver(batch)

    thread = threading.Thread(target=work)
    thread.start()
    yield lambda project, row: waiting.put((project, row))
    waiting.put(None)
    thread.join()


recording("arize-phoenix-client", client, run)
