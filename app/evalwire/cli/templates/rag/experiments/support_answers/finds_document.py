"""A deterministic evaluator of the retrieval: 1.0 for the expected document at rank 1, else less."""

from evalwire.evaluators import make_top_k_evaluator

top_k = make_top_k_evaluator(K=2, key="expected_document")


def finds_document(output, expected):
    """Return how high the expected document is among those found."""
    return top_k(output["documents"], expected)
