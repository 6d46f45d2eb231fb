"""The Phoenix of `--local`: started, shared, ended, and never in the way; with real servers."""

from __future__ import annotations

import contextlib
import fcntl
import http.server
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from conftest import Project, quiet_environment
from evalwire.errors import LocalServerError
from evalwire.phoenix.local import LocalServer, Progress, local_phoenix, readiness, sharing
from evalwire.phoenix.local.directory import set_aside_unfinished
from evalwire.phoenix.local.locks import is_alone, turn
from evalwire.phoenix.local.ports import choose_port, free_port
from evalwire.phoenix.local.readiness import check_port, is_ready

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples(tmp_path) -> Project:
    """A copy of the example project, without any address in its environment."""
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns(".evalwire", "test-results"))
    return Project(tmp_path / "examples", quiet_environment())


def server_of(directory: Path, process: subprocess.Popen[bytes]) -> LocalServer:
    return LocalServer(port=9, directory=directory, pid=process.pid, started=time.time(), version="1", process=process)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def is_answering(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
        return answer.status == 200
    return False


@pytest.mark.needs_phoenix
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_the_demo_runs_also_after_a_crash_and_its_results_stay(examples):
    """`serve` is killed, its server left behind; `run --local` ends that one, runs, and leaves its data and no process."""
    served = examples.start("serve")
    state = examples.directory / ".evalwire/server.json"
    deadline = time.monotonic() + 120
    while not state.exists() or json.loads(state.read_text())["layout"] == "new":
        assert served.poll() is None, served.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    orphan = json.loads(state.read_text())
    state.write_text(json.dumps({**orphan, "layout": "new"}))  # as of an evalwire that was killed before it was ready
    served.kill()
    served.wait()
    assert is_alive(orphan["pid"])
    assert is_answering(orphan["port"])

    with (examples.directory / "testset.csv").open("a") as testset:
        testset.write("a row without a tag,x,\n")
    process = examples.start(
        "run", "--local", PHOENIX_ENDPOINT="http://127.0.0.1:9", PHOENIX_API_KEY="not-for-the-local-one"
    )
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (out, err)
    assert out.startswith("PASSED (3 gates passed), but 3 drop gates had no baseline: 3 experiments, 63 examples, none")
    assert "row 61: empty tag in column 'tags', left out" in err
    assert out.count("/compare?experimentId=") == 3
    assert not is_alive(orphan["pid"])
    left = json.loads(state.read_text())
    assert left["port"] == orphan["port"], "the links of the last run stay right"
    assert not (state.parent / "unfinished.db").exists(), "what a server that was ready holds is used"
    assert not is_alive(left["pid"])
    assert (examples.directory / ".evalwire/phoenix.db").exists()


@pytest.mark.needs_phoenix
@pytest.mark.slow
def test_the_last_of_several_in_a_folder_ends_the_server(tmp_path):
    """The one that started it may leave first; the others keep it."""
    said: list[str] = []
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    started = first.enter_context(local_phoenix(tmp_path, os.environ))
    joined = second.enter_context(local_phoenix(tmp_path, os.environ, progress=Progress(say=said.append)))
    assert (joined.url, joined.process) == (started.url, None)
    assert said == [f"using the local Phoenix at {started.url}"]
    first.close()
    with urllib.request.urlopen(f"{started.url}/readyz", timeout=5) as answer:
        assert answer.status == 200
    second.close()
    assert not is_alive(started.pid)


def test_a_port_that_is_taken_is_left_alone(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "server.json").write_text(json.dumps({"port": port}))
        assert choose_port(tmp_path) != port


class Other(http.server.BaseHTTPRequestHandler):
    """Answers everything, as the Phoenix of another project would answer /readyz."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other():
    """The port of a server that is not ours, and says that it is ready."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.needs_phoenix
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_another_server_that_took_the_port_first_is_not_taken_for_its_own(tmp_path, monkeypatch, other):
    """Two jobs that begin at once find the same port free: the one that lost goes to another."""
    ports = iter([other, free_port()])
    monkeypatch.setattr(sharing, "choose_port", lambda _: next(ports))
    said: list[str] = []
    with local_phoenix(tmp_path, os.environ, progress=Progress(say=said.append)) as server:
        assert not server.url.endswith(f":{other}")
        assert (tmp_path / "phoenix.db").exists()
        assert json.loads((tmp_path / "server.json").read_text())["pid"] == server.pid
    assert f"port {other} on 127.0.0.1 is in use by another program. Trying another port." in said


def is_laying_out(directory: Path) -> bool:
    """Whether the Phoenix of a folder makes its tables."""
    with contextlib.suppress(FileNotFoundError):
        return "CREATE TABLE projects" in (directory / "server.log").read_text(errors="replace")
    return False


@pytest.mark.needs_phoenix
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_phoenix_that_is_ended_while_it_makes_its_tables_leaves_a_folder_that_still_works(tmp_path, monkeypatch):
    """Its half-made tables would be in the way of every later one."""
    check = check_port

    def interrupt(server: LocalServer) -> None:
        if is_laying_out(server.directory):
            raise KeyboardInterrupt
        check(server)

    monkeypatch.setattr(readiness, "check_port", interrupt)
    with pytest.raises(KeyboardInterrupt), local_phoenix(tmp_path, os.environ):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "phoenix.db")) as database:
        assert not list(database.execute("SELECT version_num FROM alembic_version")), "it ended before it was done"

    monkeypatch.setattr(readiness, "check_port", check)
    with local_phoenix(tmp_path, os.environ) as server:
        assert is_answering(server.port)
        assert json.loads((tmp_path / "server.json").read_text())["layout"] == importlib.metadata.version(
            "arize-phoenix"
        )
    assert (tmp_path / "unfinished.db").exists(), "nothing is deleted"


@pytest.mark.needs_phoenix
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_phoenix_that_may_be_changing_an_earlier_ones_tables_is_ended_when_it_is_ready(tmp_path, monkeypatch):
    """They hold results. A database that nothing is known of, of an earlier evalwire's folder, counts as such."""
    sqlite3.connect(tmp_path / "phoenix.db").close()
    (tmp_path / "server.json").write_text(json.dumps({"port": free_port(), "pid": 2**30}))
    said: list[str] = []

    def interrupt(server: LocalServer) -> None:
        if is_laying_out(server.directory):
            raise KeyboardInterrupt

    monkeypatch.setattr(readiness, "check_port", interrupt)
    with pytest.raises(KeyboardInterrupt), local_phoenix(tmp_path, os.environ, progress=Progress(say=said.append)):
        pass
    assert said[-1].startswith("waiting for the local Phoenix, which may be migrating")
    with contextlib.closing(sqlite3.connect(tmp_path / "phoenix.db")) as database:
        assert list(database.execute("SELECT version_num FROM alembic_version")), "its tables are whole"
        assert list(database.execute("SELECT name FROM projects"))
    assert not is_alive(json.loads((tmp_path / "server.json").read_text())["pid"])


@pytest.mark.needs_phoenix
def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path, other):
    with (
        pytest.raises(LocalServerError, match=f"port {other} on 127.0.0.1 is in use"),
        local_phoenix(tmp_path, os.environ, port=other),
    ):
        pass


@pytest.mark.needs_phoenix
def test_a_folder_is_not_joined_at_another_servers_address(tmp_path, other):
    """Its users are there, but its server is gone, and another one has its port."""
    (tmp_path / "server.json").write_text(json.dumps({"port": other, "pid": 2**30, "started": 1.0, "version": "1"}))
    with (tmp_path / "users.lock").open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with pytest.raises(LocalServerError, match="does not respond"), local_phoenix(tmp_path, os.environ):
            pass


@pytest.fixture
def started(monkeypatch) -> list[LocalServer]:
    """Servers are processes that only wait, and are begun at once."""
    servers: list[LocalServer] = []

    def start(directory: Path, *_: object) -> LocalServer:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        servers.append(server_of(directory, process))
        return servers[-1]

    monkeypatch.setattr(sharing, "start_on_a_port", start)
    return servers


def is_free(directory: Path) -> bool:
    """Whether nobody uses the folder's server, as another process sees it."""
    with (directory / "users.lock").open("a+") as users:
        return is_alone(users)


@pytest.mark.needs_phoenix
@pytest.mark.parametrize("starts", [True, False])
def test_who_has_the_next_turn_finds_nobody(tmp_path, monkeypatch, started, starts):
    """A job that begins while another one ends its server: it starts one, and does not join the one that is gone."""
    seen: list[bool] = []
    take_turn = turn

    @contextlib.contextmanager
    def watched(directory: Path, *_: object):
        with take_turn(directory):
            try:
                yield
            finally:
                seen.append(is_free(directory))

    def fail(*_: object) -> None:
        raise LocalServerError("no")

    monkeypatch.setattr(sharing, "turn", watched)
    if not starts:
        monkeypatch.setattr(sharing, "start_on_a_port", fail)
    with contextlib.suppress(LocalServerError), local_phoenix(tmp_path, os.environ):
        pass
    assert seen == ([False, True] if starts else [True])
    assert [is_alive(one.pid) for one in started] == [False] * starts


FORKS = """
    import os, pathlib, signal, sys
    from evalwire.phoenix.local import LocalServer, local_phoenix, sharing

    directory = pathlib.Path(sys.argv[1])
    sharing.start_on_a_port = lambda *_: LocalServer(port=9, directory=directory, pid=2**30, started=0.0, version="1")
    with local_phoenix(directory, os.environ):
        child = os.fork()
        if child == 0:
            (directory / "child").write_text(str(os.getpid()))
            signal.pause()
        while not (directory / "child").exists():
            pass
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.needs_phoenix
def test_a_child_of_user_code_is_no_user_of_the_server(tmp_path):
    """It has the open files of the process that it was forked from, and lives on when that one is killed."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FORKS), str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    child = int((tmp_path / "child").read_text())
    assert is_alive(child)
    try:
        assert is_free(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.needs_phoenix
def test_a_server_whose_folder_is_removed_meanwhile_is_ended(tmp_path, started):
    with pytest.raises(LocalServerError, match="lost the directory"), local_phoenix(tmp_path / "its", os.environ):
        shutil.rmtree(tmp_path / "its")
    assert not is_alive(started[0].pid)


@pytest.mark.needs_phoenix
def test_what_speaks_another_language_at_its_port_is_another_program(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = other.accept()
                    with connection:
                        connection.sendall(b"-ERR unknown command\r\n")

        threading.Thread(target=greet, daemon=True).start()
        port = other.getsockname()[1]
        taken = pytest.raises(LocalServerError, match=f"port {port} on 127.0.0.1 is in use")
        with taken, local_phoenix(tmp_path, os.environ, port=port):
            pass
        other.shutdown(socket.SHUT_RDWR)


@pytest.mark.needs_phoenix
def test_a_proxy_is_not_asked_for_it(tmp_path, monkeypatch, other):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(readiness, "is_listening", lambda _: True)
    assert is_ready(LocalServer(port=other, directory=tmp_path, pid=os.getpid(), started=0.0, version="1"))


@pytest.mark.parametrize(
    ("statements", "moves"),
    [
        (["CREATE TABLE alembic_version (version_num)", "CREATE TABLE datasets (id)"], True),
        (["CREATE TABLE spans (id)", "CREATE TABLE datasets (id)", "INSERT INTO datasets VALUES (1)"], False),
        (["CREATE TABLE spans (id)", "INSERT INTO spans VALUES (1)"], False),
        (None, False),
    ],
    ids=["nothing", "a dataset", "a span", "no database"],
)
def test_a_database_is_set_aside_only_when_nothing_is_in_it(tmp_path, statements, moves):
    """server.json may be wrong: its Phoenix became ready when evalwire was gone, or somebody put a copy there."""
    path = tmp_path / "phoenix.db"
    if statements is None:
        path.write_bytes(b"this is no database" * 1000)
    else:
        with contextlib.closing(sqlite3.connect(path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()
    (tmp_path / "server.json").write_text(json.dumps({"layout": "new"}))
    (tmp_path / "unfinished.db-wal").write_text("of an earlier one")
    held, said = path.read_bytes(), []
    set_aside_unfinished(tmp_path, said.append)
    assert path.exists() is not moves
    assert len(said) == moves
    if moves:
        assert (tmp_path / "unfinished.db").read_bytes() == held
        assert not (tmp_path / "unfinished.db-wal").exists()


@pytest.mark.needs_phoenix
@pytest.mark.parametrize("state", ["", '{"port": "many", "pid": 1}', '{"port": 6006, "pid": null}'])
def test_a_folder_that_is_in_use_and_does_not_tell_where(tmp_path, state):
    (tmp_path / "server.json").write_text(state)
    with (tmp_path / "users.lock").open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with pytest.raises(LocalServerError, match=r"server\.json is damaged"), local_phoenix(tmp_path, os.environ):
            pass


@pytest.mark.parametrize("state", ["", "[]", "not json", '{"port": "many"}', '{"port": 99999999}'])
def test_a_damaged_state_file_is_no_obstacle(tmp_path, state):
    (tmp_path / "server.json").write_text(state)
    assert 0 < choose_port(tmp_path) < 65536


def test_without_the_extra_it_names_the_extra(tmp_path, monkeypatch):
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(LocalServerError, match=r"evalwire\[local\]"), local_phoenix(tmp_path, {}):
        pass


def test_the_extra_is_named_also_where_psutil_is_missing_too(tmp_path):
    """psutil comes with the server, so nothing may import it before the server was looked for."""
    code = """
        import importlib.metadata, pathlib, sys
        sys.modules["psutil"] = None
        from evalwire.errors import LocalServerError
        from evalwire.phoenix import local_phoenix

        def missing(name):
            raise importlib.metadata.PackageNotFoundError(name)

        importlib.metadata.version = missing
        try:
            with local_phoenix(pathlib.Path(sys.argv[1]), {}):
                pass
        except LocalServerError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "evalwire[local]" in done.stdout, done.stderr


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerError, match="cannot use the directory"), local_phoenix(tmp_path / "file/dir", {}):
        pass


@pytest.mark.needs_phoenix
@pytest.mark.slow
def test_a_server_that_does_not_start_shows_its_log(tmp_path):
    damaged = b"this is no database" * 1000
    (tmp_path / "phoenix.db").write_bytes(damaged)
    with (
        pytest.raises(LocalServerError, match=r"ended with exit code \d+:\n(?s:.)+"),
        local_phoenix(tmp_path, os.environ),
    ):
        pass
    assert (tmp_path / "phoenix.db").read_bytes() == damaged, "what is not known to be empty stays"
