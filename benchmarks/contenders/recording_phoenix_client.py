"""The Phoenix client's own `run_experiment` against a real Phoenix."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any

from _contender import arguments
from _phoenix import EVALUATORS, recording

from evalwire.phoenix import connect

given = arguments()
client = connect(base_url=given["url"])  # imports the client without the installed server

from phoenix.client import AsyncClient  # noqa: E402 - see above


async def task(input: dict[str, int]) -> int:
    """Wait as long as a model."""
    await asyncio.sleep(given["task_seconds"])
    return input["n"]


def match(output: Any, expected: Any) -> bool:
    """Check whether the output is as expected."""
    return bool(output == expected["n"])


async def experiment(dataset_name: str) -> None:
    """Run and record the experiment."""
    remote = AsyncClient(base_url=given["url"])
    await remote.experiments.run_experiment(
        dataset=await remote.datasets.get_dataset(dataset=dataset_name, timeout=60),
        task=task,
        evaluators=dict.fromkeys(EVALUATORS, match),
        concurrency=given["concurrency"],
        print_summary=False,
    )


def run(dataset_name: str) -> None:
    """Run and record the experiment without its output."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        asyncio.run(experiment(dataset_name))


recording("arize-phoenix-client", client, run)
