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
    installed_version,
    layout_of,
    needs_migration,
    set_aside_unfinished,
    state_of,
    without_phoenix,
    write_state,
)
from evalwire.phoenix.local.ports import free_port
from evalwire.phoenix.local.readiness import MIGRATION_SECONDS, is_ready
from evalwire.phoenix.local.server import LocalServer

_MODULE = "phoenix.server.main"

_COMMAND = (sys.executable, "-m", _MODULE, "serve")

_STOP_SECONDS = 10.0

_START_TIME_SECONDS = 5.0  # accuracy of a start time: the system's clock may have been corrected


def start(
    directory: Path, environ: Mapping[str, str], port: int, say: Callable[[str], None] = lambda _: None
) -> LocalServer:
    """Start a server in a directory, without waiting until it is ready."""
    set_aside_unfinished(directory, say)
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
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the command is a constant
            _COMMAND,
            cwd=directory,
            env={**without_phoenix(environ), **ours},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C interrupts evalwire, which still needs the server to record results
        )
    server = LocalServer(
        port=port,
        directory=directory,
        pid=process.pid,
        started=psutil.Process(process.pid).create_time(),
        version=installed_version(),
        process=process,
    )
    write_state(directory, server, layout=layout)
    return server


def process_of(server: LocalServer) -> psutil.Process | None:
    """Return the process of a server; None if it ended, also if another process has its ID now."""
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        process = psutil.Process(server.pid)
        if (
            abs(process.create_time() - server.started) < _START_TIME_SECONDS
            and is_alive(process)
            and _MODULE in process.cmdline()
            and Path(process.cwd()) == server.directory
        ):
            return process
    return None


def running_server(directory: Path) -> LocalServer | None:
    """Return the server that serves a directory; None if it ended."""
    server = state_of(directory)
    return server if server is not None and process_of(server) is not None else None


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


def wait_for_end(server: LocalServer) -> None:
    """Wait until a server ends."""
    if server.process is not None:
        server.process.wait()
    while server.process is None and process_of(server) is not None:
        time.sleep(0.5)


def leave_running(server: LocalServer) -> None:
    """Let a server continue after this process ends."""
    if server.process is not None:
        server.process.returncode = 0  # otherwise, the interpreter would warn about a process that still runs


def abandon(server: LocalServer, say: Callable[[str], None]) -> None:
    """Stop a server that is not ready yet, without damage to its database.

    A Phoenix that is stopped during a migration leaves tables that it cannot open again. New tables are created again
    at the next start. Tables of an earlier Phoenix contain results, so this function waits for their migration.
    """
    try:
        _finish_migration(server, say)
    finally:
        stop(server)


def end_left_behind(directory: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Stop a directory's server that another process started, if it runs."""
    server = state_of(directory)
    process = process_of(server) if server is not None else None
    if server is None or process is None:
        return
    if layout_of(directory) == NEW and is_ready(server):  # it has become ready, and may have data
        write_state(directory, server, layout=None)
    _finish_migration(server, say)
    end(process)


def end(process: psutil.Process) -> None:
    """Stop a process that was not started by this process."""
    with contextlib.suppress(psutil.Error):  # it ended; psutil signals no other process with its ID
        process.terminate()
        if not _ends_within(process, _STOP_SECONDS):
            process.kill()  # two servers must not write to the same database
            _ends_within(process, _STOP_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Check whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _ends_within(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process that need not be a child; the system may keep its zombie for long."""
    latest = clocks.monotonic() + seconds
    while (alive := is_alive(process)) and clocks.monotonic() < latest:
        time.sleep(0.05)
    return not alive


def _finish_migration(server: LocalServer, say: Callable[[str], None]) -> None:
    """Wait while a server may be migrating tables of an earlier Phoenix."""
    if not needs_migration(server) or is_ready(server):
        return
    say("waiting for the local Phoenix, which may be migrating its database to a new version")
    with contextlib.suppress(psutil.NoSuchProcess):  # the server ended
        process = psutil.Process(server.pid)
        latest = server.started + MIGRATION_SECONDS
        while is_alive(process) and not is_ready(server) and clocks.timestamp() < latest:
            time.sleep(0.1)
