"""Readiness checks for a local Phoenix."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING

import psutil

from evalwire import clocks
from evalwire.errors import LocalServerError
from evalwire.phoenix.local.directory import NEW, layout_of, log_tail, needs_migration
from evalwire.phoenix.local.server import PortTakenError

if TYPE_CHECKING:
    from evalwire.phoenix.local.server import LocalServer, Progress

MIGRATION_SECONDS = 1800.0  # time to become ready if tables of an earlier version contain results

_READY_SECONDS = 300.0  # a start takes 20 s of processor time; a busy machine has needed 120 s


def wait_until_ready(server: LocalServer, progress: Progress) -> None:
    """Wait until a server responds.

    Raises:
        PortTakenError: another program uses the port.
        LocalServerError: the server ended, or was not ready in time.
    """
    with progress.wait("starting a local Phoenix", _reason(server)):
        _poll(server, MIGRATION_SECONDS if needs_migration(server) else _READY_SECONDS)


def _reason(server: LocalServer) -> str:
    """Return the reason why a start takes long."""
    if layout_of(server.directory) == NEW:
        return "the first start creates its database"
    if needs_migration(server):
        return f"it may migrate its database to version {server.version}"
    return "it loads its libraries"


def _poll(server: LocalServer, patience: float) -> None:
    started = clocks.monotonic()
    while not is_ready(server):
        check_port(server)
        if server.process is not None and server.process.poll() is not None:
            raise LocalServerError(
                f"the local Phoenix ended with exit code {server.process.returncode}:\n{log_tail(server.directory)}"
            )
        if clocks.monotonic() - started > patience:
            raise LocalServerError(
                f"the local Phoenix was not ready after {patience:g} s:\n{log_tail(server.directory)}"
            )
        time.sleep(0.1)


def is_ready(server: LocalServer) -> bool:
    """Check whether this server, and not another program at the same address, responds."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach this address
    try:
        with direct.open(f"{server.url}/readyz", timeout=2) as answer:
            return answer.status == HTTPStatus.OK and is_listening(server)
    except (OSError, http.client.HTTPException):
        return False


def answers_within(server: LocalServer, seconds: float) -> bool:
    """Check whether a server responds within a time limit, as long as its process exists."""
    latest = clocks.monotonic() + seconds
    while not (ready := is_ready(server)) and psutil.pid_exists(server.pid) and clocks.monotonic() < latest:
        time.sleep(0.1)
    return ready


def check_port(server: LocalServer) -> None:
    """Check that no other program accepts connections on a server's port.

    Raises:
        PortTakenError: another program does.
    """
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
    except OSError:
        return
    if not is_listening(server):
        raise PortTakenError(f"port {server.port} on 127.0.0.1 is in use by another program.")


def is_listening(server: LocalServer) -> bool:
    """Check whether the server's process listens on its port."""
    try:
        sockets = psutil.Process(server.pid).net_connections(kind="tcp")
    except psutil.Error:  # the process ended
        return False
    return any(
        connection.status == psutil.CONN_LISTEN and connection.laddr.port == server.port for connection in sockets
    )
