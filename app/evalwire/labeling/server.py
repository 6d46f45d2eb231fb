"""The labeling page on the loopback interface."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evalwire.labeling.outputs import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.labeling.session import Labeling

_HOST = "127.0.0.1"
_OWN_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")  # names of other sites may resolve to this machine
_LONGEST_BODY = 64 * 1024  # bytes of a request
_IDLE_SECONDS = 60

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/script.js": ("script.js", "text/javascript; charset=utf-8"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class LabelingServer:
    """A server of the labeling page for this machine alone.

    The page without data is public. The data need the key, which is in the fragment of the page's address. A browser
    never sends the fragment, and a page of another site cannot read it. The script sends it in a header. There is no
    cookie, because other servers on this machine would receive it.

    Attributes:
        is_closed: set when requests of open connections are refused.

    Args:
        labeling: the outputs and answers.
        port: the port; 0 for any free port.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, labeling: Labeling, *, port: int = 0) -> None:
        self._key = secrets.token_urlsafe(32)
        self._codes: set[str] = set()
        self.is_closed = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server((_HOST, port), partial(_Handler, labeling, self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="evalwire-page", daemon=True)

    @property
    def origin(self) -> str:
        """The address of the server."""
        return f"http://{_HOST}:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        """The address of the page, with the key."""
        return f"{self.origin}/#{self._key}"

    def url_for_browser(self) -> str:
        """Return an address of the page that works once.

        The address is an argument of the browser's process, which other users of the machine can see.
        """
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._codes.add(code)
        return f"{self.origin}/#{code}"

    def is_key(self, given: str) -> bool:
        """Check whether a text is the key."""
        return hmac.compare_digest(given.encode(errors="replace"), self._key.encode())

    def exchange(self, code: str) -> str | None:
        """Return the key for the key itself, or for a code that was not used; else None."""
        if self.is_key(code):
            return self._key
        with self._lock:
            if code not in self._codes:
                return None
            self._codes.remove(code)
        return self._key

    def start(self) -> None:
        """Start serving on a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.is_closed.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections; errors of answers are answers."""


class _RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "evalwire"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def __init__(self, labeling: Labeling, server: LabelingServer, *connection: Any) -> None:
        self._labeling = labeling
        self._own = server
        super().__init__(*connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Write no log."""

    def do_GET(self) -> None:
        """Answer a read, which has no effect."""
        self._answer(self._read)

    def do_POST(self) -> None:
        """Answer a change."""
        self._answer(self._change)

    def _answer(self, respond: Any) -> None:
        try:
            self._check_open()
            self._check_host()
            respond()
        except _RefusedError as refused:
            self.close_connection = True  # the body may not have been read
            self._send_json({"error": str(refused)}, refused.status)

    def _read(self) -> None:
        if self._body_length():
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "a GET request must not have a body")
        path = urlsplit(self.path).path
        if path in _FILES:
            name, kind = _FILES[path]
            self._send((Path(__file__).parent / "page" / name).read_bytes(), kind)
            return
        if path == "/favicon.ico":
            self._send(b"", "image/x-icon", HTTPStatus.NO_CONTENT)
            return
        self._check_key()
        if path == "/api/state":
            self._send_json(self._labeling.state())
            return
        place = path.removeprefix("/api/outputs/")
        if place == path or not place.isdecimal():
            raise _RefusedError(HTTPStatus.NOT_FOUND, "this page does not exist")
        try:
            self._send_json(self._labeling.output(int(place[:9])))
        except ValueError as error:
            raise _RefusedError(HTTPStatus.NOT_FOUND, str(error)) from error

    def _change(self) -> None:
        self._check_origin()
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
        length = self._body_length()
        if length > _LONGEST_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {_LONGEST_BODY // 1024} kB"
            )
        path = urlsplit(self.path).path
        if path != "/api/key":
            self._check_key()
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
        if not isinstance(body, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body is not an object")
        if path == "/api/key":
            key = self._own.exchange(str(body.get("code", "")))
            if key is None:
                raise _RefusedError(
                    HTTPStatus.FORBIDDEN, "this address was used before. Open the address in the terminal"
                )
            self._send_json({"key": key})
        elif path == "/api/answers":
            self._save(body)
        elif path == "/api/done":
            self._send_json({})
            self._labeling.is_done.set()
        else:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "this page does not exist")

    def _save(self, body: Mapping[str, Any]) -> None:
        place, word, note = (body.get(key) for key in ("place", "word", "note"))
        if type(place) is not int or not isinstance(word, str) or not isinstance(note, str):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "an answer needs a place, a word and a note")
        try:
            self._labeling.answer(place, Answer(word=word, note=note))
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Exception as error:  # such as a full disk: the page shows that the answer is not saved
            raise _RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
        self._send_json(self._labeling.state())

    # --- checks ---

    def _check_open(self) -> None:
        if self._own.is_closed.is_set():
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "evalwire has ended. Run the command again")

    def _check_host(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _OWN_HOSTS.fullmatch(hosts[0]):
            raise _RefusedError(
                HTTPStatus.MISDIRECTED_REQUEST, "the page is only for this machine: open it at 127.0.0.1 or localhost"
            )

    def _check_origin(self) -> None:
        """Check that the page itself sent a request, rather than a page of another site."""
        origins = self.headers.get_all("Origin", [])
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if origins != [f"http://{self.headers['Host']}"] or site != "same-origin":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "only the labeling page can change labels")

    def _check_key(self) -> None:
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._own.is_key(key):
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "the key is wrong. Open the address in the terminal")

    def _body_length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdecimal()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "the length of the body is not given")
        return int(text[:12])

    # --- responses ---

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = json.dumps(value, ensure_ascii=True).encode()
        self._send(body, "application/json; charset=utf-8", status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, text in _HEADERS.items():
            self.send_header(name, text)
        if self.close_connection:
            self.send_header("Connection", "close")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
