"""Count the users of a folder's server, and let one process at a time start or end it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_own_locks: weakref.WeakSet[TextIO] = weakref.WeakSet()


@contextlib.contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Wait until no other process starts or ends a server in a folder, and keep others from it."""
    with (directory / "turn.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_users(directory: Path) -> TextIO:
    """Open the lock that each user of a folder's server shares; this process is not a user yet."""
    users = (directory / "users.lock").open("a+")
    _own_locks.add(users)
    return users


def is_alone(users: TextIO) -> bool:
    """Check whether no other process uses the folder's server; if so, lock the others out."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def join(users: TextIO) -> None:
    """Make this process a user of the folder's server."""
    fcntl.flock(users, fcntl.LOCK_SH)


def leave(users: TextIO) -> None:
    """Make this process a user no longer."""
    fcntl.flock(users, fcntl.LOCK_UN)


@contextlib.contextmanager
def left_on_error(users: TextIO) -> Iterator[None]:
    """Leave where the block fails."""
    try:
        yield
    except BaseException:
        leave(users)
        raise


def _close_in_child() -> None:
    """Close the locks in a process that user code forks: it would be a user when this process is gone."""
    for lock in list(_own_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
