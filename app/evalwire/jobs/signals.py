"""Handle SIGINT and SIGTERM, and user code that ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self

from evalwire import clocks
from evalwire.engine import Stop
from evalwire.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# A signal to the whole process group reaches this process twice: directly, and passed on by its parent. `timeout` sends
# its signal to the command and to the group.
_SAME_SECONDS = 0.3


@dataclass(slots=True)
class Signals:
    """Handles SIGINT and SIGTERM: the first stops the engine, if it runs; any other ends the command at once.

    The same signal within 0.3 s of another counts once.
    At the end, the handlers are there again that were there before, or that user code has set meanwhile.
    """

    stop: Stop = field(default_factory=Stop)
    received: int | None = None
    _received_at: float = 0.0
    _before: dict[int, signal._HANDLER] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        _active.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self in _active:  # not so in a process that user code forked
            _active.remove(self)
        self.give_back()

    def give_back(self) -> None:
        """Put back the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reclaim(self) -> None:
        """Handle the signals again, where a module of the user's has set a handler when it was imported.

        While the engine runs, only its own thread, and threads of plain functions, call user code; Python lets none of
        them set a handler.
        """
        for number in self._before:
            if signal.getsignal(number) != self._handle:
                self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        now = clocks.monotonic()
        if number == self.received and now - self._received_at < _SAME_SECONDS:
            return
        first, self.received, self._received_at = self.received is None, number, now
        self.stop.request(number)
        if not first or not self.stop.is_heeded:
            raise Interrupted(number)


_active: list[Signals] = []


def _give_back_in_fork() -> None:
    """Let the signals of a process that user code forked be its own: a pool ends its workers by SIGTERM."""
    while _active:
        _active.pop().give_back()


os.register_at_fork(after_in_child=_give_back_in_fork)


@contextlib.contextmanager
def failing_exits() -> Iterator[None]:
    """Make `os._exit(0)` in user code fail: it ends the process at once, and nothing could be reported.

    Forked children, which may use it as they like, are told by their process ID.
    """
    leave, own = os._exit, os.getpid()

    def leave_failing(status: int) -> NoReturn:
        if os.getpid() != own:
            leave(status)
        os.write(2, f"\nevalwire: user code ended the process by os._exit({status}); the run is lost\n".encode())
        leave(status or 1)

    os._exit = leave_failing
    try:
        yield
    finally:
        os._exit = leave
