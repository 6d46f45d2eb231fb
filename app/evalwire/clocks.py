"""Clocks that user code cannot change.

freezegun replaces functions in module namespaces, and time-machine changes the results of wall clock functions. The
functions are therefore stored in a class, which neither library modifies, and the wall clock is read only once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class _Real:
    """The original clock functions, stored when evalwire is imported."""

    monotonic = staticmethod(time.monotonic)
    gettime = staticmethod(time.clock_gettime)
    running = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # CLOCK_BOOTTIME includes the machine's sleep
    imported_at = datetime.now(UTC)
    imported_at_seconds = time.clock_gettime(running)


def monotonic() -> float:
    """Return monotonic seconds, for durations."""
    return _Real.monotonic()


def now() -> datetime:
    """Return the current time in UTC."""
    return _Real.imported_at + timedelta(seconds=_Real.gettime(_Real.running) - _Real.imported_at_seconds)


def timestamp() -> float:
    """Return the current time in seconds since the epoch."""
    return now().timestamp()
