"""Answer a customer, as a model does: most answers state the right number of days."""

import asyncio
import os
import zlib
from typing import Any

SHARE_WRONG = float(os.environ.get("SHARE_WRONG", "0.2"))


async def task(example: Any) -> str:
    """Return an answer to a question; the same question always has the same answer."""
    await asyncio.sleep(0.01)
    question = example.input["user_query"]
    days = int(example.output["expected_output"])
    is_wrong = zlib.crc32(question.encode()) % 1_000 < SHARE_WRONG * 1_000
    return f"You can return it within {days + 16 if is_wrong else days} days, and we send the money back."
