"""Locks that count the users of a local server, and serialize starting and stopping it."""

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
    """Wait for exclusive permission to start or stop the server of a directory."""
    with (directory / "turn.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_users(directory: Path) -> TextIO:
    """Open the lock that all users of a directory's server share; this process is not a user yet."""
    users = (directory / "users.lock").open("a+")
    _own_locks.add(users)
    return users


def is_alone(users: TextIO) -> bool:
    """Check whether no other process uses the directory's server; if so, lock it exclusively."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def join(users: TextIO) -> None:
    """Make this process a user of the directory's server."""
    fcntl.flock(users, fcntl.LOCK_SH)


def leave(users: TextIO) -> None:
    """End this process's use of the server."""
    fcntl.flock(users, fcntl.LOCK_UN)


@contextlib.contextmanager
def left_on_error(users: TextIO) -> Iterator[None]:
    """Leave if the block raises an exception."""
    try:
        yield
    except BaseException:
        leave(users)
        raise


def _close_in_child() -> None:
    """Close the locks in a forked process, which would otherwise remain a user after this process ends."""
    for lock in list(_own_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
