"""Count the time of calls: what is counted against a call, and when it has been long enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from evalwire import clocks

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_BEAT = 0.3  # seconds; beats that are further apart show that the process stood still meanwhile


class Expiring(Protocol):
    """A call whose time can be up."""

    def expire(self) -> None:
        """End the call: its time is up."""


class Clock:
    """The time limit of a job's calls, and the clock that it is measured by.

    Time is counted while the process runs and the event loop waits. A turn of the loop is counted against the call
    whose code runs in it, and against no other. Nothing is counted while the process stands still, as a paused
    container does: whoever watches the job calls `beat` several times a second.

    All calls have the same limit, so they reach it in the order in which they began, and one timer of the event loop
    serves them all; one for each call would cost more than the call's other parts.
    """

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self.turn_began: float | None = None  # by this clock; None while the loop waits
        self._beat: tuple[float, float] | None = None  # of this clock and of the machine's, in one
        self._busy = 0.0  # seconds of the turns that are over
        self._deadlines: dict[Expiring, float] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return seconds in which the process ran; on any thread."""
        if (beat := self._beat) is None:
            return clocks.monotonic()
        since = clocks.monotonic() - beat[1]
        return beat[0] + (min(_LONGEST_BEAT, since))

    def beat(self) -> None:
        """Note that the process runs."""
        now = self.now()
        self._beat = now, clocks.monotonic()

    def waited(self) -> float:
        """Return the seconds in which the event loop waited for something, by this clock."""
        return (self.now() if self.turn_began is None else self.turn_began) - self._busy

    def begin_turn(self) -> None:
        """Note that the event loop has something to do."""
        self.turn_began = self.now()

    def end_turn(self) -> None:
        """Note that the event loop waits."""
        if self.turn_began is not None:
            self._busy += self.now() - self.turn_began
            self.turn_began = None

    def start(self, call: Expiring) -> None:
        """Have `call.expire` called when its time is up."""
        self._deadlines[call] = self.waited() + self.limit_seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limit_seconds, self._ring)

    def stop(self, call: Expiring) -> None:
        """Forget a call: its time no longer matters."""
        self._deadlines.pop(call, None)

    def _ring(self) -> None:
        self._timer = None
        while self._deadlines:
            call, deadline = next(iter(self._deadlines.items()))
            if (left := deadline - self.waited()) > 0:
                self._timer = asyncio.get_running_loop().call_later(left, self._ring)
                return
            del self._deadlines[call]
            call.expire()


class OwnTime:
    """The time that is counted against one call.

    Attributes:
        began: when its code began, by the clock; None before.
        ended: when its code ended, by the clock; None before.
        held: seconds in which its code held the event loop.
    """

    def __init__(self, clock: Clock) -> None:
        self.began: float | None = None
        self.ended: float | None = None
        self.held = 0.0
        self._clock = clock
        self._waited_at_first = clock.waited()
        self._step_began: float | None = None

    @property
    def seconds(self) -> float:
        """Return how long it has taken, by the clock, other calls' turns of the loop included."""
        if self.began is None:
            return 0.0
        return (self._clock.now() if self.ended is None else self.ended) - self.began

    @property
    def counted(self) -> float:
        """Return the seconds that count against it on the event loop."""
        return self.held + self._clock.waited() - self._waited_at_first

    def begin(self) -> None:
        """Note, on the event loop, that its code begins; a second time changes nothing."""
        if self.began is None:
            self.began = self._clock.now()
            self._waited_at_first = self._clock.waited()

    def end(self) -> None:
        """Note that its code has ended; a second time changes nothing."""
        self.end_step()
        if self.ended is None:
            self.ended = self._clock.now()

    def begin_step(self) -> None:
        """Note that its code runs on the event loop."""
        self._step_began = self._clock.now()

    def end_step(self) -> None:
        """Note that its code gave the event loop back."""
        if self._step_began is not None:
            self.held += self._clock.now() - self._step_began
            self._step_began = None

    def timed(self, function: Callable[[], object]) -> Callable[[], object]:
        """Return `function`, noting when it begins and ends on its thread."""

        def timed() -> object:
            self.began = self._clock.now()
            try:
                return function()
            finally:
                if self.ended is None:
                    self.ended = self._clock.now()

        return timed
