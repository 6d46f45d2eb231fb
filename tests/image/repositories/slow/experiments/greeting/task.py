"""Greets Ada at once, and nobody else before any test's end."""

import asyncio
import sys


async def task(example):
    name = example.input["user_query"]
    if name != "Ada":
        await asyncio.sleep(1)
        sys.stdout.write(f"waiting {name}\n")
        await asyncio.sleep(600)
    return f"Hello {name}"
