"""Search for the journals of earlier jobs in a directory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

_PATTERN = "journal_*.jsonl"

_UNFINISHED = ("interrupted", "infrastructure")

_LAST = 64 * 1024  # bytes, more than an end line has


def newest_journal(directory: Path) -> Path | None:
    """Return the newest journal in a directory, by name; None without a journal."""
    return max(directory.glob(_PATTERN), default=None)


def unfinished_journal(directory: Path) -> Path | None:
    """Return the newest journal in a directory if its job ended early; None if the job finished or still runs."""
    path = newest_journal(directory)
    try:
        return path if path is not None and _is_unfinished(path) else None
    except OSError:  # `resume` reports it
        return None


def _is_unfinished(path: Path) -> bool:
    with path.open("rb") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LAST))
        text = file.read()
    try:
        last = json.loads(text.rstrip(b"\n").rpartition(b"\n")[2])
    except ValueError:
        return size > 0  # torn, or longer than an end line
    return not isinstance(last, dict) or last.get("type") != "end" or last.get("outcome") in _UNFINISHED
