"""Locks that count the users of a local server, and serialize starting and stopping it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from evalwire.phoenix.local.server import SILENT, Progress

_own_locks: weakref.WeakSet[TextIO] = weakref.WeakSet()


@contextlib.contextmanager
def turn(directory: Path, progress: Progress = SILENT) -> Iterator[None]:
    """Wait for exclusive permission to start or stop the server of a directory."""
    with open_turn(directory) as lock:
        if not _try_lock(lock):
            with progress.wait("waiting for the local Phoenix", "another command starts or stops it"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_turn(directory: Path) -> TextIO:
    """Open the lock of `turn`, without waiting for it."""
    return (directory / "turn.lock").open("a+")


@contextlib.contextmanager
def locked(turn_lock: TextIO) -> Iterator[None]:
    """Wait for the turn with an open lock, which also works in a directory that is being removed."""
    fcntl.flock(turn_lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(turn_lock, fcntl.LOCK_UN)


def open_users(directory: Path) -> TextIO:
    """Open the lock that all users of a directory's server share; this process is not a user yet."""
    users = (directory / "users.lock").open("a+")
    _own_locks.add(users)
    return users


def is_alone(users: TextIO) -> bool:
    """Check whether no other process uses the directory's server; if so, lock it exclusively."""
    return _try_lock(users)


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


@contextlib.contextmanager
def free_keeper_lock(directory: Path) -> Iterator[TextIO | None]:
    """Lock the place of a directory's keeper; None if a keeper has it. A child that inherits the file has the lock."""
    with (directory / "keeper.lock").open("a+") as lock:
        yield lock if _try_lock(lock) else None


def has_keeper(directory: Path) -> bool:
    """Check whether a keeper watches the directory's server."""
    with free_keeper_lock(directory) as lock:
        return lock is None


def _try_lock(file: TextIO) -> bool:
    """Lock a file exclusively if it is not locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close_in_child() -> None:
    """Close the locks in a forked process, which would otherwise remain a user after this process ends."""
    for lock in list(_own_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
