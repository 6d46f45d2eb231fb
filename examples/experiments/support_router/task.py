"""Route a support ticket to the queue that should handle it."""

from collections.abc import Mapping

from agent.router import route


def task(input: Mapping[str, str]) -> str:
    """Return the name of the queue."""
    return route(input["user_query"])
