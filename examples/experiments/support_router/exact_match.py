"""Exact match of the queue."""

from collections.abc import Mapping


def exact_match(output: str, expected: Mapping[str, str]) -> bool:
    """Check that the ticket was routed to the expected queue."""
    return output == expected["expected_output"]
