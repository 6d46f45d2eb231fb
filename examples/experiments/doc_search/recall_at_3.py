"""Which share of the relevant articles is among the first three?"""

from collections.abc import Mapping

from ._relevance import relevant_ids


def recall_at_3(output: list[str], expected: Mapping[str, str]) -> float:
    """Return the share found; a question that no article answers asks for an empty result."""
    relevant = relevant_ids(expected)
    if not relevant:
        return float(not output)
    return len(relevant.intersection(output[:3])) / len(relevant)
