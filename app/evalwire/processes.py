"""The end of a process together with its parent."""

from __future__ import annotations

import os
import signal
import threading

from evalwire.loading import load

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, lifeline: int) -> None:
    """Kill this process when its parent ends, because only the parent can report the exit code.

    Args:
        parent: the parent's process ID.
        lifeline: the reading end of a pipe whose writing end only the parent has; for systems other than Linux.
    """
    if _kernel_ends_us_with_parent():
        os.close(lifeline)
    else:
        threading.Thread(target=_watch, args=(lifeline,), name="evalwire-lifeline", daemon=True).start()
    if os.getppid() != parent:  # it ended before the call to the kernel
        os.kill(os.getpid(), signal.SIGKILL)


def _kernel_ends_us_with_parent() -> bool:
    try:
        ctypes = load("ctypes")
        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):  # not Linux, or a Python without ctypes
        return False
    return bool(prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) == 0)


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent ends
    os.kill(os.getpid(), signal.SIGKILL)
