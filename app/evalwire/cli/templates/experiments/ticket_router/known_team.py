"""An evaluator of your own: a file that defines a function of its name."""

from .task import WORDS


def known_team(output: str) -> bool:
    """Tell whether there is such a team at all; return a number, or (score, label, explanation), as you like."""
    return output in (*WORDS, "other")
