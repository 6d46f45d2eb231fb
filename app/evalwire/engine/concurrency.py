"""How many examples may be in flight: a fixed number, or as many as the provider bears."""

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

_LONGEST_PAUSE = 60.0  # seconds, whatever a provider asks for


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """Leave to have one example in flight.

    Attributes:
        change: how often the limit had changed when it was issued.
    """

    change: int


class Pace:
    """Issues a ticket for each example in flight, as many at once as the limit allows, in the order of asking.

    A limit of "auto" finds its height as TCP does: slow start doubles it with each full window of successes until
    the first rate limit; from there on, additive increase and multiplicative decrease (AIMD), which settle at a fair
    share. A window counts only when it was full, and a burst of errors is one cut.

    Sources: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in
    Computer Networks", Computer Networks and ISDN Systems 17, 1989; RFC 5681, section 3.1 (slow start, congestion
    avoidance). A cut leaves 0.7, as in RFC 9438, section 4.6.

    It belongs to one event loop, and no other thread may call it.
    """

    def __init__(
        self,
        limit: int | Literal["auto"],
        *,
        highest: int = 200,
        clock: Callable[[], float] = clocks.monotonic,
        on_change: Callable[[int, int], None] | None = None,
    ) -> None:
        """Begin with nothing in flight.

        Args:
            limit: of tickets out at once; "auto" begins at 10.
            highest: of an "auto" limit.
            clock: seconds that only grow.
            on_change: told each new limit, as (before, after), once it is in force.

        Raises:
            ValueError: a limit below 1 would let nothing run.
        """
        if highest < 1 or (limit != "auto" and limit < 1):
            raise ValueError(f"nothing could run with a limit of {limit} and a highest of {highest}")
        self._auto = limit == "auto"
        self._limit = min(_FIRST_LIMIT, highest) if limit == "auto" else limit
        self._highest = highest
        self._clock = clock
        self._on_change = on_change
        self._out: set[Ticket] = set()
        self._waiters: OrderedDict[asyncio.Future[Ticket], None] = OrderedDict()
        self._most_out = 0
        self._changes = 0
        self._last_cut = 0  # which change it was
        self._full = False  # whether this limit has been reached since it was set
        self._succeeded: set[Ticket] = set()  # of those issued since then
        self._resume_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_auto(self) -> bool:
        """True if the limit is searched for, which runs into the provider's own limit."""
        return self._auto

    @property
    def limit(self) -> int:
        """The number of tickets that may be out now."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """The number of tickets that are out."""
        return len(self._out)

    @property
    def highest_reached(self) -> int:
        """The most tickets that were out at once."""
        return self._most_out

    # --- tickets ---------------------------------------------------------------------------------------

    def try_acquire(self) -> Ticket | None:
        """A ticket if there is one now and nobody else waits."""
        return self._issue() if not self._waiters and self._has_room() else None

    async def acquire(self) -> Ticket:
        """Wait for a ticket, behind those who already do."""
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
        """Give a ticket back; once more does nothing."""
        self._out.discard(ticket)
        self._wake()

    def renew(self, ticket: Ticket) -> Ticket | None:
        """A new ticket in the place of one that is given back, past the one who waits; None when others wait too.

        Also None when the limit is lower by now, or nothing may begin yet.
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
            if not waiter.done():  # cancelled, and its task has not run yet
                waiter.set_result(self._issue())

    # --- reports ---------------------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """A call of this ticket's example met no rate limit; an example of several calls counts once."""
        if not self._auto or not self._full or ticket.change != self._changes:
            return
        self._succeeded.add(ticket)
        if len(self._succeeded) >= self._limit:
            self._change(self._limit + 1 if self._last_cut else self._limit * 2)

    def rate_limited(self, ticket: Ticket, wait_seconds: float | None) -> None:
        """A call of this ticket's example met a rate limit.

        Args:
            ticket: one from before the last cut does not cut again.
            wait_seconds: that the provider asked for: until then no ticket is issued, for a minute at most.
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
        """The pause is over, unless it has been prolonged meanwhile."""
        self._timer = None
        if self._clock() < self._resume_at:
            self._set_timer()
        else:
            self._wake()
