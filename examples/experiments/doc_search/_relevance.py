"""Shared code of both evaluators. A file with a leading underscore is not an evaluator."""

from collections.abc import Mapping

NOTHING = "out_of_scope"


def relevant_ids(expected: Mapping[str, str]) -> set[str]:
    """Return the IDs of the articles that answer the question, which are separated by spaces."""
    answer = expected["expected_output"]
    return set() if answer == NOTHING else set(answer.split())
