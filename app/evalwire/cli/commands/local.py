"""`evalwire local`: show or stop the local Phoenix of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.jobs import local_progress
from evalwire.phoenix import local_status, stop_local_phoenix

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def status(invocation: Invocation) -> int:
    """Show the state of the local Phoenix; return exit code 0 even if none is running.

    Raises:
        LocalServerError: no Phoenix server is installed.
    """
    found = local_status(invocation.settings.local_dir)
    if found is None:
        return _show_none(invocation)
    if found.is_used:
        use = "a command is using it"
    elif found.keep_minutes is None:
        use = "no command uses it; to stop it, run: evalwire local stop"  # left by a command that was killed
    else:
        left = max(0.0, found.keep_minutes * 60 - found.idle_seconds)
        use = f"it stops in {_duration(left)} if it is not used"
    server = found.server
    invocation.console.show(
        f"Phoenix {server.version} is running at {server.url}: {use}\n"
        f"process {server.pid}, data and log in {server.directory}\n"
    )
    return 0


def stop(invocation: Invocation) -> int:
    """Stop the local Phoenix; return exit code 0 also if none is running.

    Raises:
        LocalServerError: a command uses the server, or no Phoenix server is installed.
    """
    server = stop_local_phoenix(invocation.settings.local_dir, local_progress(invocation.console))
    if server is None:
        return _show_none(invocation)
    invocation.console.show(f"stopped the local Phoenix at {server.url}\n")
    return 0


def _show_none(invocation: Invocation) -> int:
    invocation.console.show(f"no local Phoenix is running with data in {invocation.settings.local_dir.resolve()}\n")
    return 0


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 2 * 60 else f"{seconds:.0f} s"
