"""Start and stop the process of a local Phoenix without damage to its database."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from evalwire import clocks
from evalwire.phoenix.local.directory import (
    NEW,
    layout_of,
    needs_migration,
    read_state,
    set_aside_unfinished,
    write_state,
)
from evalwire.phoenix.local.ports import free_port
from evalwire.phoenix.local.readiness import MIGRATION_SECONDS, is_ready
from evalwire.phoenix.local.server import LocalServer

_STOP_SECONDS = 10.0


def start(
    directory: Path, environ: Mapping[str, str], port: int, announce: Callable[[str], None] = lambda _: None
) -> LocalServer:
    """Start a server in a directory, without waiting until it is ready."""
    set_aside_unfinished(directory, announce)
    layout = layout_of(directory)
    if layout == NEW and (directory / "phoenix.db").exists():  # the database contains data
        layout = None
    ours = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    inherited = {name: value for name, value in environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))}
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "phoenix.server.main", "serve"],
            cwd=directory,
            env={**inherited, **ours},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C interrupts evalwire, which still needs the server to record results
        )
    write_state(directory, port=port, pid=process.pid, layout=layout)
    return LocalServer(port=port, directory=directory, pid=process.pid, process=process)


def stop(server: LocalServer) -> None:
    """Stop a server, also if another process started it."""
    if server.process is None:
        end_left_behind(server.directory)
        return
    if server.process.poll() is not None:
        return
    server.process.terminate()
    try:
        server.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def abandon(server: LocalServer, announce: Callable[[str], None]) -> None:
    """Stop a server that is not ready yet, without damage to its database.

    A Phoenix that is stopped during a migration leaves tables that it cannot open again. New tables are created again
    at the next start. Tables of an earlier Phoenix contain results, so this function waits for their migration.
    """
    try:
        _finish_migration(server, announce)
    finally:
        stop(server)


def end_left_behind(directory: Path, announce: Callable[[str], None] = lambda _: None) -> None:
    """Stop a directory's server that another process started, after checking its command and working directory."""
    state = read_state(directory)
    with contextlib.suppress(psutil.Error, OSError, TypeError, ValueError):  # the process ended, or the file is damaged
        process = psutil.Process(state.get("pid", 0))
        if "phoenix.server.main" in process.cmdline() and Path(process.cwd()) == directory:
            if isinstance(port := state.get("port"), int):
                server = LocalServer(port=port, directory=directory, pid=process.pid)
                if state.get("layout") == NEW and is_ready(server):  # it has become ready, and may have data
                    write_state(directory, port=port, pid=process.pid, layout=None)
                _finish_migration(server, announce)
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired:  # two servers must not write to the same database
                process.kill()


def _finish_migration(server: LocalServer, announce: Callable[[str], None]) -> None:
    """Wait while a server may be migrating tables of an earlier Phoenix."""
    if not needs_migration(server.directory):
        return
    announce("waiting for the local Phoenix, which may be migrating its database to a new version")
    with contextlib.suppress(psutil.NoSuchProcess):  # the server ended
        process = psutil.Process(server.pid)
        latest = process.create_time() + MIGRATION_SECONDS
        while process.status() != psutil.STATUS_ZOMBIE and not is_ready(server) and clocks.timestamp() < latest:
            time.sleep(0.1)
