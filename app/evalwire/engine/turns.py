"""Give out the turns of the event loop."""

from __future__ import annotations

import asyncio
import collections


class Turns:
    """Gives each turn of the event loop to one call, in the order of asking.

    Calls that began in one turn would run one after the other, with nothing between them: no record, no progress,
    no stop. It belongs to one event loop.
    """

    def __init__(self) -> None:
        self._waiters: collections.deque[asyncio.Future[None]] = collections.deque()
        self._is_taken = False

    async def take(self) -> None:
        """Wait for a turn that no other call has."""
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
            if not waiter.done():  # else cancelled
                self._take()
                waiter.set_result(None)
                return
