"""The Phoenix client's own `run_experiment`, as a dry run, with the dataset in memory.

Even a dry run fetches the dataset again before it evaluates. A transport in memory answers this request.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import Any

import httpx
from _contender import SLEEP_SECONDS, engine
from phoenix.client import AsyncClient
from phoenix.client.resources.datasets import Dataset

NOW = "2026-01-01T00:00:00+00:00"


async def task(input: dict[str, int]) -> int:
    """Wait as long as a fast model."""
    await asyncio.sleep(SLEEP_SECONDS)
    return input["n"]


def match(output: Any, expected: Any) -> float:
    """Check whether the output is as expected."""
    return float(output == expected["n"])


def prepare(count: int) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the metadata of the dataset, its examples, and the body of the answer with its examples."""
    examples = [
        {"id": f"e{n}", "node_id": f"e{n}", "input": {"n": n}, "output": {"n": n}, "metadata": {}, "updated_at": NOW}
        for n in range(count)
    ]
    info = {"id": "D", "name": "bench", "metadata": {}, "created_at": NOW, "updated_at": NOW, "example_count": count}
    listed = {"dataset_id": "D", "version_id": "V", "examples": examples}
    return info, listed, json.dumps({"data": listed}).encode()


def run(data: tuple[dict[str, Any], dict[str, Any], bytes], concurrency: int) -> Any:
    """Run the experiment without its output."""
    info, listed, body = data

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/examples"):
            return httpx.Response(200, content=body, request=request)
        return httpx.Response(200, json={"data": info}, request=request)

    async def experiment() -> Any:
        http = httpx.AsyncClient(base_url="http://memory", transport=httpx.MockTransport(answer))
        return await AsyncClient(http_client=http).experiments.run_experiment(
            dataset=Dataset(info, listed),
            task=task,
            evaluators={"match": match},
            dry_run=len(listed["examples"]),
            concurrency=concurrency,
            print_summary=False,
        )

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return asyncio.run(experiment())


engine(
    "arize-phoenix-client",
    prepare=prepare,
    run=run,
    scored=lambda result: sum((item.result or {}).get("score") == 1.0 for item in result["evaluation_runs"]),
)
