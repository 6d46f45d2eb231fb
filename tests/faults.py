"""A proxy in front of a real Phoenix that misbehaves on request: refuses, resets, delays, answers wrongly."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """What to do to one request instead of passing it on.

    `after_commit` passes it on first, so that the server has it, and then loses the answer.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False
    delay_seconds: float = 0.0
    after_commit: bool = False


Rule = Callable[[str, str], Fault | None]


class FaultyPhoenix:
    """`rule(method, path)` is asked for each request; None passes it on untouched."""

    def __init__(self, upstream: str, rule: Rule | None = None) -> None:
        self.rule = rule or (lambda _method, _path: None)
        self.requests: list[tuple[str, str]] = []
        self._upstream = urlsplit(upstream)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - named by http.server

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, method: str, part: str) -> int:
        """How many requests of this method had `part` in their path."""
        return sum(1 for asked, path in list(self.requests) if asked == method and part in path)

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        self.requests.append((request.command, request.path))
        fault = self.rule(request.command, request.path)
        if fault and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault is None or fault.after_commit or (fault.status is None and not fault.reset):
            status, headers, answer = self._forward(request, body)
        if fault and fault.reset:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.close_connection = True
            request.connection.close()
            return
        if fault and fault.status is not None:
            status, headers, answer = fault.status, fault.headers, fault.body
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(answer)))
        request.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            request.wfile.write(answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
        headers["accept-encoding"] = "identity"
        connection.request(request.command, request.path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = {
            name: value
            for name, value in answer.getheaders()
            if name.lower() not in ("content-length", "transfer-encoding", "connection")
        }
        connection.close()
        return answer.status, kept, content

    @contextlib.contextmanager
    def serving(self) -> Iterator[FaultyPhoenix]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def first(times: int, fault: Fault, *, method: str, part: str) -> Rule:
    """A rule: the first `times` requests of this method with `part` in their path have the fault."""
    left = times
    lock = threading.Lock()

    def rule(asked: str, path: str) -> Fault | None:
        nonlocal left
        with lock:
            if asked == method and part in path and left > 0:
                left -= 1
                return fault
        return None

    return rule
