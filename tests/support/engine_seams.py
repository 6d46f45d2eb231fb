"""The engine with fakes at its seams: a recorder of the test's own, no traces, nobody who watches."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalwire.engine.engine import run_engine
from evalwire.engine.limits import Limits, Stop
from evalwire.engine.protocols import Observer
from evalwire.jobs.progress import Quiet
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.run import TaskRun
from evalwire.usercode.binding import bind_evaluator, bind_task

PATH = Path("/project/experiments/set/task.py")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeTrace:
    trace_id = "trace"

    def __init__(self):
        self.context = contextvars.copy_context()

    usage = None

    def finish(self, **_: Any) -> None:
        pass


class FakeTracer:
    lost = 0

    def trace(self, opened, callee, values):
        return FakeTrace()


class FakeRecorder:
    """Gives each experiment as many examples as its name's number says, and keeps what it is told."""

    def __init__(
        self,
        *,
        open_error: Exception | None = None,
        record_error: Exception | None = None,
        repetitions: int = 1,
        earlier: Mapping[tuple[str, int], TaskRun] | None = None,
        missing: list[str] | None = None,
    ) -> None:
        self.recorded: list[str] = []
        self.noted: list[str] = []
        self.repetitions = repetitions
        self.earlier = earlier or {}
        self.missing = missing or []
        self.open_error = open_error
        self.record_error = record_error

    async def open(self, experiment: Experiment) -> OpenExperiment:
        if self.open_error:
            raise self.open_error
        count = int(experiment.name.rpartition("_")[2])
        examples = tuple(
            Example(id=f"e{n}", node_id=f"n{n}", input={"n": n}, output={"expected_output": n}, metadata={})
            for n in range(count)
        )
        dataset = Dataset(id="d", name=experiment.dataset_name, version_id="v", examples=examples)
        return OpenExperiment(
            experiment=experiment,
            dataset=dataset,
            recorded_name="eval",
            id="x",
            repetitions=self.repetitions,
            earlier=self.earlier,
        )

    def returned(self, opened, run):
        self.noted.append(f"{run.example.id} returned {run.output}")

    def evaluated(self, opened, run, evaluations):
        self.noted.append(f"{run.example.id} judged by {evaluations[0].evaluator}")

    async def record(self, opened, run):
        if self.record_error:
            return run, self.record_error
        self.recorded.append(run.example.id)
        return replace(run, id=f"run-{run.example.id}"), None

    async def verify(self, opened, runs):
        return self.missing


def experiment(task: Any, *evaluators: Any, name: str = "set_5") -> Experiment:
    return Experiment(
        name=name,
        dataset_name=name,
        path=PATH.parent,
        task=bind_task(task, path=PATH),
        evaluators=tuple(bind_evaluator(one.__name__, one, path=PATH) for one in evaluators or (always,)),
    )


def always(output: Any) -> float:
    return 1.0


def go(
    *experiments: Experiment,
    recorder: FakeRecorder | None = None,
    observer: Observer | None = None,
    tracer: FakeTracer | None = None,
    stop: Stop | None = None,
    **limits: Any,
) -> Any:
    return run_engine(
        experiments,
        recorder=recorder or FakeRecorder(),
        tracer=tracer or FakeTracer(),
        observer=observer or Quiet(),
        limits=Limits(**limits),
        stop=stop or Stop(),
    )
