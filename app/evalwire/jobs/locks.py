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


class _Lock:
    """A descriptor whose lock belongs to this process but not to its forks."""

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


_owned: weakref.WeakSet[_Lock] = weakref.WeakSet()


def _close_in_child() -> None:
    for lock in list(_owned):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Create and lock a file; yield whether no other process has the lock.

    The lock ends with the process, also after a crash. On a file system without locks, every process gets the lock.
    """
    lock = _acquire(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            lock.close()


def _acquire(path: Path) -> _Lock | None:
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:  # later writes to this directory report the problem
            return _Lock(None)
        lock = _Lock(descriptor)
        _owned.add(lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        except OSError:  # a file system without locks
            return lock
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return lock
        lock.close()  # the owner of the lock has just removed the file
