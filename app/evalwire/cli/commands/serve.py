"""`evalwire serve`: the Phoenix of `run --local`, for as long as one looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.errors import Interrupted
from evalwire.jobs import Signals
from evalwire.phoenix import local_phoenix

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def serve(invocation: Invocation, *, port: int | None = None) -> int:
    """Serve it until SIGINT or SIGTERM, which is its ordinary end.

    Returns:
        0, or 1 when the server ended by itself.

    Raises:
        LocalServerError: it could not be started.
    """
    try:
        with (
            Signals(),
            local_phoenix(
                invocation.settings.local_dir, invocation.environ, announce=invocation.console.say, port=port
            ) as server,
        ):
            if server.process is None:
                invocation.console.out.write(f"{server.url} is served already\n")
                return 0
            invocation.console.out.write(f"Phoenix: {server.url} (end with Ctrl-C)\n")
            invocation.console.out.flush()
            server.process.wait()
    except Interrupted:
        return 0
    invocation.console.warn(f"the local Phoenix ended by itself; see {invocation.settings.local_dir}/server.log")
    return 1
