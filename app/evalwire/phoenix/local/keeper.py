"""Stop a kept local Phoenix when it is not used; a process of its own, started by `keeping.keep`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil

from evalwire import clocks
from evalwire.phoenix.local.directory import state_of
from evalwire.phoenix.local.keeping import forget, kept_minutes, last_use, note_use
from evalwire.phoenix.local.locks import is_alone, leave, locked, open_turn, open_users
from evalwire.phoenix.local.process import end, end_left_behind, is_alive, process_of, running_server

if TYPE_CHECKING:
    from evalwire.phoenix.local.server import LocalServer

_POLL_SECONDS = 2.0  # Phoenix closes a connection after 5 s without a request, so no browser is overlooked


class Keeper:
    """Watches the server of a directory.

    A command uses the server while it has the lock of `open_users`, and notes its use. A browser or another client uses
    it while a connection is open.

    Args:
        directory: the directory of the server.
        lock: the descriptor of the keeper's lock, which the keeper gives back with the turn.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self.asked_to_stop = threading.Event()
        self._directory = directory
        self._lock = lock
        self._process: psutil.Process | None = None
        self._database: tuple[int, int] | None = None
        self._noted = last_use(directory)
        self._used_at = clocks.monotonic()

    def watch(self) -> str:
        """Wait until the server is not needed, and stop it; return the reason."""
        with contextlib.suppress(OSError):  # the directory disappears
            if reason := self._watch():
                return reason
        if self._process is not None:
            end(self._process)
        return "its directory or its database was removed"

    def _watch(self) -> str:
        # opened once, because opening would create the files in a directory that is being removed
        with open_turn(self._directory) as turn_lock, open_users(self._directory) as users:
            while True:
                self.asked_to_stop.wait(_POLL_SECONDS)
                with locked(turn_lock):
                    if self._has_lost_its_data():
                        return ""
                    if reason := self._look(users):
                        os.close(self._lock)
                        return reason

    def _has_lost_its_data(self) -> bool:
        """Check whether the directory or a file of the server is gone, or another database is in its place."""
        if self._process is None or not is_alive(self._process):
            self._database = None  # the next server may start with another file
            return not self._directory.is_dir()
        if state_of(self._directory) is None:
            return True
        try:
            found = (self._directory / "phoenix.db").stat()
        except FileNotFoundError:
            return self._database is not None
        identity = (found.st_dev, found.st_ino)
        self._database = self._database or identity
        return self._database != identity

    def _look(self, users: TextIO) -> str:
        """Check whether the server is in use, and stop it if it is not; return the reason, or an empty text."""
        server = running_server(self._directory)
        if server is not None:
            self._process = process_of(server) or self._process
        is_unused = is_alone(users)
        if not is_unused or self._has_traces_of_use(server):
            note_use(self._directory)
            self._noted = last_use(self._directory)
            self._used_at = clocks.monotonic()
        reason = self._reason_to_stop() if is_unused or self.asked_to_stop.is_set() else ""
        if reason and is_unused and self._process is not None and is_alive(self._process):
            end_left_behind(self._directory)  # not while it migrates its database
            end(self._process)
            forget(self._directory)
        leave(users)
        return reason

    def _has_traces_of_use(self, server: LocalServer | None) -> bool:
        return last_use(self._directory) != self._noted or (server is not None and self._has_connections(server.port))

    def _has_connections(self, port: int) -> bool:
        try:
            sockets = self._process.net_connections(kind="tcp") if self._process is not None else []
        except psutil.Error:  # the process ended
            return False
        return any(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port for connection in sockets
        )

    def _reason_to_stop(self) -> str:
        if self.asked_to_stop.is_set():
            return "the keeper received SIGTERM"
        if self._process is None or not is_alive(self._process):
            return "the server ended"
        minutes = kept_minutes(self._directory)
        if clocks.monotonic() - self._used_at >= 60 * minutes:
            return f"it was not used for {minutes:g} minutes"
        return ""


def main() -> None:
    """Watch the server of the directory in the first argument; the second is the descriptor of the keeper's lock."""
    if os.fork():  # the command that starts the keeper must not wait for it, nor be its parent
        os._exit(0)
    directory = Path(sys.argv[1])
    keeper = Keeper(directory, int(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: keeper.asked_to_stop.set())
    _log(f"watching {directory}")
    _log(f"stopped watching {directory}: {keeper.watch()}")


def _log(line: str) -> None:
    sys.stdout.write(f"{clocks.now():%Y-%m-%d %H:%M:%S} UTC: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
