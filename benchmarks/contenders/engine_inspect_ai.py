"""Inspect with a solver that sleeps, a scorer, an unused mock model, and no display.

Inspect always writes a log file, here to a temporary directory after the run.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

from _contender import SLEEP_SECONDS, engine
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver


@solver
def sleeps() -> Solver:
    """Wait as long as a fast model."""

    async def solve(state: TaskState, _: Generate) -> TaskState:
        await asyncio.sleep(SLEEP_SECONDS)
        state.output.completion = state.input_text
        return state

    return solve


@scorer(metrics=[mean()])
def match() -> Scorer:
    """Check whether the output is as expected."""

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=float(state.output.completion == target.text))

    return score


def prepare(count: int) -> Task:
    """Return the task with its dataset."""
    samples = MemoryDataset([Sample(input=str(n), target=str(n)) for n in range(count)])
    return Task(dataset=samples, solver=sleeps(), scorer=match())


def run(task: Task, concurrency: int) -> Any:
    """Run the task; return its log."""
    (log,) = inspect_eval(
        task,
        model="mockllm/model",
        max_samples=concurrency,
        display="none",
        log_dir=folder,
        log_realtime=False,
        ctl_server=False,
    )
    return log


with tempfile.TemporaryDirectory() as folder:
    engine(
        "inspect-ai",
        prepare=prepare,
        run=run,
        scored=lambda log: sum(sample.scores["match"].value == 1.0 for sample in log.samples),
    )
