"""Connect to the configured Phoenix server, or to a local server that is started for the job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import phoenix as phoenix_room
from evalwire.jobs.progress import waiting
from evalwire.settings import is_ci

if TYPE_CHECKING:
    from evalwire.jobs.console import Console
    from evalwire.phoenix import LocalServer, Phoenix
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
    with local_server(settings, environ, console) as server:
        yield connect(server.url)


def local_server(
    settings: Settings, environ: Mapping[str, str], console: Console
) -> contextlib.AbstractContextManager[LocalServer]:
    """Return a context in which the local Phoenix of the project runs; at a terminal, the server continues after it."""
    minutes: float | None = settings.keep_local
    if minutes and (reason := _reason_not_to_keep(environ, console)):
        if settings.source("keep_local") == "flag":
            console.say(f"note: --keep-local has no effect {reason}")
        minutes = None
    return phoenix_room.local_phoenix(
        settings.local_dir, environ, progress=local_progress(console), keep_minutes=minutes
    )


def local_progress(console: Console) -> phoenix_room.Progress:
    """Return functions that show the progress of a local Phoenix on a console."""
    return phoenix_room.Progress(say=console.say, wait=lambda what, why: waiting(what, why, console))


def kept_notice(settings: Settings) -> str | None:
    """Return the message that the local Phoenix continues after the command; None if it does not."""
    status = phoenix_room.local_status(settings.local_dir)
    if status is None or status.keep_minutes is None:
        return None
    return f"the local Phoenix stops after {status.keep_minutes:g} min without use, or with: evalwire local stop"


def local_notice(settings: Settings) -> str:
    """Return the message after a job on how to view its results in the local Phoenix."""
    return kept_notice(settings) or "to view these results in the local Phoenix, run: evalwire serve"


def _reason_not_to_keep(environ: Mapping[str, str], console: Console) -> str:
    """Return why a server must not continue after the command."""
    if is_ci(environ):
        return "in CI"
    if is_in_container(environ):
        return "in a container"
    return "" if console.out.isatty() and console.err.isatty() else "without a terminal"


def is_in_container(environ: Mapping[str, str]) -> bool:
    """Check for the marks of Docker, Podman, systemd and Kubernetes."""
    files = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(environ.get(name) for name in ("container", "KUBERNETES_SERVICE_HOST")) or any(
        file.exists() for file in files
    )
