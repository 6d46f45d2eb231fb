"""Keep a local Phoenix running after its last user: the time limit, the last use, and the start of the keeper."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from evalwire.phoenix.local.directory import without_phoenix
from evalwire.phoenix.local.locks import free_keeper_lock


def keep(directory: Path, minutes: float, environ: Mapping[str, str]) -> None:
    """Keep the server of a directory until it is unused for some minutes; call it with the turn.

    The keeper is a process in a session of its own, without a stream of this process, and inherits its lock: no other
    process can start a second keeper in the meantime.
    """
    _file(directory).write_text(json.dumps({"minutes": minutes}))
    with free_keeper_lock(directory) as lock, (directory / "keeper.log").open("ab") as log:
        if lock is None:
            return
        with contextlib.suppress(OSError):  # without a keeper, the server stops after its last user
            subprocess.run(  # noqa: S603 - our own module, which forks the keeper and returns
                [sys.executable, "-m", "evalwire.phoenix.local.keeper", str(directory), str(lock.fileno())],
                cwd="/",
                env=without_phoenix(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
                check=False,
            )


def is_expected(directory: Path) -> bool:
    """Check whether a server was kept and not stopped since."""
    return _file(directory).exists()


def kept_minutes(directory: Path) -> float:
    """Return how many minutes without use a kept server continues; 0 if this is unknown."""
    try:
        minutes = json.loads(_file(directory).read_text())["minutes"]
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
    return float(minutes) if isinstance(minutes, int | float) else 0.0


def note_use(directory: Path) -> None:
    """Note that a kept server is used now."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(_file(directory))


def last_use(directory: Path) -> float | None:
    """Return when a kept server was last used, in seconds since the epoch; None if the server is not kept."""
    try:
        return _file(directory).stat().st_mtime
    except FileNotFoundError:
        return None


def idle_seconds(directory: Path) -> float:
    """Return for how many seconds a kept server was not used; 0 if the server is not kept."""
    used = last_use(directory)
    return 0.0 if used is None else max(0.0, time.time() - used)


def forget(directory: Path) -> None:
    """Note that the server of a directory was stopped."""
    _file(directory).unlink(missing_ok=True)


def _file(directory: Path) -> Path:
    return directory / "kept.json"
