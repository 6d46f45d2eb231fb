"""LangSmith's `aevaluate`, with nothing uploaded.

With `upload_results=False` alone, version 0.15 still posts the traces of an async target. Sampling in the client
disables these traces, and evaluators are not traced.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

from _contender import SLEEP_SECONDS, engine
from langsmith import Client, aevaluate
from langsmith.schemas import Example


async def task(inputs: dict[str, Any]) -> dict[str, Any]:
    """Wait as long as a fast model."""
    await asyncio.sleep(SLEEP_SECONDS)
    return {"n": inputs["n"]}


def match(outputs: dict[str, Any], reference_outputs: dict[str, Any]) -> dict[str, Any]:
    """Check whether the output is as expected."""
    return {"key": "match", "score": float(outputs["n"] == reference_outputs["n"])}


def prepare(count: int) -> list[Example]:
    """Make the dataset."""
    dataset_id, now = uuid.uuid4(), datetime.now(UTC)
    return [
        Example(id=uuid.uuid4(), dataset_id=dataset_id, created_at=now, inputs={"n": n}, outputs={"n": n})
        for n in range(count)
    ]


def run(data: list[Example], concurrency: int) -> list[Any]:
    """Run the experiment."""
    client = Client(api_key="key", api_url="http://127.0.0.1:9", tracing_sampling_rate=0.0)

    async def evaluate() -> list[Any]:
        results = await aevaluate(
            task,
            data=data,
            evaluators=[match],
            max_concurrency=concurrency,
            client=client,
            upload_results=False,
            disable_evaluator_tracing=True,
        )
        return [row async for row in results]

    return asyncio.run(evaluate())


engine(
    "langsmith",
    prepare=prepare,
    run=run,
    scored=lambda rows: sum(row["evaluation_results"]["results"][0].score == 1.0 for row in rows),
)
