"""Name the topic of a support ticket, as a model does: mostly right, and not always the same."""

import asyncio
import random
from typing import Any

TOPICS = ("billing", "delivery", "login", "returns")


async def task(example: Any) -> str:
    """Return the topic of a ticket; longer tickets are more difficult."""
    await asyncio.sleep(0.02)
    text = example.input["user_query"]
    named = next(topic for topic in TOPICS if topic in text)
    is_sure = random.random() > 0.005 * text.count(" ")
    return named if is_sure else random.choice(TOPICS)
