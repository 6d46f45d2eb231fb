"""The server of the labeling page answers this machine's page alone, and reads change nothing."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest

from evalwire.labeling import Labeling, LabelingServer, Output

TEXTS = {"input": [("q", "why?")], "expected": [], "output": [("", "because")]}


class World:
    def __init__(self) -> None:
        self.saved: list[tuple[str, str, str]] = []
        outputs = [Output(run_id=f"r{n}", example_id=f"e{n}", repetition=1, **TEXTS) for n in range(3)]
        self.labeling = Labeling(
            {"head": "h"},
            outputs,
            {},
            save=lambda out, answer: self.saved.append((out.run_id, answer.word, answer.note)),
        )
        self.server = LabelingServer(self.labeling)
        self.server.start()
        self.port = int(self.server.origin.rpartition(":")[2])
        self.key = self.server.url.partition("#")[2]

    def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **changed: str | None
    ) -> tuple[int, Any, Any]:
        """Send a request as the page does, with some headers changed or left out."""
        headers = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {self.key}"}
        if method == "POST":
            headers |= {
                "Origin": self.server.origin,
                "Content-Type": "application/json",
                "Sec-Fetch-Site": "same-origin",
            }
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if data is not None and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(data))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(data)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        found = json.loads(text) if "json" in response.headers.get("Content-Type", "") else text
        return response.status, found, response.headers


@pytest.fixture
def world():
    made = World()
    yield made
    made.server.close()


ANSWER = {"place": 1, "word": "pass", "note": "n"}


def test_the_page_saves_an_answer(world):
    status, state, _ = world.ask("POST", "/api/answers", ANSWER)
    assert (status, state["answers"]) == (200, [None, {"word": "pass", "note": "n"}, None])
    assert world.saved == [("r1", "pass", "n")]
    localhost = {"Host": f"localhost:{world.port}", "Origin": f"http://localhost:{world.port}"}
    assert world.ask("POST", "/api/answers", {**ANSWER, "word": ""}, **localhost)[0] == 200
    assert world.saved[-1] == ("r1", "", "n")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost@evil.example"}, 421),
        ({"Host": None}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Authorization": "Basic x"}, 401),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Length": "99999999999999"}, 413),
        ({"Content_Length": "-1"}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
    ids=str,
)
def test_another_writer_is_refused(world, changed, status):
    found, body, headers = world.ask("POST", "/api/answers", ANSWER, **changed)
    assert found == status
    assert body["error"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert world.saved == []


@pytest.mark.parametrize("path", ["/api/state", "/api/outputs/0"])
def test_the_data_need_the_key_and_the_host(world, path):
    assert world.ask("GET", path)[0] == 200
    assert world.ask("GET", path, Authorization=None)[0] == 401
    assert world.ask("GET", path, Host="evil.example")[0] == 421


@pytest.mark.parametrize("path", ["/api/answers", "/api/done", "/api/key"])
def test_reads_have_no_effect(world, path):
    assert world.ask("GET", path)[0] == 404
    assert world.ask("GET", "/api/state", raw=b"{}", Content_Length="2")[0] == 400
    assert world.saved == []
    assert not world.labeling.is_done.is_set()


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {**ANSWER, "place": 3},
        {**ANSWER, "place": -1},
        {**ANSWER, "place": True},
        {**ANSWER, "place": "1"},
        {**ANSWER, "word": "maybe"},
        {**ANSWER, "note": None},
        {**ANSWER, "note": "x" * 4_001},
    ],
    ids=str,
)
def test_an_invalid_answer_is_refused(world, body):
    status, found, _ = world.ask("POST", "/api/answers", body)
    assert status == 400
    assert found["error"]
    assert world.saved == []
    assert world.ask("POST", "/api/answers", raw=b"{")[0] == 400
    assert world.ask("POST", "/api/answers", raw=b"x" * 65_537)[0] == 413


def test_a_code_is_exchanged_once(world):
    code = world.server.url_for_browser().partition("#")[2]
    assert code != world.key
    assert world.ask("GET", "/api/state", Authorization=f"Bearer {code}")[0] == 401
    status, found, _ = world.ask("POST", "/api/key", {"code": code}, Authorization=None)
    assert (status, found) == (200, {"key": world.key})
    assert world.ask("POST", "/api/key", {"code": code}, Authorization=None)[0] == 403
    assert world.ask("POST", "/api/key", {"code": world.key}, Authorization=None)[0] == 200
    assert world.ask("POST", "/api/key", {"code": world.key}, Origin="http://evil.example")[0] == 403


def test_the_page_has_no_data_and_a_strict_policy(world):
    for path, kind in (("/", "text/html"), ("/script.js", "text/javascript"), ("/style.css", "text/css")):
        status, text, headers = world.ask("GET", path, Authorization=None)
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
        assert world.key.encode() not in text
        assert b"because" not in text
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers
        assert "Set-Cookie" not in headers
    for path in ("/../server.py", "/page.html", "/api/outputs/9", "/api/outputs/x", "/api/outputs/%33"):
        assert world.ask("GET", path)[0] == 404
    assert world.ask("OPTIONS", "/api/answers")[0] == 501


def test_it_listens_on_the_loopback_interface_alone(world):
    assert world.server.origin.startswith("http://127.0.0.1:")
    others = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in {"127.0.0.2", *others}:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, world.port), timeout=2).close()
