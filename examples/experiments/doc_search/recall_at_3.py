"""Share of relevant articles among the first three results."""

from collections.abc import Mapping

from ._relevance import relevant_ids


def recall_at_3(output: list[str], expected: Mapping[str, str]) -> float:
    """Return the share of relevant articles; without relevant articles, the result should be empty."""
    relevant = relevant_ids(expected)
    if not relevant:
        return float(not output)
    return len(relevant.intersection(output[:3])) / len(relevant)
