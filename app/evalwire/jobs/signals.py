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

# A signal to the process group arrives twice: directly, and forwarded by the parent. `timeout` sends its signal to the
# command and to the group.
_SAME_SECONDS = 0.3


@dataclass(slots=True)
class Signals:
    """Handles SIGINT and SIGTERM: the first stops a running engine, and each later signal ends the command immediately.

    A signal that repeats within 0.3 s counts once. At the end, the previous handlers are restored.
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
        if self in _active:  # False in a process that user code forked
            _active.remove(self)
        self.give_back()

    def give_back(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reclaim(self) -> None:
        """Replace handlers that user code set during its import.

        While the engine runs, user code runs only on other threads, where Python does not allow setting handlers.
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
    """Restore handlers in a process that user code forked, because a pool ends its workers with SIGTERM."""
    while _active:
        _active.pop().give_back()


os.register_at_fork(after_in_child=_give_back_in_fork)


@contextlib.contextmanager
def failing_exits(what: str = "the job is aborted") -> Iterator[None]:
    """Make `os._exit(0)` in user code fail, because it ends the process without a report.

    Forked children, recognized by their process ID, can still use it.

    Args:
        what: the consequence, for the message.
    """
    leave, own = os._exit, os.getpid()

    def leave_failing(status: int) -> NoReturn:
        if os.getpid() != own:
            leave(status)
        os.write(2, f"\nevalwire: user code ended the process with os._exit({status}), so {what}\n".encode())
        leave(status or 1)

    os._exit = leave_failing
    try:
        yield
    finally:
        os._exit = leave
