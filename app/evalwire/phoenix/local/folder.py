"""Read and write the folder of a local Phoenix: where its server is, and what its database is."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEW = "new"
"""The layout of a database that no Phoenix has finished laying out yet; else it is that Phoenix's version."""

_FIRST_ROW = {"datasets": "SELECT 1 FROM datasets LIMIT 1", "spans": "SELECT 1 FROM spans LIMIT 1"}


def installed_version() -> str:
    """Return the version of the Phoenix server that is installed.

    Raises:
        importlib.metadata.PackageNotFoundError: there is none.
    """
    return importlib.metadata.version("arize-phoenix")


def read_state(directory: Path) -> dict[str, Any]:
    """Return what `server.json` says; an empty dictionary where it is missing or damaged."""
    try:
        state = json.loads((directory / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(directory: Path, *, port: int, pid: int, layout: str | None) -> None:
    """Write down where the folder's server is, and which layout its database has."""
    (directory / "server.json").write_text(json.dumps({"port": port, "pid": pid, "layout": layout}))


def layout_of(directory: Path) -> str | None:
    """Return the layout of the folder's database: `NEW` or a version of Phoenix; None where it is not known."""
    if not (directory / "phoenix.db").exists():
        return NEW
    layout = read_state(directory).get("layout")
    return layout if isinstance(layout, str) else None


def needs_migration(directory: Path) -> bool:
    """Check whether a start may change tables of an earlier Phoenix, which hold results."""
    return layout_of(directory) not in (NEW, installed_version())


def set_aside_unfinished(directory: Path, announce: Callable[[str], None]) -> None:
    """Move a database away whose first Phoenix was ended before it was ready: no other can open it."""
    if layout_of(directory) != NEW or not (directory / "phoenix.db").exists() or _holds_something(directory):
        return
    for suffix in ("", "-wal", "-shm", "-journal"):
        aside = directory / f"unfinished.db{suffix}"
        aside.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (directory / f"phoenix.db{suffix}").replace(aside)
    announce("the database of a Phoenix that was ended at its first start is set aside as unfinished.db")


def _holds_something(directory: Path) -> bool:
    """Check whether anybody has put anything into a folder's database; True where it cannot be read."""
    path = directory / "phoenix.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return any(database.execute(_FIRST_ROW[table]).fetchone() for table in _FIRST_ROW if table in tables)
    except sqlite3.Error:
        return True


def log_tail(directory: Path, lines: int = 15) -> str:
    """Return the last lines of the server's log."""
    text = (directory / "server.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"
