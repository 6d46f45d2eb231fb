"""A Phoenix client with a dataset in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from evalwire.phoenix import connect


class Found:
    """A dataset with the interface of the Phoenix client."""

    id, version_id = "D", "V"

    def __init__(self, name: str, examples: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.examples = examples


def in_memory_client(examples: Sequence[Mapping[str, Any]]) -> Any:
    """Return a Phoenix client that returns these examples for any dataset name."""
    client: Any = connect(base_url="http://127.0.0.1:9")
    nothing = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": []}))
    client = type(client)(http_client=httpx.Client(transport=nothing, base_url="http://127.0.0.1:9"))
    client.datasets.get_dataset = lambda *, dataset, **_: Found(dataset, examples)
    return client
