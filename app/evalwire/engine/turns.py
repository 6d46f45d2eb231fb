"""Allocation of the event loop's turns to calls."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING

from evalwire import clocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalwire.usercode import Call

_MOST = 16  # calls in a turn

_LONGEST_SECONDS = 0.005  # of a turn with several calls


class Turns:
    """Allocates turns of the event loop to calls, first come, first served.

    Calls that start in the same turn run back to back, and delay recording, progress and a stop. The first turn
    therefore has a single call. Each short turn doubles the calls of the next turn, because a turn costs more than a
    call that hardly runs on the loop. After a long turn, the next turn has a single call again.

    An instance belongs to a single event loop.
    """

    def __init__(self) -> None:
        self._waiting: collections.deque[tuple[Call, Callable[[], None]]] = collections.deque()
        self._is_taken = False
        self._most = 1  # calls in the next turn
        self._began = 0.0

    def start(self, call: Call, begin: Callable[[], None]) -> None:
        """Start a call by `begin` in the next free turn, or now; not if its caller no longer waits."""
        if self._is_taken:
            self._waiting.append((call, begin))
            return
        begin()
        self._take()

    def _take(self) -> None:
        """Let the next turn follow the first steps of the calls that have started."""
        self._is_taken = True
        self._began = clocks.monotonic()
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._is_taken = False
        is_short = clocks.monotonic() - self._began < _LONGEST_SECONDS
        self._most = min(_MOST, 2 * self._most) if is_short else 1
        left = self._most
        while self._waiting and left:
            call, begin = self._waiting.popleft()
            if call.is_awaited:
                left -= 1
                begin()
        if left < self._most:
            self._take()
