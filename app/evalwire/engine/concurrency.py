"""The limit on examples in flight: a fixed number, or as many as the provider accepts."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalwire import clocks

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_LIMIT = 10

_LONGEST_PAUSE = 60.0  # seconds, even if a provider asks for more


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A permit to have an example in flight.

    Attributes:
        change: the number of limit changes before the ticket was issued.
    """

    change: int


class Pace:
    """Issues tickets for examples in flight, within the limit, first come, first served.

    A limit of "auto" adapts as in TCP. In slow start, each full window of successes doubles the limit until the first
    rate limit. After that, additive increase and multiplicative decrease (AIMD) converge to a fair share. A window
    counts only if it was full, and a burst of errors cuts the limit only once.

    Sources: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in
    Computer Networks", Computer Networks and ISDN Systems 17, 1989; RFC 5681, section 3.1 (slow start, congestion
    avoidance). A cut multiplies the limit by 0.7, as in RFC 9438, section 4.6.

    An instance belongs to a single event loop and must not be called from other threads.
    """

    def __init__(
        self,
        limit: int | Literal["auto"],
        *,
        highest: int = 200,
        clock: Callable[[], float] = clocks.monotonic,
        on_change: Callable[[int, int], None] | None = None,
    ) -> None:
        """Create a pace without examples in flight.

        Args:
            limit: the number of tickets that may be in use at the same time; "auto" starts at 10.
            highest: the maximum of an "auto" limit.
            clock: a function that returns monotonic seconds.
            on_change: a callback that receives each new limit, as (before, after), once it is in effect.

        Raises:
            ValueError: a limit is below 1.
        """
        if highest < 1 or (limit != "auto" and limit < 1):
            raise ValueError(f"limits must be at least 1, got a limit of {limit} and a highest of {highest}")
        self._auto = limit == "auto"
        self._limit = min(_FIRST_LIMIT, highest) if limit == "auto" else limit
        self._highest = highest
        self._clock = clock
        self._on_change = on_change
        self._out: set[Ticket] = set()
        self._waiters: OrderedDict[asyncio.Future[Ticket], None] = OrderedDict()
        self._most_out = 0
        self._changes = 0
        self._last_cut = 0  # the number of its change
        self._full = False  # whether this limit has been reached since it was set
        self._succeeded: set[Ticket] = set()  # tickets issued since this limit was set
        self._resume_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_auto(self) -> bool:
        """True if the limit is adapted, which provokes rate limits of the provider."""
        return self._auto

    @property
    def limit(self) -> int:
        """The number of tickets that may be in use now."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """The number of tickets in use."""
        return len(self._out)

    @property
    def highest_reached(self) -> int:
        """The highest number of tickets in use so far."""
        return self._most_out

    @property
    def pause_seconds(self) -> float:
        """The seconds until tickets are issued again after a rate limit; 0 without a pause."""
        return max(0.0, self._resume_at - self._clock())

    # --- tickets ---------------------------------------------------------------------------------------

    def try_acquire(self) -> Ticket | None:
        """Return a ticket if one is available and no other caller waits, or else None."""
        return self._issue() if not self._waiters and self._has_room() else None

    async def acquire(self) -> Ticket:
        """Wait for a ticket, behind earlier callers."""
        if ticket := self.try_acquire():
            return ticket
        waiter: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if not waiter.cancelled():  # the ticket came first
                self.release(waiter.result())
            raise

    def release(self, ticket: Ticket) -> None:
        """Return a ticket; repeated calls have no effect."""
        self._out.discard(ticket)
        self._wake()

    def renew(self, ticket: Ticket) -> Ticket | None:
        """Exchange a ticket for a new one, ahead of a single waiting caller; return None if more callers wait.

        The result is also None if the limit has been lowered or a pause is in effect.
        """
        self._out.discard(ticket)
        if len(self._waiters) <= 1 and self._has_room():
            return self._issue()
        self._wake()
        return None

    def _has_room(self) -> bool:
        return len(self._out) < self._limit and self._clock() >= self._resume_at

    def _issue(self) -> Ticket:
        ticket = Ticket(self._changes)
        self._out.add(ticket)
        self._most_out = max(self._most_out, len(self._out))
        self._full = self._full or len(self._out) >= self._limit
        return ticket

    def _wake(self) -> None:
        while self._waiters and self._has_room():
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():  # otherwise cancelled, but its task has not run yet
                waiter.set_result(self._issue())

    # --- reports ---------------------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """Record a call without a rate limit; several calls with the same ticket count once."""
        if not self._auto or not self._full or ticket.change != self._changes:
            return
        self._succeeded.add(ticket)
        if len(self._succeeded) >= self._limit:
            self._change(self._limit + 1 if self._last_cut else self._limit * 2)

    def rate_limited(self, ticket: Ticket, wait_seconds: float | None) -> None:
        """Record a call with a rate limit.

        Args:
            ticket: the ticket of the call's example; a ticket from before the last cut does not cut the limit again.
            wait_seconds: the wait that the provider asked for. No tickets are issued in this time, up to a minute.
        """
        if wait_seconds is not None and wait_seconds > 0:
            self._resume_at = max(self._resume_at, self._clock() + min(wait_seconds, _LONGEST_PAUSE))
            self._set_timer()
        if self._auto and ticket.change >= self._last_cut:
            self._last_cut = self._changes + 1
            self._change(self._limit * 7 // 10)

    def _change(self, limit: int) -> None:
        before, self._limit = self._limit, max(1, min(limit, self._highest))
        self._changes += 1
        self._succeeded.clear()
        self._full = False
        self._wake()
        if self._on_change and self._limit != before:
            self._on_change(before, self._limit)

    def _set_timer(self) -> None:
        if self._timer is None:
            left = self._resume_at - self._clock()
            self._timer = asyncio.get_running_loop().call_later(left, self._resume)

    def _resume(self) -> None:
        """End the pause, unless it has been extended."""
        self._timer = None
        if self._clock() < self._resume_at:
            self._set_timer()
        else:
            self._wake()
