"""Experiments that others recorded: by the Phoenix client's own `run_experiment`, or run by run."""

from __future__ import annotations

import contextlib
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
OUTPUTS = ["answer 0", 10, {"said": ['zwei, "drei"', "vier\r\nfünf"]}, None, ["=1+1"]]  # of example 3: it raises


def exact(output, expected):
    return output == expected["expected_output"]


def size(output):
    return len(str(output)) / 10


def judged(output):
    return {"score": 0.5, "label": "fair", "explanation": 'half of it, "so to say"'}


def tone(output):
    return "polite"


def broken(output):
    if output == 10:
        raise KeyError("no: key")
    return 1.0


EVALUATORS = [exact, size, judged, tone, broken]


def task(input):
    number = int(input["q"].split()[-1])
    if number == 3:
        raise ValueError("the model: gone")
    return OUTPUTS[number]


def a_dataset(client: Any, count: int = 5, *, ids: bool = False) -> Any:
    examples: list[dict[str, Any]] = [
        {
            "input": {"q": f"question {n}"},
            "output": {"expected_output": f"answer {n}"},
            "metadata": {"topic": f"süß {n}"},
        }
        for n in range(count)
    ]
    if ids:
        examples = [{"id": f"ex-{n}", **example} for n, example in enumerate(examples)]
    name = f"set_{uuid.uuid4().hex[:12]}"
    return client.datasets.create_dataset(name=name, examples=examples, timeout=60)


def run_experiment(client: Any, dataset: Any, *, evaluators: Any = None, task: Any = task, **options: Any) -> Any:
    """Phoenix's own, quietly; by default with a task that raises on one example, and an evaluator on another."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return client.experiments.run_experiment(
            dataset=dataset,
            task=task,
            evaluators=EVALUATORS if evaluators is None else evaluators,
            retries=0,
            print_summary=False,
            **options,
        )


class Script:
    """An experiment that a script records run by run, as it likes."""

    def __init__(self, client: Any, dataset: Any, *, repetitions: int = 1, metadata: Any = None) -> None:
        self.client = client
        self.dataset = dataset
        self.id = client.experiments.create(
            dataset_id=dataset.id,
            dataset_version_id=dataset.version_id,
            experiment_name="by a script",
            experiment_metadata=metadata or {},
            repetitions=repetitions,
        )["id"]

    def run(self, number: int, output: Any, *, repetition: int = 1, error: str | None = None) -> str:
        recorded = self.client.experiments.log_run(
            experiment_id=self.id,
            dataset_example_id=self.dataset.examples[number]["node_id"],
            output=output,
            start_time=BEGAN,
            end_time=BEGAN + timedelta(seconds=1.25),
            repetition_number=repetition,
            error=error,
        )
        return recorded["id"]

    def evaluate(self, run_id: str, name: str, *, kind: str = "CODE", **said: Any) -> None:
        self.client.experiments.log_evaluation(
            experiment_run_id=run_id, name=name, annotator_kind=kind, start_time=BEGAN, end_time=BEGAN, **said
        )
