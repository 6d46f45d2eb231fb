"""Allocation of the event loop's turns to calls."""

from __future__ import annotations

import asyncio
import collections


class Turns:
    """Allocates each turn of the event loop to a single call, first come, first served.

    Calls that start in the same turn would run back to back and delay recording, progress and a stop. An instance
    belongs to a single event loop.
    """

    def __init__(self) -> None:
        self._waiters: collections.deque[asyncio.Future[None]] = collections.deque()
        self._is_taken = False

    async def take(self) -> None:
        """Wait for a free turn."""
        if not self._is_taken:
            self._take()
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _take(self) -> None:
        self._is_taken = True
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._is_taken = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # not cancelled
                self._take()
                waiter.set_result(None)
                return
