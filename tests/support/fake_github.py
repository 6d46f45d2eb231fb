"""GitHub's REST API, as far as the comments of one pull request go, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NUMBER = 7
MOST_CHARACTERS = 65_536  # of a comment
TOKEN = "a-token-of-these-tests"

Answer = tuple[int, Any, Mapping[str, str]]  # status, content and headers


@dataclass
class FakeGitHub:
    """A pull request's comments.

    Attributes:
        url: of the API.
        comments: as the API shows them, the oldest first.
        failures: status, message and headers of the next answers, before it does what it is asked to.
        requests: method and path of all that was asked.
        loses: whether the answers that fail come after the work is done.
        user: whose token it is; None for the token of a job, which comments as a bot.
    """

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[Any, ...]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loses: bool = False
    user: int | None = None

    def add(self, body: str, *, by: str = "Bot", author: int = 1) -> None:
        """A comment that is there already."""
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": {"type": by, "id": author}})

    def bodies(self, *, by: str = "Bot") -> list[str]:
        """The texts of comments."""
        return [one["body"] for one in self.comments if one["user"]["type"] == by]


class Handler(BaseHTTPRequestHandler):
    github: FakeGitHub  # of the subclass that serves it
    most_characters = MOST_CHARACTERS

    def do_GET(self) -> None:
        """A page of the comments."""
        self._answer(self._list)

    def do_POST(self) -> None:
        """A new comment."""
        self._answer(self._create)

    def do_PATCH(self) -> None:
        """Another text of a comment."""
        self._answer(self._update)

    def _answer(self, work: Callable[[Any], Answer]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = json.loads(body) if body else {}
        self.github.requests.append(f"{self.command} {self.path}")
        if not self._is_known():
            self._send(401, {"message": "Bad credentials"})
        elif self.github.failures and not (self.github.loses and self.command == "GET"):
            if self.github.loses:
                work(content)
            status, message, *headers = self.github.failures.pop(0)
            self._send(status, {"message": message}, dict(headers))
        elif len(content.get("body", "")) > self.most_characters:
            self._send(422, {"message": "Validation Failed"})
        else:
            self._send(*work(content))

    def _is_known(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {TOKEN}"

    def _list(self, _: Any) -> Answer:
        parts = urlsplit(self.path)
        if parts.path == "/user":
            user = self.github.user
            return (200, {"id": user}, {}) if user else (403, {"message": "Resource not accessible by integration"}, {})
        assert parts.path == f"/repos/team/bot/issues/{NUMBER}/comments"
        query = parse_qs(parts.query)
        size, page = int(query["per_page"][0]), int(query["page"][0])
        assert size <= 100
        is_last = page * size >= len(self.github.comments)
        link = f'<{self.github.url}{parts.path}?page={page + 1}>; rel="next", <x>; rel="last"'
        return 200, self.github.comments[(page - 1) * size : page * size], {} if is_last else {"Link": link}

    def _create(self, content: Any) -> Answer:
        assert self.path == f"/repos/team/bot/issues/{NUMBER}/comments"
        user = self.github.user
        self.github.add(content["body"], by="User" if user else "Bot", author=user or 1)
        return 201, self.github.comments[-1], {}

    def _update(self, content: Any) -> Answer:
        head, _, number = self.path.rpartition("/")
        assert head == "/repos/team/bot/issues/comments"
        (comment,) = [one for one in self.github.comments if one["id"] == int(number)]
        comment["body"] = content["body"]
        return 200, comment, {}

    def _send(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for header in (headers or {}).items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing: the requests are kept."""


@contextmanager
def fake_github(handler: type[Handler] = Handler) -> Iterator[FakeGitHub]:
    """A server, as long as the context lasts."""
    github = FakeGitHub()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (handler,), {"github": github})) as server:
        github.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield github
        finally:
            server.shutdown()
            thread.join()
