"""`evalwire serve`: run the local Phoenix of `run --local` until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.errors import Interrupted
from evalwire.jobs import Signals, kept_notice, local_progress
from evalwire.phoenix import local_phoenix, wait_for_end

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def serve(invocation: Invocation, *, port: int | None = None) -> int:
    """Serve the local Phoenix until SIGINT or SIGTERM, also with a server that another command started.

    Returns:
        0 after a signal; 1 if the server stopped on its own.

    Raises:
        LocalServerError: the server could not be started.
    """
    settings, console = invocation.settings, invocation.console
    try:
        with (
            Signals(),
            local_phoenix(
                settings.local_dir, invocation.environ, progress=local_progress(console), port=port
            ) as server,
        ):
            hint = "stop with Ctrl-C" if server.process is not None else "already running; leave with Ctrl-C"
            console.out.write(f"Phoenix: {server.url} ({hint})\n")
            console.out.flush()
            wait_for_end(server)
    except Interrupted:
        if (message := kept_notice(settings)) is not None:
            console.say(message)
        return 0
    console.warn(f"the local Phoenix stopped unexpectedly. See {settings.local_dir}/server.log")
    return 1
