"""End processes that user code forks, where they would go on as the job."""

from __future__ import annotations

# NOTE: it releases in a fork the lock that it takes before one, in the order of imports. A tracer provider of
# OpenTelemetry's starts threads in a fork, and waits for that lock for ever where it was made before this import.
import concurrent.futures.thread  # noqa: F401
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

_LINE = (
    "a process that user code forked (by os.fork) came back into evalwire; it ends here, and the job goes on without it"
)


@contextlib.contextmanager
def in_one_process() -> Iterator[None]:
    """Run user code; a process that it forks ends where the user code returns or raises.

    A child that user code ends itself, as `multiprocessing` does, never comes here. One that raises SystemExit ends
    with its code.
    """
    own = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != own:
            leave_fork(sys.exc_info()[1])


def leave_fork(raised: BaseException | None = None) -> NoReturn:
    """End this process, a fork of the job's: silently where user code raised SystemExit, else with a line."""
    if isinstance(raised, SystemExit) and (raised.code is None or isinstance(raised.code, int)):
        os._exit(raised.code or 0)
    with contextlib.suppress(OSError):
        os.write(2, f"evalwire: {_LINE}\n".encode())
    os._exit(1)
