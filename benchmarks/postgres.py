"""A PostgreSQL of Debian's on loopback, and processes of Phoenix that store their data in it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

_READY_SECONDS = 120.0
_NOT_INHERITED = ("PHOENIX_", "OTEL_")


class NotInstalledError(Exception):
    """A program of PostgreSQL is not installed."""


def program(name: str) -> str:
    """Return the path of a program of PostgreSQL's server, which Debian does not add to the PATH.

    Raises:
        NotInstalledError: the program is not installed.
    """
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
    if found is None:
        raise NotInstalledError(f"PostgreSQL's {name} is not installed")
    return found


def free_port() -> int:
    """Return a free TCP port on loopback."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def database(*, durable: bool) -> Iterator[str]:
    """Start a new PostgreSQL on loopback, and yield its URL.

    Args:
        durable: whether commits wait for the disk, as in production.

    Raises:
        NotInstalledError: PostgreSQL is not installed.
    """
    initdb, postgres = program("initdb"), program("postgres")
    is_root = os.geteuid() == 0  # PostgreSQL refuses to run as root
    owner = pwd.getpwnam("postgres" if is_root else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="evalwire-postgres-"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    user, group, groups = (owner.pw_uid, owner.pw_gid, []) if is_root else (None, None, None)
    data, port = folder / "data", free_port()
    try:
        initialize = [initdb, "-D", data, "-U", "evalwire", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(
            initialize, check=True, capture_output=True, cwd=folder, user=user, group=group, extra_groups=groups
        )
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
        options += [] if durable else ["-c", "fsync=off"]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                user=user,
                group=group,
                extra_groups=groups,
            )
        try:
            yield f"postgresql://evalwire@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def phoenix(database_url: str) -> Iterator[str]:
    """Start a process of Phoenix that stores its data in a PostgreSQL, and yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        settings = {
            "PHOENIX_SQL_DATABASE_URL": database_url,
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        log = Path(folder) / "log"
        with log.open("w") as file:
            command = [sys.executable, "-m", "phoenix.server.main", "serve"]
            server = subprocess.Popen(command, env={**kept, **settings}, stdout=file, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, server, log)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Phoenix at {url} is not ready: {log.read_text()[-3000:]}")
        time.sleep(0.3)
