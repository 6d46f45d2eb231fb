"""Find gates that a job would ignore, because it reads another configuration file or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalwire.errors import UsageError
from evalwire.settings.text_files import read_toml


def reject_ignored_gates(experiments: Path, read: Path) -> None:
    """Check that no other configuration file beside or above the experiments has gates.

    Looks up to the root of the repository, or of the mount.

    Args:
        experiments: the experiments folder.
        read: the file that is read, if it is there.

    Raises:
        UsageError: one has, or it cannot be told.
    """
    if not is_there(experiments):  # gates are for what was recorded elsewhere
        return
    for folder in _folders_above(experiments.resolve()):
        other = folder / read.name
        if not is_there(other) or (is_there(read) and other.resolve() == read.resolve()):
            continue
        if _has_gates(other):
            instead = f"only {read} is read" if is_there(read) else f"there is no {read} to read instead"
            raise UsageError(
                f"the gates in {other} would be ignored: {instead}.\n"
                f"Run evalwire in {folder}, or name the file to read with --config."
            )


def is_there(file: Path) -> bool:
    """Check whether there is anything of that name: a link that leads nowhere and what cannot be looked at count."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _folders_above(experiments: Path) -> Iterator[Path]:
    for folder in experiments.parents:
        yield folder
        if is_there(folder / ".git") or os.path.ismount(folder):
            return


def _has_gates(file: Path) -> bool:
    """Check whether a configuration file says anything of gates.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        document = read_toml(file)
    except UsageError as error:
        raise UsageError(
            f"Cannot tell whether gates in {file} would be ignored: {error}\n"
            "Mend the file, or name the file to read with --config."
        ) from error
    experiments = document.get("experiments")
    tables: list[Any] = list(experiments.values()) if isinstance(experiments, dict) else []
    return bool(document.get("gates")) or any(isinstance(table, dict) and table.get("gates") for table in tables)
