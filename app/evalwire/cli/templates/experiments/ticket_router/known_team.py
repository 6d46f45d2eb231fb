"""A custom evaluator: the function has the name of the file."""

from .task import WORDS


def known_team(output: str) -> bool:
    """Check that the output is a known team. Evaluators can also return a number, or (score, label, explanation)."""
    return output in (*WORDS, "other")
