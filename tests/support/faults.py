"""A proxy in front of a real Phoenix that misbehaves on request: refuses, resets, delays, answers wrongly, lies."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

CONNECT = "CONNECT"  # the "method" that a rule is asked for when a connection is accepted

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing sends RST
_invented = itertools.count(900_000_001)


@dataclass(frozen=True)
class Fault:
    """What to do to one request instead of passing it on.

    `after_commit` passes it on first, so that the server has it, and then spoils or loses the answer. A GET whose
    answer is spoilt (`cut`, `truncated`) is passed on in any case.

    Attributes:
        status: answer with this status, `headers` and `body`.
        reset: answer with RST, before any byte.
        delay_seconds: wait before anything else.
        cut: send the head and half of the body, then RST or a clean close.
        truncated: send half of the body as if it were the whole.
        lie: answer 200 with an id that looks right, and pass nothing on.
        hang: never answer; the connection stays open.
        late_seconds: RST at once, and pass it on only so much later.
        refuse: RST as soon as the connection is accepted; only for `CONNECT`.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False
    delay_seconds: float = 0.0
    after_commit: bool = False
    cut: Literal["", "reset", "close"] = ""
    truncated: bool = False
    lie: bool = False
    hang: bool = False
    late_seconds: float = 0.0
    refuse: bool = False

    @property
    def name(self) -> str:
        """What the tally calls it."""
        names = {
            "refused": self.refuse,
            "committed late": self.late_seconds,
            "hung": self.hang,
            "lie": self.lie,
            "half a body": self.cut == "close",
            "reset in the body": self.cut == "reset",
            "truncated JSON": self.truncated,
            "answer lost": self.reset and self.after_commit,
            "reset": self.reset,
            "HTML": self.status == http.client.OK and b"<html" in self.body,
            str(self.status): self.status is not None,
            "delay": self.delay_seconds,
        }
        name = next((name for name, is_so in names.items() if is_so), "passed on")
        return f"{name} after commit" if self.after_commit and not self.reset else name

    @property
    def _passes_on(self) -> bool:
        others = (self.status, self.reset or None, self.lie or None, self.cut or None, self.truncated or None)
        return self.after_commit or all(one is None for one in others)


Rule = Callable[[str, str], Fault | None]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: FaultyPhoenix

    def server_bind(self) -> None:
        """Bind without the look-up of a name that http.server makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.proxy._accepts(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has left is no news."""


class FaultyPhoenix:
    """`rule(method, path)` is asked for each request; None passes it on untouched.

    It is asked for each connection too, with `CONNECT`; only a fault with `refuse` counts there. `keep_alive=False`
    closes every connection after its answer, so that each request has one of its own.
    """

    def __init__(self, upstream: str, rule: Rule | None = None, *, keep_alive: bool = True) -> None:
        self.rule = rule or (lambda _method, _path: None)
        self.requests: list[tuple[str, str]] = []
        self.injected: Counter[str] = Counter()
        self.keep_alive = keep_alive
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._late: list[threading.Thread] = []
        self._ending = threading.Event()
        self._address = ("127.0.0.1", 0)
        self._server = self._bind()
        self._address = self._server.server_address
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def count(self, method: str, part: str) -> int:
        """How many requests of this method had `part` in their path."""
        return sum(1 for asked, path in list(self.requests) if asked == method and part in path)

    def settle(self) -> None:
        """Wait for what is to be passed on late."""
        for thread in list(self._late):
            thread.join(60)

    @contextlib.contextmanager
    def serving(self) -> Iterator[FaultyPhoenix]:
        self._start()
        try:
            yield self
        finally:
            self._ending.set()
            self._end()
            self.settle()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Nobody listens at the address while the block lasts; connections that were open are reset."""
        self._end()
        try:
            yield
        finally:
            self._server = self._bind()
            self._start()

    # --- connections ---------------------------------------------------------------------------------

    def _bind(self) -> _Server:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with proxy._lock:
                    proxy._open.add(self.connection)

            def finish(self) -> None:
                with proxy._lock:
                    proxy._open.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - named by http.server

            def log_message(self, *_: object) -> None:
                pass

        server = _Server(self._address, Handler)
        server.proxy = self
        return server

    def _start(self) -> None:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()

    def _end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it

    def _accepts(self, connection: socket.socket) -> bool:
        fault = self.rule(CONNECT, "")
        if fault is None or not fault.refuse:
            return True
        self._note(fault)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.close()
        return False

    def _note(self, fault: Fault) -> None:
        with self._lock:
            self.injected[fault.name] += 1

    # --- requests ------------------------------------------------------------------------------------

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        self.requests.append((request.command, request.path))
        fault = self.rule(request.command, request.path)
        if fault is None or fault.refuse:
            self._answer(request, self._forward(request, body))
            return
        self._note(fault)
        if fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault.late_seconds:
            self._forward_later(request, body, fault.late_seconds)
        elif fault.hang:
            self._ending.wait(300)
        if fault.late_seconds or fault.hang:
            _reset(request)
            return
        if fault._passes_on or (request.command == "GET" and (fault.cut or fault.truncated)):
            answer = self._forward(request, body)
        else:
            answer = _invent(request.path)
        if fault.reset:
            _reset(request)
            return
        if fault.status is not None:
            answer = Answer(fault.status, fault.headers, fault.body)
        if fault.truncated:
            answer = replace(answer, body=answer.body[: len(answer.body) // 2])
        self._answer(request, answer, cut=fault.cut)

    def _answer(self, request: BaseHTTPRequestHandler, answer: Answer, *, cut: str = "") -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            request.send_response(answer.status)
            for name, value in answer.headers.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(answer.body)))
            if not self.keep_alive:
                request.send_header("connection", "close")
                request.close_connection = True
            request.end_headers()
            request.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        if cut == "close":
            request.close_connection = True
        elif cut:
            time.sleep(0.01)  # else the RST may overtake the bytes
            _reset(request)

    def _forward_later(self, request: BaseHTTPRequestHandler, body: bytes, seconds: float) -> None:
        def forward() -> None:
            time.sleep(seconds)
            self._forward(request, body)

        thread = threading.Thread(target=forward, daemon=True)
        self._late.append(thread)
        thread.start()

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
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
        return Answer(answer.status, kept, content)


def _reset(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.connection.close()


def _invent(path: str) -> Answer:
    """What Phoenix might have answered to a POST, with an id that nothing has."""
    number = next(_invented)
    if path.endswith("/runs"):
        data: Any = {"id": node_id("ExperimentRun", number)}
    elif path.startswith("/v1/experiment_evaluations"):
        data = {"id": node_id("ExperimentEvaluation", number)}
    elif found := re.fullmatch(r"/v1/datasets/([^/]+)/experiments", path):
        data = {
            "id": node_id("Experiment", number),
            "dataset_id": found[1],
            "name": "invented",
            "project_name": "invented",
            "successful_run_count": 0,
            "failed_run_count": 0,
        }
    else:
        data = {"total_received": 1, "total_queued": 1}
    return Answer(http.client.OK, {"content-type": "application/json"}, json.dumps({"data": data}).encode())


def node_id(kind: str, number: int) -> str:
    """An id as Phoenix makes them."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


# --- rules ---------------------------------------------------------------------------------------------


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


Kind = Literal["connect", "dataset", "create", "runs", "evaluations", "spans", "others"]


def kind_of(method: str, path: str) -> Kind:
    """What a request is for."""
    path = path.partition("?")[0]
    if method == CONNECT:
        return "connect"
    if method == "POST" and path.endswith("/runs"):
        return "runs"
    if method == "POST" and path.endswith("/experiment_evaluations"):
        return "evaluations"
    if method == "POST" and path.endswith("/v1/traces"):
        return "spans"
    if path.startswith("/v1/datasets"):
        if path.endswith("/experiments"):
            return "create" if method == "POST" else "others"
        return "dataset"
    return "others"


class Schedule:
    """A rule: for each kind of request a sequence of faults, consumed in order; None lets one request pass.

    Args:
        faults: by kind.
        then: what every further request of a kind has, for ever.
    """

    def __init__(
        self, faults: Mapping[Kind, Sequence[Fault | None]] | None = None, *, then: Mapping[Kind, Fault] | None = None
    ) -> None:
        self._left = {kind: deque(sequence) for kind, sequence in (faults or {}).items()}
        self._then = dict(then or {})
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str) -> Fault | None:
        kind = kind_of(method, path)
        with self._lock:
            left = self._left.get(kind)
            return left.popleft() if left else self._then.get(kind)

    def end(self) -> None:
        """No further fault."""
        with self._lock:
            self._left.clear()
            self._then.clear()
