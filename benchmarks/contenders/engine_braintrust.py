"""Braintrust's `Eval`, with `no_send_logs`."""

from __future__ import annotations

import asyncio
from typing import Any

from _contender import SLEEP_SECONDS, engine, waits
from braintrust import Eval, EvalCase

WAITS = waits()


async def task(input: dict[str, int]) -> int:
    """Wait as long as a fast model."""
    if WAITS:
        await asyncio.sleep(SLEEP_SECONDS)
    return input["n"]


def match(output: Any, expected: Any, **_: Any) -> float:
    """Check whether the output is as expected."""
    return float(output == expected)


async def match_async(output: Any, expected: Any, **_: Any) -> float:
    """Check whether the output is as expected."""
    return float(output == expected)


match_async.__name__ = "match"


def run(data: list[Any], concurrency: int) -> Any:
    """Run the experiment."""
    return Eval(
        "bench",
        data=data,
        task=task,
        scores=[match if WAITS else match_async],
        max_concurrency=concurrency,
        no_send_logs=True,
    )


engine(
    "braintrust",
    prepare=lambda count: [EvalCase(input={"n": n}, expected=n) for n in range(count)],
    run=run,
    scored=lambda result: sum(item.scores["match"] == 1.0 for item in result.results),
)
