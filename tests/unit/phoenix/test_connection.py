"""Operations on a server: their time-outs, their errors, and what an outage changes; without a server."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from evalwire.errors import PhoenixError, PhoenixRefused, PhoenixUnreachable
from evalwire.model import Dataset, Evaluation, Example, TaskRun
from evalwire.phoenix import Phoenix, RetryPolicy
from evalwire.phoenix.connection import connect

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLE = Example(id="e1", node_id="N1", input={"q": 1}, output={}, metadata={})
RUN = TaskRun(example=EXAMPLE, output="out", failure=None, start_time=NOW, end_time=NOW)


class Server:
    """Answers as a Phoenix does, or as `answer` does; keeps the requests and their time-outs."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self.answer = answer
        self.requests: list[tuple[str, str, float]] = []
        connect(base_url="http://phoenix:6006")  # the quick import of the client
        from phoenix.client import Client

        transport = httpx.MockTransport(self._answer)
        self.client = Client(http_client=httpx.Client(transport=transport, base_url="http://phoenix:6006"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/arize_phoenix_version":
            return httpx.Response(200, text="20.26.1")
        self.requests.append((request.method, path, request.extensions["timeout"]["read"]))
        if self.answer is not None:
            return self.answer(request)
        match path.rpartition("/")[2]:
            case "runs" if request.method == "POST":
                return httpx.Response(200, json={"data": {"id": "R1", **json.loads(request.content)}})
            case "experiment_evaluations":
                return httpx.Response(200, json={"data": {"id": "V1"}})
            case "tags" | "datasets":
                return httpx.Response(200, json={"data": [], "next_cursor": None})
            case "E1":
                return httpx.Response(200, json={"data": {"id": "E1"}})
        return httpx.Response(404, json={"detail": "not here"})

    def phoenix(self, *, fetch_seconds: float = 40.0, record_seconds: float = 90.0) -> Phoenix:
        policies = {
            name: RetryPolicy(attempts=2, total_seconds=seconds, sleep=lambda _: None)
            for name, seconds in {"fetch": fetch_seconds, "record": record_seconds}.items()
        }
        return Phoenix(self.client, **policies)

    @property
    def timeouts(self) -> list[float]:
        return [seconds for *_, seconds in self.requests]


def refuse(status: int) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json={"detail": "no"})


@pytest.mark.parametrize(
    "operation",
    [
        lambda phoenix: phoenix.experiments.find("E1"),
        lambda phoenix: phoenix.experiments.tags("E1"),
        lambda phoenix: phoenix.claims.holder("c"),
        lambda phoenix: phoenix.version(),
    ],
    ids=["the record of an experiment", "tags", "a claim", "the client's own call"],
)
def test_a_read_has_half_of_the_read_policys_time(operation):
    server = Server()
    operation(server.phoenix(fetch_seconds=40.0))
    assert server.timeouts == [20]


@pytest.mark.parametrize(
    "operation",
    [
        lambda phoenix: phoenix.runs.record("E1", RUN, error=None),
        lambda phoenix: phoenix.runs.record_evaluation(
            "R1", Evaluation(name="e", evaluator="e", score=1.0, start_time=NOW, end_time=NOW), error=None
        ),
    ],
    ids=["a run", "an evaluation"],
)
def test_a_record_has_half_of_the_record_policys_time(operation):
    server = Server()
    operation(server.phoenix(record_seconds=90.0))
    assert server.timeouts == [45]


def test_an_upload_has_as_long_as_all_tries():
    server = Server()
    assert server.phoenix().uploads.find("d") is None
    assert server.timeouts == [900]


@pytest.mark.parametrize(("status", "error"), [(401, PhoenixRefused), (503, PhoenixUnreachable), (422, PhoenixError)])
def test_an_error_names_the_server_and_what_was_tried(status, error):
    with pytest.raises(error, match=r"Phoenix at http://phoenix:6006 .* read the tags of the experiment E1"):
        Server(refuse(status)).phoenix().experiments.tags("E1")


def test_only_an_outage_of_records_ends_all_retries():
    """After a lost record each operation gets one try; a read that failed costs nothing of that."""
    server = Server(refuse(503))
    phoenix = server.phoenix()

    def tries(operation: Callable[[], Any]) -> int:
        before = len(server.requests)
        with pytest.raises(PhoenixUnreachable):
            operation()
        return len(server.requests) - before

    assert [tries(lambda: phoenix.experiments.tags("E1")) for _ in range(2)] == [2, 2]
    assert [tries(lambda: phoenix.runs.record("E1", RUN, error=None)) for _ in range(2)] == [2, 1]
    assert tries(lambda: phoenix.experiments.tags("E1")) == 1


def test_an_operation_of_several_requests_is_retried_as_a_whole():
    """A creation whose answer was lost is looked for in the second try, and found."""
    key = {"evalwire_key": "k"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            raise httpx.ReadError("reset", request=request)
        return httpx.Response(200, json={"data": [{"id": "E9", "metadata": key}], "next_cursor": None})

    server = Server(answer)
    dataset = Dataset(id="D", name="d", version_id="V", examples=(EXAMPLE,))
    assert server.phoenix().experiments.create(dataset, name="n", metadata=key)["id"] == "E9"
    assert [method for method, *_ in server.requests] == ["POST", "GET"]


def test_a_client_without_a_connection_is_an_error_that_says_what_to_pass():
    class FakeClient:
        pass

    with pytest.raises(
        PhoenixError, match=r"type FakeClient: it has no HTTP connection.\nPass a phoenix.client.Client"
    ):
        Phoenix(FakeClient())


def test_an_asynchronous_client_is_refused():
    connect(base_url="http://phoenix:6006")
    from phoenix.client import AsyncClient

    with pytest.raises(PhoenixError, match="type AsyncClient"):
        Phoenix(AsyncClient(base_url="http://phoenix:6006"))


# --- imports -------------------------------------------------------------------------------------------


def python(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_rooms_face_imports_no_heavy_library():
    code = "import sys; import evalwire.phoenix; print({'httpx', 'tenacity', 'phoenix', 'psutil'} & set(sys.modules))"
    assert python(code) == "set()"


SERVER = """
import sys
raise RuntimeError("the server was imported")
"""


def test_a_client_that_is_no_longer_used_closes_its_connections():
    """Phoenix's own client has no `close`: scripts and notebooks would leave sockets behind."""
    client = connect(base_url="http://phoenix:6006")
    http = client._client
    assert not http.is_closed
    del client
    gc.collect()
    assert http.is_closed


def test_the_client_is_imported_without_the_server(tmp_path: Path):
    """Where arize-phoenix is installed, its `phoenix/__init__` (10 s) does not run until a name of it is asked for."""
    connect(base_url="http://phoenix:6006")
    import phoenix.client

    package = tmp_path / "phoenix"
    package.mkdir()
    (package / "__init__.py").write_text(SERVER)
    (package / "client").symlink_to(Path(phoenix.client.__file__).parent)
    code = (
        "from evalwire.phoenix import connect; connect(base_url='http://x')\n"
        "import phoenix\n"
        "try:\n"
        "    phoenix.__version__\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    assert python(code, PYTHONPATH=str(tmp_path)) == "the server was imported"


# --- what is wrong with the way to the server ----------------------------------------------------------


def moved(status: int, location: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, headers={"location": location}, text="<html>moved</html>")


def fails(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1010)"
TAGS = "/v1/experiments/E1/tags"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (moved(301, f"https://phoenix.example{TAGS}"), "301.\nevalwire does not follow redirects: set PHOENIX_ENDPOINT to https://phoenix.example."),
        (moved(308, f"https://u:p@x:444/phoenix{TAGS}/"), "set PHOENIX_ENDPOINT to https://x:444/phoenix."),
        (moved(302, "/login?next=secret"), "It redirects to http://phoenix:6006/login (HTTP 302): a sign-in page"),
        (moved(307, "https://sso.example/auth?code=secret"), "It redirects to https://sso.example/auth (HTTP 307)"),
        (lambda _: httpx.Response(304), "Set PHOENIX_ENDPOINT to the server's new address."),
        (lambda _: httpx.Response(413, text="<html>too large</html>"), "size limit of the proxy in front of Phoenix (nginx: client_max_body_size)"),
        (lambda _: httpx.Response(407), "The proxy in HTTPS_PROXY refused: check its user and password"),
        (fails(httpx.ProxyError("407 Proxy Authentication Required")), "The proxy in HTTPS_PROXY refused"),
        (fails(httpx.ProxyError("403 Forbidden")), "The proxy in HTTPS_PROXY refused"),
        (fails(httpx.ConnectError(VERIFY)), "set SSL_CERT_FILE to the certificate of that authority"),
        (fails(httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number")), "Check whether the address starts with http://"),
        (fails(httpx.ConnectError("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] alert")), "TLS settings that evalwire does not offer"),
        (lambda _: httpx.Response(400, text="The plain HTTP request was sent to HTTPS port"), "start PHOENIX_ENDPOINT with https://"),
        (lambda _: httpx.Response(400, text="Client sent an HTTP request to an HTTPS server.\n"), "start PHOENIX_ENDPOINT with https://"),
    ],
)  # fmt: skip
def test_a_wrong_way_is_told_with_its_remedy_and_not_tried_again(answer, says):
    server = Server(answer)
    phoenix = Phoenix(server.client, fetch=RetryPolicy(attempts=3, sleep=lambda _: None), proxy="HTTPS_PROXY")
    with pytest.raises(PhoenixError) as caught:
        phoenix.experiments.tags("E1")
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ProxyError("502 Bad Gateway"), httpx.ProxyError("Proxy Server could not connect: Connection refused.")],
)
def test_a_proxy_that_is_away_for_a_while_is_tried_again(error):
    server = Server(fails(error))
    phoenix = Phoenix(server.client, fetch=RetryPolicy(attempts=3, sleep=lambda _: None), proxy="ALL_PROXY")
    with pytest.raises(PhoenixUnreachable, match="through the proxy in ALL_PROXY"):
        phoenix.experiments.tags("E1")
    assert len(server.requests) == 3


def test_an_https_address_of_an_http_server_is_told_as_such():
    """With a real connection: the name of OpenSSL's error differs between its versions."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        phoenix = Phoenix(connect(base_url=f"https://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(PhoenixError, match=r"Check whether the address starts with http://"):
            phoenix.experiments.tags("E1")
        thread.join()


@pytest.mark.parametrize(
    ("status", "lists", "expected"),
    [
        (200, [{"name": "hard"}], ("hard", "long")),
        (200, [], ()),  # the examples are not read again
        (404, [], ()),  # an older Phoenix
        (503, [], ()),  # a report without splits is better than no run
    ],
)
def test_examples_name_their_splits_where_phoenix_lists_them(status, lists, expected):
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/splits"):
            return httpx.Response(status, json={"data": lists, "next_cursor": None})
        line = {"id": "e1", "node_id": "N1", "input": {}, "output": {}, "metadata": {}, "splits": ["long", "hard"]}
        return httpx.Response(200, text=f"{json.dumps(line)}\n")

    server = Server(answer)
    dataset = Dataset(id="D1", name="d", version_id="V1", examples=(EXAMPLE,))
    found = server.phoenix().datasets.with_splits(dataset)
    assert [example.splits for example in found.examples] == [expected]
    assert any(path.endswith("/jsonl") for _, path, _ in server.requests) == bool(expected)
