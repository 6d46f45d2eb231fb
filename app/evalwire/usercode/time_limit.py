"""Time accounting for calls: the time that counts for a call, and the end of its time limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from evalwire import clocks

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_BEAT = 0.3  # seconds; longer gaps between beats mean that the process was suspended


class Expiring(Protocol):
    """A call that can reach its time limit."""

    def expire(self) -> None:
        """End the call at its time limit."""


class Clock:
    """The time limit of a job's calls, and the clock that measures it.

    Time counts for all calls while the process runs and the event loop waits. A turn of the loop counts only for the
    call whose code runs in it. Time does not count while the process is suspended, for example in a paused container.
    The job's watchdog therefore calls `beat` several times a second.

    All calls have the same limit and reach it in the order in which they started, so they share one timer of the event
    loop. A timer for each call would cost more than the rest of the call.
    """

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self.turn_began: float | None = None  # by this clock; None while the loop waits
        self._beat: tuple[float, float] | None = None  # the same time by this clock and by the machine's
        self._busy = 0.0  # seconds of the turns that are over
        self._deadlines: dict[Expiring, float] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return the seconds for which the process has run; callable on any thread."""
        if (beat := self._beat) is None:
            return clocks.monotonic()
        since = clocks.monotonic() - beat[1]
        return beat[0] + (min(_LONGEST_BEAT, since))

    def beat(self) -> None:
        """Record that the process is running."""
        now = self.now()
        self._beat = now, clocks.monotonic()

    def waited(self) -> float:
        """Return the seconds for which the event loop has waited, by this clock."""
        return (self.now() if self.turn_began is None else self.turn_began) - self._busy

    def begin_turn(self) -> None:
        """Record that the event loop starts a turn."""
        self.turn_began = self.now()

    def end_turn(self) -> None:
        """Record that the event loop starts to wait."""
        if self.turn_began is not None:
            self._busy += self.now() - self.turn_began
            self.turn_began = None

    def start(self, call: Expiring) -> None:
        """Schedule `call.expire` for the end of the call's time limit."""
        self._deadlines[call] = self.waited() + self.limit_seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limit_seconds, self._ring)

    def stop(self, call: Expiring) -> None:
        """Remove a call that has ended."""
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
    """The time that counts for one call.

    Attributes:
        began: the time at which the call's code started, by the clock; None before.
        ended: the time at which the call's code ended, by the clock; None before.
        loop_seconds: the seconds that the call's code has run on the event loop.
    """

    def __init__(self, clock: Clock) -> None:
        self.began: float | None = None
        self.ended: float | None = None
        self.loop_seconds = 0.0
        self._clock = clock
        self._waited_at_first = clock.waited()
        self._step_began: float | None = None

    @property
    def seconds(self) -> float:
        """The duration in seconds by the clock, including the turns of other calls on the loop."""
        if self.began is None:
            return 0.0
        return (self._clock.now() if self.ended is None else self.ended) - self.began

    @property
    def counted(self) -> float:
        """The seconds that count for the call on the event loop."""
        return self.loop_seconds + self._clock.waited() - self._waited_at_first

    def begin(self) -> None:
        """Record the first step on the event loop; a call that started on a thread keeps its start."""
        now = self._step_began = self._clock.now()
        self.ended = None
        if self.began is None:
            self.began = now
            self._waited_at_first = self._clock.waited()

    def end(self) -> None:
        """Record that the call's code has ended; only the first call counts."""
        now = self._clock.now()
        if self._step_began is not None:
            self.loop_seconds += now - self._step_began
            self._step_began = None
        if self.ended is None:
            self.ended = now

    def begin_step(self) -> None:
        """Record that the call's code gets control of the event loop."""
        self._step_began = self._clock.now()

    def end_step(self) -> None:
        """Record that the call's code returns control to the event loop."""
        if self._step_began is not None:
            self.loop_seconds += self._clock.now() - self._step_began
            self._step_began = None

    def timed(self, function: Callable[[], object]) -> Callable[[], object]:
        """Wrap `function` to record its start and end on its thread."""

        def timed() -> object:
            self.began = self._clock.now()
            try:
                return function()
            finally:
                if self.ended is None:
                    self.ended = self._clock.now()

        return timed
