"""The task: takes an example and returns the output of your application."""

from typing import Any


async def task(example: Any) -> str:
    """Return the input unchanged. Replace the body with a call to your application."""
    return str(example.input["user_query"])
