"""The embedded Phoenix of `--local`: a server on the loopback interface, its data in a folder of the project."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import importlib.metadata
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from evalwire.errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

READY_SECONDS = 120.0

_MIGRATION_SECONDS = 1800.0  # to be ready, where an earlier version's tables hold results

STOP_SECONDS = 10.0

PREFERRED_PORT = 6006

_PORTS_TRIED = 3

_JOIN_SECONDS = 30.0  # for one that others use, and that may be busy with what they record

_NEW = "new"

"""The layout of a database that no Phoenix has finished laying out yet; else it is that Phoenix's version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A running Phoenix.

    Attributes:
        url: where it answers.
        directory: where its data and its log are.
        pid: its process.
        process: the same, or None when somebody else runs it (`evalwire serve`).
    """

    url: str
    directory: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None


class _PortTakenError(LocalServerError):
    """Another program listens on the port that a server was to have."""


@contextlib.contextmanager
def local_phoenix(
    directory: Path,
    environ: Mapping[str, str],
    *,
    announce: Callable[[str], None] = lambda _: None,
    port: int | None = None,
) -> Iterator[LocalServer]:
    """Serve a Phoenix from `directory` while the block runs; use the one that serves it already, if any.

    Args:
        directory: for its database, log and lock; made when missing.
        environ: the environment to start it in; Phoenix's and OpenTelemetry's variables are left out.
        announce: told what is going on, in one line.
        port: the port to listen on; by default the last one of this folder, else 6006, else any free one.

    Raises:
        LocalServerError: `arize-phoenix` is not installed, the folder cannot be used, the port that was asked for is
            taken, or it did not start.
    """
    directory = directory.resolve()
    _require_server()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".gitignore").write_text("*\n")
        users = (directory / "users.lock").open("a+")
    except OSError as error:
        raise LocalServerError(f"the folder {directory} for the local Phoenix cannot be used: {error}.") from error
    _own_locks.add(users)
    with users:
        with _turn(directory), _unlocked_on_error(users):
            server = _join_or_start(directory, environ, users, announce, port)
        try:
            yield server
        finally:
            try:
                with _turn(directory):
                    fcntl.flock(users, fcntl.LOCK_UN)
                    if _is_alone(users):  # the last one ends it, whoever started it
                        _stop(server)
                        fcntl.flock(users, fcntl.LOCK_UN)  # before the next one's turn, which looks at it
            except OSError as error:  # nobody can use the server any more
                _stop(server)
                raise LocalServerError(f"the folder {directory} of the local Phoenix was lost: {error}.") from error


_own_locks: weakref.WeakSet[TextIO] = weakref.WeakSet()


def _close_in_child() -> None:
    """A process that user code forks has this one's open files, and would be a user when this one is gone."""
    for lock in list(_own_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)


@contextlib.contextmanager
def _unlocked_on_error(users: TextIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        fcntl.flock(users, fcntl.LOCK_UN)
        raise


@contextlib.contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """One at a time starts or ends a server in a folder."""
    with (directory / "turn.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_alone(users: TextIO) -> bool:
    """Whether no other process uses the folder's server; each one that does shares this lock."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _join_or_start(
    directory: Path, environ: Mapping[str, str], users: TextIO, announce: Callable[[str], None], port: int | None
) -> LocalServer:
    """The server that others use already, or a new one; from here on this process is one of its users."""
    if not _is_alone(users):
        fcntl.flock(users, fcntl.LOCK_SH)
        state = _state(directory)
        port, pid = state.get("port"), state.get("pid")
        if not (isinstance(port, int) and isinstance(pid, int)):  # the file is damaged
            raise LocalServerError(f"{directory / 'server.json'} does not tell where the Phoenix of this folder is.")
        server = _server(directory, port, pid)
        if not _answers_within(server, _JOIN_SECONDS):
            raise LocalServerError(f"the Phoenix that serves {directory} does not answer; see its server.log.")
        announce(f"using the Phoenix that serves {directory} already")
        return server
    _end_server(directory, announce)  # one that a killed evalwire left behind
    server = _start_on_a_port(directory, environ, announce, port)
    fcntl.flock(users, fcntl.LOCK_SH)
    return server


def _start_on_a_port(
    directory: Path, environ: Mapping[str, str], announce: Callable[[str], None], port: int | None
) -> LocalServer:
    """A new server, ready; on another port where another program took the one that was free when it began."""
    for attempt in range(1, _PORTS_TRIED + 1):
        server = _start(directory, environ, port or _choose_port(directory), announce)
        try:
            _wait_until_ready(server, announce)
        except _PortTakenError as error:
            _abandon(server, announce)
            if port or attempt == _PORTS_TRIED:
                raise
            announce(f"{error} Trying another one.")
        except BaseException:
            _abandon(server, announce)
            raise
        else:
            _write_state(directory, port=_port(server), pid=server.pid, layout=_version())
            return server
    raise AssertionError("the last attempt returns or raises")


def _version() -> str:
    """Of the Phoenix server that is installed."""
    return importlib.metadata.version("arize-phoenix")


def _require_server() -> None:
    try:
        _version()
    except importlib.metadata.PackageNotFoundError:
        raise LocalServerError(
            "--local needs a Phoenix server, which is not installed here.\n"
            "Install it with: pip install 'evalwire[local]'; or set PHOENIX_ENDPOINT to a server that runs."
        ) from None


def _choose_port(directory: Path) -> int:
    last = _state(directory).get("port", PREFERRED_PORT)
    for port in (last, PREFERRED_PORT, 0):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError, TypeError, OverflowError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise LocalServerError("no free port on 127.0.0.1.")


def _state(directory: Path) -> dict[str, Any]:
    try:
        state = json.loads((directory / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(directory: Path, *, port: int, pid: int, layout: str | None) -> None:
    (directory / "server.json").write_text(json.dumps({"port": port, "pid": pid, "layout": layout}))


def _layout(directory: Path) -> str | None:
    """Whose tables the folder's database has: `_NEW` or a version of Phoenix; None where nobody wrote it down."""
    if not (directory / "phoenix.db").exists():
        return _NEW
    layout = _state(directory).get("layout")
    return layout if isinstance(layout, str) else None


def _set_aside_unfinished(directory: Path, announce: Callable[[str], None]) -> None:
    """Move a database away whose first Phoenix was ended before it was ready: no other can open it."""
    if _layout(directory) != _NEW or not (directory / "phoenix.db").exists() or _holds_something(directory):
        return
    for suffix in ("", "-wal", "-shm", "-journal"):
        aside = directory / f"unfinished.db{suffix}"
        aside.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (directory / f"phoenix.db{suffix}").replace(aside)
    announce("the database of a Phoenix that was ended at its first start is set aside as unfinished.db")


def _holds_something(directory: Path) -> bool:
    """Whether anybody has put anything into a folder's database; of one that cannot be read, it is taken for true."""
    path = directory / "phoenix.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return any(
                database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of ours
                for table in sorted(tables & {"datasets", "spans"})
            )
    except sqlite3.Error:
        return True


def _patience(directory: Path) -> float:
    """Seconds until a server should be ready."""
    return READY_SECONDS if _layout(directory) in (_NEW, _version()) else _MIGRATION_SECONDS


def _abandon(server: LocalServer, announce: Callable[[str], None]) -> None:
    """End a server that is not ready yet, and leave a database that the next one can open.

    A Phoenix that ends while it changes its tables leaves them half changed, and does not start on them again. New ones
    are made anew at the next start; those of an earlier Phoenix hold results, so the change is waited for.
    """
    try:
        _finish_migration(server, announce)
    finally:
        _stop(server)


def _finish_migration(server: LocalServer, announce: Callable[[str], None]) -> None:
    if _layout(server.directory) in (_NEW, _version()):
        return
    import psutil  # noqa: PLC0415 - comes with the Phoenix server, an extra

    announce("waiting for the local Phoenix, which may be changing its database for a new version")
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended
        process = psutil.Process(server.pid)
        latest = process.create_time() + _MIGRATION_SECONDS
        while process.status() != psutil.STATUS_ZOMBIE and not _is_ready(server) and time.time() < latest:
            time.sleep(0.1)


def _end_server(directory: Path, announce: Callable[[str], None] = lambda _: None) -> None:
    """End the server of a folder, known by its id, its command and its working directory."""
    import psutil  # noqa: PLC0415 - comes with the Phoenix server, an extra

    state = _state(directory)
    with contextlib.suppress(psutil.Error, OSError, TypeError, ValueError):  # it is gone, or the file is damaged
        process = psutil.Process(state.get("pid", 0))
        if "phoenix.server.main" in process.cmdline() and Path(process.cwd()) == directory:
            if isinstance(port := state.get("port"), int):
                server = _server(directory, port, process.pid)
                if state.get("layout") == _NEW and _is_ready(server):  # since then; it may have been used, too
                    _write_state(directory, port=port, pid=process.pid, layout=None)
                _finish_migration(server, announce)
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:  # two of them would write to one database
                process.kill()


def _start(
    directory: Path, environ: Mapping[str, str], port: int, announce: Callable[[str], None] = lambda _: None
) -> LocalServer:
    _set_aside_unfinished(directory, announce)
    layout = _layout(directory)
    if layout == _NEW and (directory / "phoenix.db").exists():  # it holds something after all
        layout = None
    ours = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(_free_port()),
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
            start_new_session=True,  # Ctrl-C is for evalwire, which still records for a while
        )
    _write_state(directory, port=port, pid=process.pid, layout=layout)
    return _server(directory, port, process.pid, process)


def _server(directory: Path, port: int, pid: int, process: subprocess.Popen[bytes] | None = None) -> LocalServer:
    return LocalServer(url=f"http://127.0.0.1:{port}", directory=directory, pid=pid, process=process)


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: LocalServer, announce: Callable[[str], None]) -> None:
    """Return as soon as it answers.

    Raises:
        _PortTakenError: another program has its port.
        LocalServerError: it ended, or takes too long.
    """
    announce(f"starting a Phoenix at {server.url}, data in {server.directory}")
    started, patience = time.monotonic(), _patience(server.directory)
    while not _is_ready(server):
        _check_port(server)
        if server.process is not None and server.process.poll() is not None:
            raise LocalServerError(f"the local Phoenix ended with {server.process.returncode}:\n{_log_tail(server)}")
        if time.monotonic() - started > patience:
            raise LocalServerError(f"the local Phoenix was not ready after {patience:g} s:\n{_log_tail(server)}")
        time.sleep(0.1)
    announce(f"Phoenix is ready after {time.monotonic() - started:.0f} s")


def _is_ready(server: LocalServer) -> bool:
    """Whether this server answers; that another one does at its address, an earlier project's say, does not count."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no company's proxy knows this address
    try:
        with direct.open(f"{server.url}/readyz", timeout=2) as answer:
            return answer.status == 200 and _is_listening(server)  # noqa: PLR2004
    except (OSError, http.client.HTTPException):
        return False


def _answers_within(server: LocalServer, seconds: float) -> bool:
    """Whether a server answers, soon or late, while its process lives."""
    import psutil  # noqa: PLC0415 - comes with the Phoenix server, an extra

    latest = time.monotonic() + seconds
    while not (is_ready := _is_ready(server)) and psutil.pid_exists(server.pid) and time.monotonic() < latest:
        time.sleep(0.1)
    return is_ready


def _check_port(server: LocalServer) -> None:
    """Raise `_PortTakenError` where somebody accepts connections on its port who is not this server."""
    port = _port(server)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return
    if not _is_listening(server):
        raise _PortTakenError(f"port {port} of 127.0.0.1 is taken by another program.")


def _is_listening(server: LocalServer) -> bool:
    """Whether the server's own process is the one that listens on its port."""
    import psutil  # noqa: PLC0415 - comes with the Phoenix server, an extra

    try:
        sockets = psutil.Process(server.pid).net_connections(kind="tcp")
    except psutil.Error:  # it ended
        return False
    port = _port(server)
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def _port(server: LocalServer) -> int:
    return int(server.url.rpartition(":")[2])


def _log_tail(server: LocalServer, lines: int = 15) -> str:
    text = (server.directory / "server.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"


def _stop(server: LocalServer) -> None:
    if server.process is None:
        _end_server(server.directory)
        return
    if server.process.poll() is not None:
        return
    server.process.terminate()
    try:
        server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
