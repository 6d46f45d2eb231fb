"""A local Phoenix that processes share by its directory: the first starts it, the last stops it or keeps it running."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from evalwire.errors import LocalServerError
from evalwire.phoenix import local
from evalwire.phoenix.local.directory import installed_version, layout_of, state_of, write_state
from evalwire.phoenix.local.keeping import forget, idle_seconds, is_expected, keep, kept_minutes, note_use
from evalwire.phoenix.local.locks import has_keeper, is_alone, join, leave, left_on_error, open_users, turn
from evalwire.phoenix.local.ports import choose_port
from evalwire.phoenix.local.server import SILENT, LocalServer, PortTakenError, Progress

_PORTS_TRIED = 3

_JOIN_SECONDS = 30.0  # for a server that other commands use, and keep busy with records

_REUSE_SECONDS = 5.0  # for a server that no command uses


@contextlib.contextmanager
def local_phoenix(
    directory: Path,
    environ: Mapping[str, str],
    *,
    progress: Progress = SILENT,
    port: int | None = None,
    keep_minutes: float | None = None,
) -> Iterator[LocalServer]:
    """Serve a Phoenix from `directory` while the block runs, or use the server that already serves it.

    Args:
        directory: the directory for the database, log and locks; created if it does not exist.
        environ: the environment of the server, without Phoenix's and OpenTelemetry's variables.
        progress: reports what happens.
        port: the port to listen on; by default the directory's last port, else 6006, else any free port.
        keep_minutes: for how many minutes without use the server continues after the block; 0 to stop it unless another
            command uses it; None to stop it only if no earlier command kept it.

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
        with turn(directory, progress), left_on_error(users):
            server = _join_or_start(directory, environ, users, progress=progress, port=port, keep_minutes=keep_minutes)
        try:
            yield server
        finally:
            try:
                with turn(directory):
                    _end_use(server, users, keep_minutes)
            except OSError as error:  # the server is no longer usable
                local.process.stop(server)
                raise LocalServerError(f"lost the directory {directory} of the local Phoenix: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStatus:
    """The state of a directory's running server.

    Attributes:
        server: the server.
        is_used: whether a command uses it.
        idle_seconds: for how long it has not been used.
        keep_minutes: for how many minutes without use it continues; None if it stops with its last user.
    """

    server: LocalServer
    is_used: bool
    idle_seconds: float
    keep_minutes: float | None


def local_status(directory: Path) -> LocalStatus | None:
    """Return the state of the server of a directory; None if no server is running.

    Raises:
        LocalServerError: `arize-phoenix` is not installed.
    """
    _require_server()
    directory = directory.resolve()
    if not directory.is_dir():
        return None
    with turn(directory), open_users(directory) as users:
        server = local.process.running_server(directory)
        if server is None:
            return None
        return LocalStatus(
            server=server,
            is_used=not is_alone(users),
            idle_seconds=idle_seconds(directory),
            keep_minutes=kept_minutes(directory) if has_keeper(directory) else None,
        )


def stop_local_phoenix(directory: Path, progress: Progress = SILENT) -> LocalServer | None:
    """Stop the server of a directory; return it, or None if no server was running.

    Raises:
        LocalServerError: `arize-phoenix` is not installed, or a command uses the server.
    """
    _require_server()
    directory = directory.resolve()
    if not directory.is_dir():
        return None
    with turn(directory, progress), open_users(directory) as users:
        server = local.process.running_server(directory)
        if server is not None and not is_alone(users):
            raise LocalServerError(
                f"the local Phoenix at {server.url} was not stopped, because another command uses it. "
                "End that command first."
            )
        local.process.end_left_behind(directory, progress.say)
        forget(directory)
        return server


def _require_server() -> None:
    try:
        installed_version()
    except importlib.metadata.PackageNotFoundError:
        raise LocalServerError(
            "--local needs a Phoenix server, which is not installed.\n"
            "Install it with: pip install 'evalwire[local]'; or set PHOENIX_ENDPOINT to a running server."
        ) from None


def _join_or_start(
    directory: Path,
    environ: Mapping[str, str],
    users: TextIO,
    *,
    progress: Progress,
    port: int | None,
    keep_minutes: float | None,
) -> LocalServer:
    """Return the running or a new server, and make this process a user."""
    if not is_alone(users):
        join(users)
        server: LocalServer | None = _shared_server(directory)
    else:
        server = _reusable_server(directory, progress, port)
    if keep_minutes:
        keep(directory, keep_minutes, environ)
    else:
        note_use(directory)
    if server is None:
        try:
            server = start_on_a_port(directory, environ, progress, port)
        except BaseException:
            forget(directory)
            raise
    else:
        progress.say(f"using the local Phoenix at {server.url}")
    join(users)
    return server


def _end_use(server: LocalServer, users: TextIO, keep_minutes: float | None) -> None:
    """End this process's use of a server; the last user stops it, also if another process started it."""
    leave(users)
    note_use(server.directory)
    if is_alone(users) and (keep_minutes == 0 or not has_keeper(server.directory)):
        local.process.stop(server)
        forget(server.directory)
    else:
        local.process.leave_running(server)
    leave(users)  # before the next process has its turn


def _shared_server(directory: Path) -> LocalServer:
    server = state_of(directory)
    if server is None:  # the file is damaged
        raise LocalServerError(f"{directory / 'server.json'} is damaged: it has no port of the running Phoenix.")
    if not local.readiness.answers_within(server, _JOIN_SECONDS):
        raise LocalServerError(f"the Phoenix that serves {directory} does not respond; see its server.log.")
    return server


def _reusable_server(directory: Path, progress: Progress, port: int | None) -> LocalServer | None:
    """Return the running server that no command uses, or None after stopping a server that is not usable."""
    server = local.process.running_server(directory)
    if server is None:
        if is_expected(directory):
            progress.say("the local Phoenix that an earlier command kept running has ended unexpectedly")
            forget(directory)
        return None
    if problem := _problem(server, port):
        progress.say(f"replacing the local Phoenix at {server.url}: {problem}")
        local.process.end_left_behind(directory, progress.say)
        forget(directory)
        return None
    return server


def _problem(server: LocalServer, port: int | None) -> str:
    """Return the reason why a running server cannot be used; empty if it can."""
    if server.version != installed_version():
        return f"it has version {server.version}, but version {installed_version()} is installed"
    if port not in (None, server.port):
        return f"port {port} was requested"
    if layout_of(server.directory) != server.version:
        return "its start did not finish, or its database was removed"
    if not local.readiness.answers_within(server, _REUSE_SECONDS):
        return f"it does not respond within {_REUSE_SECONDS:g} s"
    return ""


def start_on_a_port(directory: Path, environ: Mapping[str, str], progress: Progress, port: int | None) -> LocalServer:
    """Start a server, and return it when it is ready.

    If another program takes the chosen port in the meantime, try another port.
    """
    further_tries = _PORTS_TRIED - 1 if port is None else 0
    for _ in range(further_tries):
        try:
            return _start(directory, environ, progress, choose_port(directory))
        except PortTakenError as error:
            progress.say(f"{error} Trying another port.")
    return _start(directory, environ, progress, port or choose_port(directory))


def _start(directory: Path, environ: Mapping[str, str], progress: Progress, port: int) -> LocalServer:
    server = local.process.start(directory, environ, port, progress.say)
    try:
        local.readiness.wait_until_ready(server, progress)
    except BaseException:
        local.process.abandon(server, progress.say)
        raise
    write_state(directory, server, layout=server.version)
    return server
