"""Tell the time by the machine's own clocks, whatever user code makes of those of Python.

freezegun replaces the functions that modules hold by name, and time-machine changes what those of the wall clock
return. So the functions are held where neither looks, and the wall clock is read once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class _Real:
    """The clocks as they were when evalwire was imported."""

    monotonic = staticmethod(time.monotonic)
    gettime = staticmethod(time.clock_gettime)
    running = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first goes on while the machine sleeps
    imported_at = datetime.now(UTC)
    imported_at_seconds = time.clock_gettime(running)


def monotonic() -> float:
    """Return seconds that only grow, for durations."""
    return _Real.monotonic()


def now() -> datetime:
    """Return the time of day in UTC."""
    return _Real.imported_at + timedelta(seconds=_Real.gettime(_Real.running) - _Real.imported_at_seconds)


def timestamp() -> float:
    """Return the time of day in seconds since the epoch."""
    return now().timestamp()
