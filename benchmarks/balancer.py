"""A load balancer on loopback that distributes connections over servers in turn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

_CHUNK = 65_536


@contextlib.contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """Start a load balancer in a separate process, and yield its address."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, list(urls)), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def _serve(connection: Any, urls: Sequence[str]) -> None:
    turns = itertools.cycle([urlsplit(url).port for url in urls])

    async def main() -> None:
        server = await asyncio.start_server(forward, "127.0.0.1", 0)
        connection.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", next(turns))
        await asyncio.gather(_copy(reader, their_writer), _copy(their_reader, writer))

    asyncio.run(main())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
