"""Check whether a local Phoenix answers, and wait for it."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import psutil

from evalwire import clocks
from evalwire.errors import LocalServerError
from evalwire.phoenix.local.folder import log_tail, needs_migration
from evalwire.phoenix.local.server import PortTakenError

if TYPE_CHECKING:
    from evalwire.phoenix.local.server import LocalServer

MIGRATION_SECONDS = 1800.0  # to be ready, where an earlier version's tables hold results

_READY_SECONDS = 120.0


def wait_until_ready(server: LocalServer, announce: Callable[[str], None]) -> None:
    """Return as soon as a server answers.

    Raises:
        PortTakenError: another program has its port.
        LocalServerError: it ended, or takes too long.
    """
    announce(f"starting a Phoenix at {server.url}, data in {server.directory}")
    started = clocks.monotonic()
    patience = MIGRATION_SECONDS if needs_migration(server.directory) else _READY_SECONDS
    while not is_ready(server):
        check_port(server)
        if server.process is not None and server.process.poll() is not None:
            raise LocalServerError(
                f"the local Phoenix ended with {server.process.returncode}:\n{log_tail(server.directory)}"
            )
        if clocks.monotonic() - started > patience:
            raise LocalServerError(
                f"the local Phoenix was not ready after {patience:g} s:\n{log_tail(server.directory)}"
            )
        time.sleep(0.1)
    announce(f"Phoenix is ready after {clocks.monotonic() - started:.0f} s")


def is_ready(server: LocalServer) -> bool:
    """Check whether this server answers; another one at its address, such as an earlier project's, does not count."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no company's proxy knows this address
    try:
        with direct.open(f"{server.url}/readyz", timeout=2) as answer:
            return answer.status == HTTPStatus.OK and is_listening(server)
    except (OSError, http.client.HTTPException):
        return False


def answers_within(server: LocalServer, seconds: float) -> bool:
    """Check whether a server answers, soon or late, while its process lives."""
    latest = clocks.monotonic() + seconds
    while not (ready := is_ready(server)) and psutil.pid_exists(server.pid) and clocks.monotonic() < latest:
        time.sleep(0.1)
    return ready


def check_port(server: LocalServer) -> None:
    """Check that no other program accepts connections on a server's port.

    Raises:
        PortTakenError: one does.
    """
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
    except OSError:
        return
    if not is_listening(server):
        raise PortTakenError(f"port {server.port} of 127.0.0.1 is taken by another program.")


def is_listening(server: LocalServer) -> bool:
    """Check whether the server's own process is the one that listens on its port."""
    try:
        sockets = psutil.Process(server.pid).net_connections(kind="tcp")
    except psutil.Error:  # it ended
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == server.port for one in sockets)
