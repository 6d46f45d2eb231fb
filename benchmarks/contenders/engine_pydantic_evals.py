"""pydantic-evals: `Dataset.evaluate_sync`, without its progress bar."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from _contender import SLEEP_SECONDS, engine, waits
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext

WAITS = waits()


async def task(inputs: dict[str, int]) -> int:
    """Wait as long as a fast model."""
    if WAITS:
        await asyncio.sleep(SLEEP_SECONDS)
    return inputs["n"]


@dataclass
class Match(Evaluator[dict[str, int], int, Any]):
    """Evaluator that compares the output with the expected output."""

    def evaluate(self, ctx: EvaluatorContext[dict[str, int], int, Any]) -> float:
        """Return the score."""
        return float(ctx.output == ctx.expected_output)


@dataclass
class MatchAsync(Evaluator[dict[str, int], int, Any]):
    """Async evaluator that compares the output with the expected output."""

    async def evaluate(self, ctx: EvaluatorContext[dict[str, int], int, Any]) -> float:
        """Return the score."""
        return float(ctx.output == ctx.expected_output)


EVALUATOR = Match if WAITS else MatchAsync


def prepare(count: int) -> Dataset[dict[str, int], int, Any]:
    """Make the dataset."""
    cases = [Case(name=str(n), inputs={"n": n}, expected_output=n) for n in range(count)]
    return Dataset(name="bench", cases=cases, evaluators=[EVALUATOR()])


engine(
    "pydantic-evals",
    prepare=prepare,
    run=lambda dataset, concurrency: dataset.evaluate_sync(task, max_concurrency=concurrency, progress=False),
    scored=lambda report: sum(case.scores[EVALUATOR.__name__].value == 1.0 for case in report.cases),
)
