"""Splits of datasets, which Phoenix makes by its user interface alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from phoenix.client import Client


def make_split(client: Client, phoenix_url: str, name: str, split: str, *, count: int = 5) -> None:
    """Make a split of the first examples."""
    dataset = client.datasets.get_dataset(dataset=name, timeout=60)
    ids = [example["node_id"] for example in dataset.examples[:count]]
    query = """mutation ($ids: [ID!]!, $name: String!) {
      createDatasetSplitWithExamples(input: {name: $name, color: "#ff0000", exampleIds: $ids}) { datasetSplit { id } }
    }"""
    asked = {"query": query, "variables": {"ids": ids, "name": split}}
    answer = httpx.post(f"{phoenix_url}/graphql", json=asked, timeout=30).json()
    assert "errors" not in answer, answer
