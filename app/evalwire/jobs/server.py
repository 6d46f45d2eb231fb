"""Connect to the configured Phoenix server, or to a local server that is started for the job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from evalwire import phoenix as phoenix_room

if TYPE_CHECKING:
    from evalwire.jobs.console import Console
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings

Connect = Callable[[str | None], "Phoenix"]
"""Connects to a Phoenix server: to an address without credentials, or for None to the configured server."""


@contextlib.contextmanager
def reachable_phoenix(
    settings: Settings,
    environ: Mapping[str, str],
    console: Console,
    connect: Connect,
    *,
    local: bool,
) -> Iterator[Phoenix]:
    """Yield the Phoenix server of a job; with `local`, start a server."""
    if not local:
        yield connect(None)
        return
    with phoenix_room.local_phoenix(settings.local_dir, environ, announce=console.say) as server:
        yield connect(server.url)
