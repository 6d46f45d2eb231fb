"""Look at files of the project, the same on every Python, and say who cannot read them and what to do.

`Path.is_file` and its like raise PermissionError up to Python 3.13, and say False from 3.14 on: an experiment that
cannot be looked into would be none.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_file(path: Path) -> bool:
    """Check whether a path leads to a file.

    Raises:
        OSError: it cannot be looked at.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Check whether a path leads to a folder.

    Raises:
        OSError: it cannot be looked at.
    """
    return stat.S_ISDIR(_mode(path))


def is_dangling(path: Path) -> bool:
    """Check whether a path is a link that leads nowhere.

    Raises:
        OSError: it cannot be looked at.
    """
    return path.is_symlink() and not _mode(path)


def _mode(path: Path) -> int:
    """Return the type and permissions of what a path leads to; 0 where it leads nowhere."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return 0
        raise


def list_folder(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted.

    Raises:
        OSError: it cannot be listed, or what is in it cannot be looked at.
    """
    names = os.listdir(folder)  # noqa: PTH208 - `Path.iterdir` raises later, and not on every Python
    os.stat(os.path.join(folder, os.curdir))  # noqa: PTH116, PTH118 - pathlib drops the dot, which asks for entry
    return sorted(folder / name for name in names)


def describe_denial(path: Path, error: OSError) -> str:
    """Return what cannot be read, by whom, and what to do."""
    message = f"{error.filename or path} cannot be read by {_user(os.geteuid())}: {error.strerror}."
    if not isinstance(error, PermissionError):
        return message
    remedy = f"Make it readable to everybody: chmod -R a+rX {path}"
    owner = _owner(path)
    if owner not in (None, os.geteuid()):
        remedy += f"; or run as its owner, {_user(owner)} (with Docker: --user {owner})"
    return f"{message} {remedy}."


def _user(number: int) -> str:
    try:
        return f"user {number} ({pwd.getpwuid(number).pw_name})"
    except KeyError:  # in a container, any number may run without a name
        return f"user {number}"


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:  # a folder above it cannot be entered
        return None
