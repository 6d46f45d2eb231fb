"""Lock a file for the lifetime of a job."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Held:
    """A descriptor whose lock this process holds, and not one that it forks."""

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


_held: weakref.WeakSet[_Held] = weakref.WeakSet()


def _close_in_child() -> None:
    for one in list(_held):
        one.close()


os.register_at_fork(after_in_child=_close_in_child)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file, which is there for as long; give whether no other process has it.

    The lock ends with the process, however it ends. On a file system without locks, everybody has it.
    """
    held = _acquire(path)
    try:
        yield held is not None
    finally:
        if held is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            held.close()


def _acquire(path: Path) -> _Held | None:
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:  # what is to be written there will be told
            return _Held(None)
        held = _Held(descriptor)
        _held.add(held)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return None
        except OSError:  # a file system without locks
            return held
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return held
        held.close()  # its owner has just removed it
