"""A check for gates in configuration files that a job does not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalwire.errors import UsageError
from evalwire.settings.text_files import read_toml


def reject_ignored_gates(experiments: Path, read: Path) -> None:
    """Check that no unread configuration file next to or above the experiments has gates.

    The search ends at the root of the repository or of the mount.

    Args:
        experiments: the experiments directory.
        read: the configuration file that the job reads, if it exists.

    Raises:
        UsageError: an unread file has gates or cannot be read.
    """
    if not is_there(experiments):  # the gates apply to experiments that were recorded elsewhere
        return
    for directory in _directories_above(experiments.resolve()):
        other = directory / read.name
        if not is_there(other) or (is_there(read) and other.resolve() == read.resolve()):
            continue
        if _has_gates(other):
            instead = f"only {read} is read" if is_there(read) else f"there is no {read} to read instead"
            raise UsageError(
                f"the gates in {other} would be ignored: {instead}.\n"
                f"Run evalwire in {directory}, or name the file to read with --config."
            )


def is_there(file: Path) -> bool:
    """Check whether a path exists; a dangling link and an unreadable path count as existing."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _directories_above(experiments: Path) -> Iterator[Path]:
    for directory in experiments.parents:
        yield directory
        if is_there(directory / ".git") or os.path.ismount(directory):
            return


def _has_gates(file: Path) -> bool:
    """Check whether a configuration file has gates.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        document = read_toml(file)
    except UsageError as error:
        raise UsageError(
            f"cannot read {file}, which may contain gates: {error}\n"
            "Fix this file, or name the configuration file to use with --config."
        ) from error
    experiments = document.get("experiments")
    tables: list[Any] = list(experiments.values()) if isinstance(experiments, dict) else []
    return bool(document.get("gates")) or any(isinstance(table, dict) and table.get("gates") for table in tables)
