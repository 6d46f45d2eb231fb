"""`evalwire serve`: run the local Phoenix of `run --local` until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.errors import Interrupted
from evalwire.jobs import Signals
from evalwire.phoenix import local_phoenix

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def serve(invocation: Invocation, *, port: int | None = None) -> int:
    """Serve the local Phoenix until SIGINT or SIGTERM.

    Returns:
        0 after a signal or if the server is already running; 1 if the server stopped on its own.

    Raises:
        LocalServerError: the server could not be started.
    """
    try:
        with (
            Signals(),
            local_phoenix(
                invocation.settings.local_dir, invocation.environ, announce=invocation.console.say, port=port
            ) as server,
        ):
            if server.process is None:
                invocation.console.out.write(f"Phoenix is already running at {server.url}\n")
                return 0
            invocation.console.out.write(f"Phoenix: {server.url} (stop with Ctrl-C)\n")
            invocation.console.out.flush()
            server.process.wait()
    except Interrupted:
        return 0
    invocation.console.warn(f"the local Phoenix stopped unexpectedly. See {invocation.settings.local_dir}/server.log")
    return 1
