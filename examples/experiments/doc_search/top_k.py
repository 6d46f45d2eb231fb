"""Reciprocal rank of the first relevant article."""

from collections.abc import Mapping

from ._relevance import relevant_ids


def top_k(output: list[str], expected: Mapping[str, str]) -> tuple[float, str, str]:
    """Return 1 for the first place, 1/2 for the second, 1/3 for the third, and so on; 0 if it is missing."""
    relevant = relevant_ids(expected)
    if not relevant:
        return (0.0, "noise", f"expected nothing, got {output[0]}") if output else (1.0, "silent", "")
    for rank, doc_id in enumerate(output, start=1):
        if doc_id in relevant:
            return 1 / rank, f"rank {rank}", f"{doc_id} is in place {rank}"
    return 0.0, "missing", f"none of {', '.join(sorted(relevant))} was found"
