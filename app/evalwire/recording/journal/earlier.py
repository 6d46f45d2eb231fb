"""Find the journals of earlier jobs in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

_PATTERN = "journal_*.jsonl"

_UNFINISHED = ("interrupted", "infrastructure")

_LAST = 64 * 1024  # bytes, more than an end has


def newest_journal(folder: Path) -> Path | None:
    """The journal of a folder that was begun last, by its name; None when there is none."""
    return max(folder.glob(_PATTERN), key=lambda path: path.stem, default=None)


def unfinished_journal(folder: Path) -> Path | None:
    """Return the newest journal of a folder, where its job ended before it was through; None where it still runs."""
    path = newest_journal(folder)
    try:
        return path if path is not None and _is_unfinished(path) else None
    except OSError:  # whoever resumes it is told
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
        return size > 0  # torn, or longer than an end
    return not isinstance(last, dict) or last.get("type") != "end" or last.get("outcome") in _UNFINISHED
