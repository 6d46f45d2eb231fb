"""What the contenders that record in a real Phoenix share: their datasets, and whether everything arrived."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from _contender import arguments, tell

EVALUATORS = ("match", "again")
_SETTLED_SECONDS = 60.0


def recording(distribution: str, client: Any, run: Callable[[str], None]) -> None:
    """Run the work of one contender on a dataset of its own, and tell how long it took and what Phoenix has of it.

    A first call, with one example, is not timed: it imports what is imported late, and opens connections. At the
    end, untimed too, Phoenix gets the time to put the spans that it took into its database, which would otherwise
    slow down the next contender.

    Args:
        distribution: what the contender is installed as.
        client: of the Phoenix that records.
        run: runs and records the experiment on the dataset of this name; all is delivered when it returns.
    """
    run(make_dataset(client, 1))
    name = make_dataset(client, arguments()["examples"])
    began = time.perf_counter()
    run(name)
    seconds = time.perf_counter() - began
    tell(distribution, seconds=seconds, **_arrived(client, name))


def make_dataset(client: Any, count: int) -> str:
    """Upload a dataset of so many examples; its name."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    examples = [{"input": {"n": n}, "output": {"n": n}} for n in range(count)]
    client.datasets.create_dataset(name=name, examples=examples, timeout=60)
    return name


def _arrived(client: Any, name: str) -> dict[str, int]:
    """How many runs, evaluations and spans of tasks Phoenix has of the only experiment on a dataset."""
    dataset = client.datasets.get_dataset(dataset=name, timeout=60)
    (experiment,) = client.experiments.list(dataset_id=dataset.id)
    recorded = client.experiments.get_experiment(experiment_id=experiment["id"])
    runs = len(recorded["task_runs"])
    spans = 0
    deadline = time.monotonic() + _SETTLED_SECONDS
    while spans < runs and time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPStatusError):  # there is no such project before its first span
            spans = len(client.spans.get_spans(project_identifier=experiment["project_name"], limit=10 * runs))
        time.sleep(0.5)
    return {"runs": runs, "evaluations": len(recorded["evaluation_runs"]), "task_spans": spans}
