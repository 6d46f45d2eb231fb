"""Langfuse's `run_experiment` on local data, without a server and with tracing disabled."""

from __future__ import annotations

import asyncio
from typing import Any

from _contender import SLEEP_SECONDS, engine
from langfuse import Evaluation, Langfuse

client = Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", tracing_enabled=False)


async def task(*, item: Any, **_: Any) -> Any:
    """Wait as long as a fast model."""
    await asyncio.sleep(SLEEP_SECONDS)
    return item["input"]["n"]


def match(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
    """Check whether the output is as expected."""
    return Evaluation(name="match", value=float(output == expected_output["n"]))


def run(data: list[Any], concurrency: int) -> Any:
    """Run the experiment."""
    return client.run_experiment(name="bench", data=data, task=task, evaluators=[match], max_concurrency=concurrency)


engine(
    "langfuse",
    prepare=lambda count: [{"input": {"n": n}, "expected_output": {"n": n}} for n in range(count)],
    run=run,
    scored=lambda result: sum(item.evaluations[0].value == 1.0 for item in result.item_results),
)
