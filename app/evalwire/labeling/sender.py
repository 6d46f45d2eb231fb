"""Delivery of answers to Phoenix in the background, so that a key never waits for the network."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from evalwire.errors import EvalwireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_WAIT_SECONDS = 5.0


class Sender:
    """Sends changed answers on a thread, and again after a failure.

    Args:
        send: sends the current answers of runs; raises an `EvalwireError` otherwise.
        wait_seconds: the time before a repetition.
    """

    def __init__(self, send: Callable[[Sequence[str]], object], *, wait_seconds: float = _WAIT_SECONDS) -> None:
        self._send = send
        self._wait_seconds = wait_seconds
        self._changes: dict[str, int] = {}  # the number of the last change, by the ID of the run
        self._count = 0
        self._condition = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="evalwire-labels", daemon=True)
        self.error: EvalwireError | None = None

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def put(self, run_ids: Iterable[str]) -> None:
        """Note that the answers of runs have changed."""
        with self._condition:
            for run_id in run_ids:
                self._count += 1
                self._changes[run_id] = self._count
            self._condition.notify()

    @property
    def pending(self) -> int:
        """The number of runs whose answer was not sent."""
        with self._condition:
            return len(self._changes)

    @property
    def late(self) -> int:
        """The number of runs whose answer was not sent, if the last attempt failed; else 0."""
        return self.pending if self.error else 0

    def close(self) -> int:
        """Stop after a last attempt; return the number of runs whose answer was not sent."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._attempt()
        return self.pending

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_closed or self._changes)
                if self._is_closed:
                    return
            if not self._attempt():
                with self._condition:
                    self._condition.wait_for(lambda: self._is_closed, timeout=self._wait_seconds)

    def _attempt(self) -> bool:
        """Send all changed answers; return whether it succeeded."""
        with self._condition:
            taken = dict(self._changes)
        if not taken:
            return True
        try:
            self._send(list(taken))
        except EvalwireError as error:
            self.error = error
            return False
        self.error = None
        with self._condition:
            for run_id, number in taken.items():
                if self._changes.get(run_id) == number:  # else it changed again meanwhile
                    del self._changes[run_id]
        return True
