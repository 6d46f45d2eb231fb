"""`evalwire serve`: the Phoenix of `run --local`, for as long as one looks at it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

from evalwire.errors import Interrupted
from evalwire.phoenix import local_phoenix

if TYPE_CHECKING:
    from types import FrameType

    from evalwire.jobs import Context


def serve(context: Context, *, port: int | None = None) -> int:
    """Serve it until SIGINT or SIGTERM, which is its ordinary end.

    Returns:
        0, or 1 when the server ended by itself.

    Raises:
        LocalServerError: it could not be started.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature is Python's
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with local_phoenix(context.settings.local_dir, context.environ, announce=context.say, port=port) as server:
            if server.process is None:
                context.out.write(f"{server.url} is served already\n")
                return 0
            context.out.write(f"Phoenix: {server.url} (end with Ctrl-C)\n")
            context.out.flush()
            server.process.wait()
    except Interrupted:
        return 0
    context.err.write(f"evalwire: the local Phoenix ended by itself; see {context.settings.local_dir}/server.log\n")
    return 1
