"""A deterministic evaluator of the generation: the answer contains the expected text."""

from evalwire.evaluators import make_contains_evaluator

contains = make_contains_evaluator()


def states_the_fact(output, expected):
    """Check whether the expected text is in the answer."""
    return contains(output["answer"], expected)
