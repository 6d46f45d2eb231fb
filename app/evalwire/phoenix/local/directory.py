"""The data directory of a local Phoenix: the state of the server and the layout of the database."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evalwire.phoenix.local.server import LocalServer

NEW = "new"
"""The layout of a database before Phoenix has created all tables; afterwards, the layout is Phoenix's version."""

_FIRST_ROW = {"datasets": "SELECT 1 FROM datasets LIMIT 1", "spans": "SELECT 1 FROM spans LIMIT 1"}


def installed_version() -> str:
    """Return the version of the installed Phoenix server.

    Raises:
        importlib.metadata.PackageNotFoundError: the server is not installed.
    """
    return importlib.metadata.version("arize-phoenix")


def without_phoenix(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables of Phoenix and OpenTelemetry."""
    return {name: value for name, value in environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))}


def read_state(directory: Path) -> dict[str, Any]:
    """Return the content of `server.json`; empty if the file is missing or damaged."""
    try:
        state = json.loads((directory / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(directory: Path, server: LocalServer, *, layout: str | None) -> None:
    """Write the facts that identify a server, its version, and the layout of the database."""
    state = {
        "port": server.port,
        "pid": server.pid,
        "started": server.started,
        "version": server.version,
        "layout": layout,
    }
    unfinished = directory / "server.json.new"  # another process never reads half a file
    unfinished.write_text(json.dumps(state))
    unfinished.replace(directory / "server.json")


def state_of(directory: Path) -> LocalServer | None:
    """Return the last server of a directory, which may have ended; None if `server.json` is missing or damaged."""
    state = read_state(directory)
    match state:
        case {"port": int(port), "pid": int(pid), "started": float(started), "version": str(version)}:
            return LocalServer(port=port, directory=directory, pid=pid, started=started, version=version)
    return None


def layout_of(directory: Path) -> str | None:
    """Return the layout of the database: `NEW`, a version of Phoenix, or None if unknown."""
    if not (directory / "phoenix.db").exists():
        return NEW
    layout = read_state(directory).get("layout")
    return layout if isinstance(layout, str) else None


def needs_migration(server: LocalServer) -> bool:
    """Check whether a server that is not ready may migrate tables of an earlier Phoenix, which contain results."""
    return layout_of(server.directory) not in (NEW, server.version)


def set_aside_unfinished(directory: Path, announce: Callable[[str], None]) -> None:
    """Move away a database whose Phoenix ended before the tables were created, because Phoenix cannot open it."""
    if layout_of(directory) != NEW or not (directory / "phoenix.db").exists() or _holds_something(directory):
        return
    for suffix in ("", "-wal", "-shm", "-journal"):
        aside = directory / f"unfinished.db{suffix}"
        aside.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (directory / f"phoenix.db{suffix}").replace(aside)
    announce("moved the database of a Phoenix that ended during its first start to unfinished.db")


def _holds_something(directory: Path) -> bool:
    """Check whether a database contains datasets or spans; True if it cannot be read."""
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
