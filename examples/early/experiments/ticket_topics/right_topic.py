"""Score whether the topic is the expected topic."""

from collections.abc import Mapping


def right_topic(output: str, expected: Mapping[str, str]) -> bool:
    """Return True for the expected topic."""
    return output == expected["expected_output"]
