"""A local Phoenix that processes share by its directory: the first process starts it, the last stops it."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from evalwire.errors import LocalServerError
from evalwire.phoenix import local
from evalwire.phoenix.local.directory import installed_version, read_state, write_state
from evalwire.phoenix.local.locks import is_alone, join, leave, left_on_error, open_users, turn
from evalwire.phoenix.local.ports import choose_port
from evalwire.phoenix.local.server import LocalServer, PortTakenError

_PORTS_TRIED = 3

_JOIN_SECONDS = 30.0  # for a shared server, which may be busy with records of other jobs


@contextlib.contextmanager
def local_phoenix(
    directory: Path,
    environ: Mapping[str, str],
    *,
    announce: Callable[[str], None] = lambda _: None,
    port: int | None = None,
) -> Iterator[LocalServer]:
    """Serve a Phoenix from `directory` while the block runs, or use the server that already serves it.

    Args:
        directory: the directory for the database, log and locks; created if it does not exist.
        environ: the environment of the server, without Phoenix's and OpenTelemetry's variables.
        announce: called with lines of progress information.
        port: the port to listen on; by default the directory's last port, else 6006, else any free port.

    Raises:
        LocalServerError: `arize-phoenix` is not installed, the directory cannot be used, the requested port is in use,
            or the server did not start.
    """
    directory = directory.resolve()
    _require_server()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".gitignore").write_text("*\n")
        users = open_users(directory)
    except OSError as error:
        raise LocalServerError(f"cannot use the directory {directory} for the local Phoenix: {error}.") from error
    with users:
        with turn(directory), left_on_error(users):
            server = _join_or_start(directory, environ, users, announce, port)
        try:
            yield server
        finally:
            try:
                with turn(directory):
                    leave(users)
                    if is_alone(users):  # the last user stops the server, also if another process started it
                        local.process.stop(server)
                        leave(users)  # before the next process has its turn
            except OSError as error:  # the server is no longer usable
                local.process.stop(server)
                raise LocalServerError(f"lost the directory {directory} of the local Phoenix: {error}.") from error


def _require_server() -> None:
    try:
        installed_version()
    except importlib.metadata.PackageNotFoundError:
        raise LocalServerError(
            "--local needs a Phoenix server, which is not installed.\n"
            "Install it with: pip install 'evalwire[local]'; or set PHOENIX_ENDPOINT to a running server."
        ) from None


def _join_or_start(
    directory: Path, environ: Mapping[str, str], users: TextIO, announce: Callable[[str], None], port: int | None
) -> LocalServer:
    """Return the running or a new server, and make this process a user."""
    if not is_alone(users):
        join(users)
        server = _shared_server(directory)
        announce(f"using the Phoenix that already serves {directory}")
        return server
    local.process.end_left_behind(directory, announce)  # a server whose evalwire was killed
    server = start_on_a_port(directory, environ, announce, port)
    join(users)
    return server


def _shared_server(directory: Path) -> LocalServer:
    state = read_state(directory)
    port, pid = state.get("port"), state.get("pid")
    if not (isinstance(port, int) and isinstance(pid, int)):  # the file is damaged
        raise LocalServerError(f"{directory / 'server.json'} is damaged: it has no port of the running Phoenix.")
    server = LocalServer(port=port, directory=directory, pid=pid)
    if not local.readiness.answers_within(server, _JOIN_SECONDS):
        raise LocalServerError(f"the Phoenix that serves {directory} does not respond; see its server.log.")
    return server


def start_on_a_port(
    directory: Path, environ: Mapping[str, str], announce: Callable[[str], None], port: int | None
) -> LocalServer:
    """Start a server, and return it when it is ready.

    If another program takes the chosen port in the meantime, try another port.
    """
    further_tries = _PORTS_TRIED - 1 if port is None else 0
    for _ in range(further_tries):
        try:
            return _start(directory, environ, announce, choose_port(directory))
        except PortTakenError as error:
            announce(f"{error} Trying another port.")
    return _start(directory, environ, announce, port or choose_port(directory))


def _start(directory: Path, environ: Mapping[str, str], announce: Callable[[str], None], port: int) -> LocalServer:
    server = local.process.start(directory, environ, port, announce)
    try:
        local.readiness.wait_until_ready(server, announce)
    except BaseException:
        local.process.abandon(server, announce)
        raise
    write_state(directory, port=port, pid=server.pid, layout=installed_version())
    return server
