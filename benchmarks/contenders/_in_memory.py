"""A Phoenix client whose requests are answered in this process, with a dataset in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from evalwire.phoenix import connect


def in_memory_client(examples: Sequence[Mapping[str, Any]]) -> Any:
    """Return a Phoenix client that returns these examples for any dataset name."""
    return client_with(lambda _: examples)


def client_with(examples_of: Callable[[str], Sequence[Mapping[str, Any]]]) -> Any:
    """Return a Phoenix client that has a dataset of every name, with the examples that a function returns."""

    def answer(request: httpx.Request) -> httpx.Response:
        *_, kind, name, part = ["", "", *request.url.path.split("/")]
        if part == "datasets" and (asked := request.url.params.get("name")) is not None:
            return httpx.Response(200, json={"data": [{"id": asked, "name": asked, "metadata": {}}]})
        if (kind, part) == ("datasets", "examples"):
            found = {"dataset_id": name, "version_id": "V", "examples": list(examples_of(name))}
            return httpx.Response(200, content=json.dumps({"data": found}))
        return httpx.Response(200, json={"data": []})

    client: Any = connect(base_url="http://127.0.0.1:9")
    return type(client)(http_client=httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1:9"))
