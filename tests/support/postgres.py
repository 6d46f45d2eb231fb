"""A Phoenix on a PostgreSQL of Debian's, for a test session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from benchmarks import postgres as servers

free_port = servers.free_port


@contextlib.contextmanager
def phoenix() -> Iterator[str]:
    """A Phoenix whose data are in a PostgreSQL of its own; a skip without PostgreSQL, unless it is required."""
    try:
        servers.program("initdb")
    except servers.NotInstalledError as missing:
        if os.environ.get("EVALWIRE_REQUIRE_POSTGRES_TESTS") == "1":
            pytest.fail(f"{missing}, and EVALWIRE_REQUIRE_POSTGRES_TESTS=1")
        pytest.skip(str(missing))
    with servers.database(durable=False) as address, servers.phoenix(address) as url:
        yield url
