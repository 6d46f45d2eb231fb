"""File checks that work alike on every Python version, and messages for unreadable files.

`Path.is_file` and similar methods raise PermissionError up to Python 3.13, and return False from 3.14. An unreadable
experiment would then be ignored.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_file(path: Path) -> bool:
    """Check whether a path is a file or a link to a file.

    Raises:
        OSError: the path cannot be accessed.
    """
    return stat.S_ISREG(_mode(path))


def is_directory(path: Path) -> bool:
    """Check whether a path is a directory or a link to a directory.

    Raises:
        OSError: the path cannot be accessed.
    """
    return stat.S_ISDIR(_mode(path))


def is_dangling(path: Path) -> bool:
    """Check whether a path is a dangling link.

    Raises:
        OSError: the path cannot be accessed.
    """
    return path.is_symlink() and not _mode(path)


def _mode(path: Path) -> int:
    """Return the type and permissions of a path's target, or 0 if the target does not exist."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return 0
        raise


def list_directory(directory: Path) -> list[Path]:
    """Return the sorted entries of a directory.

    Raises:
        OSError: the directory cannot be listed or entered.
    """
    names = os.listdir(directory)  # noqa: PTH208 - `Path.iterdir` raises later, and not on every Python
    os.stat(os.path.join(directory, os.curdir))  # noqa: PTH116, PTH118 - the dot tests entry, and pathlib drops it
    return sorted(directory / name for name in names)


def describe_denial(path: Path, error: OSError) -> str:
    """Describe which file cannot be read by which user, and the remedy."""
    message = f"{error.filename or path} cannot be read by {_user(os.geteuid())}: {error.strerror}."
    if not isinstance(error, PermissionError):
        return message
    remedy = f"Make it readable for all users: chmod -R a+rX {path}"
    owner = _owner(path)
    if owner not in (None, os.geteuid()):
        remedy += f"; or run as its owner, {_user(owner)} (with Docker: --user {owner})"
    return f"{message} {remedy}."


def _user(number: int) -> str:
    try:
        return f"user {number} ({pwd.getpwuid(number).pw_name})"
    except KeyError:  # in a container, a user ID may have no name
        return f"user {number}"


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:  # a parent directory cannot be entered
        return None
