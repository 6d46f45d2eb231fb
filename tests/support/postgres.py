"""A PostgreSQL of Debian's for a test session, and a Phoenix on it."""

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
import pytest

_READY_SECONDS = 120.0


def _program(name: str) -> str:
    """A program of PostgreSQL's server, which Debian keeps off the PATH; a skip where there is none, unless required."""
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
    if found is None:
        if os.environ.get("EVALWIRE_REQUIRE_POSTGRES_TESTS") == "1":
            pytest.fail(f"PostgreSQL's {name} is not installed, and EVALWIRE_REQUIRE_POSTGRES_TESTS=1")
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def database() -> Iterator[str]:
    """A new PostgreSQL on loopback; its address."""
    initdb, postgres = _program("initdb"), _program("postgres")
    # it refuses to run as root
    owner = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="evalwire-postgres-"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    data, port = folder / "data", free_port()
    try:
        command = [initdb, "-D", data, "-U", "evalwire", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **as_owner)
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, *options], stdout=log, stderr=subprocess.STDOUT, cwd=folder, **as_owner
            )
        try:
            yield f"postgresql://evalwire@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def phoenix() -> Iterator[str]:
    """A Phoenix whose data are in a PostgreSQL of its own; its address."""
    with database() as address, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))}
        settings = {
            "PHOENIX_SQL_DATABASE_URL": address,
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with (Path(folder) / "log").open("w+") as log:
            command = [sys.executable, "-m", "phoenix.server.main", "serve"]
            server = subprocess.Popen(command, env={**kept, **settings}, stdout=log, stderr=subprocess.STDOUT)
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(url, server, Path(folder) / "log")
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
        assert server.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.3)
