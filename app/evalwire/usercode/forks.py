"""Termination of processes that user code forks, which would otherwise continue as the job."""

from __future__ import annotations

# NOTE: this module acquires a lock before a fork and releases it in the child, in the order of imports. OpenTelemetry's
# tracer provider starts threads in the child. If it was created before this import, it would wait for the lock forever.
import concurrent.futures.thread  # noqa: F401
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

_LINE = (
    "a process that user code forked (with os.fork) returned to evalwire and was ended; the job continues without it"
)


@contextlib.contextmanager
def single_process() -> Iterator[None]:
    """Run user code; processes that it forks end when the user code returns or raises.

    Children that user code ends itself, as `multiprocessing` does, never get here. A child that raises SystemExit ends
    with the exit code of the exception.
    """
    own = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != own:
            leave_fork(sys.exc_info()[1])


def leave_fork(raised: BaseException | None = None) -> NoReturn:
    """End this process, a fork of the job: silently if user code raised SystemExit, or else with a message."""
    if isinstance(raised, SystemExit) and (raised.code is None or isinstance(raised.code, int)):
        os._exit(raised.code or 0)
    with contextlib.suppress(OSError):
        os.write(2, f"evalwire: {_LINE}\n".encode())
    os._exit(1)
