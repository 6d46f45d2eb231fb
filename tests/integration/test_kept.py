"""The local Phoenix that continues after a command: kept, used again, replaced, and stopped, with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from kill_tally import measured
from terminal import Terminal, in_terminal

from conftest import Project, quiet_environment
from evalwire.errors import LocalServerError
from evalwire.phoenix.local import Progress, keeper, local_phoenix, local_status, process, sharing, stop_local_phoenix
from evalwire.phoenix.local.keeper import Keeper
from evalwire.phoenix.local.keeping import note_use
from evalwire.phoenix.local.locks import free_keeper_lock, has_keeper, join, open_users

pytestmark = pytest.mark.needs_phoenix  # of the version that is installed; most servers here are stand-ins

# is ready at once, and has the command line and the database of a Phoenix
STAND_IN = """
import http.server, os, pathlib, socket
pathlib.Path("phoenix.db").touch()
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PHOENIX_PORT"])), Ready).serve_forever()
"""
COMMAND = (sys.executable, "-c", STAND_IN, "phoenix.server.main")


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A directory whose servers are stand-ins that need no time to start; none is left at the end."""
    monkeypatch.setattr(process, "_COMMAND", COMMAND)
    path = tmp_path / "project/.evalwire"
    path.mkdir(parents=True)
    yield path
    for one in processes_below(tmp_path):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def processes_below(path: Path) -> list[psutil.Process]:
    """The servers and keepers of a directory."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            line = one.cmdline()
            if any(name in line for name in ("phoenix.server.main", "evalwire.phoenix.local.keeper")) and (
                any(str(path) in word for word in line) or str(path) in one.cwd()
            ):
                found.append(one)  # not a zombie, which has no command line
    return found


def keepers(directory: Path) -> list[psutil.Process]:
    return [one for one in processes_below(directory) if "evalwire.phoenix.local.keeper" in one.cmdline()]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def use(directory: Path, minutes: float | None = 10, **options: object) -> tuple[int, list[str]]:
    """Use the server of a directory as a command does; return its process ID and what was said."""
    said: list[str] = []
    with local_phoenix(
        directory, os.environ, progress=Progress(say=said.append), keep_minutes=minutes, **options
    ) as it:
        return it.pid, said


def test_a_kept_server_is_used_again_and_has_one_keeper_in_a_session_of_its_own(directory):
    first, said = use(directory)
    assert said == []
    (watching,) = keepers(directory)
    assert len({os.getsid(one) for one in (first, watching.pid, os.getpid())}) == 3
    assert watching.ppid() != os.getpid()
    again, said = use(directory, None)
    assert (again, said) == (first, [f"using the local Phoenix at {local_status(directory).server.url}"])
    use(directory, 20)
    assert [one.pid for one in keepers(directory)] == [watching.pid]
    status = local_status(directory)
    assert (status.is_used, status.keep_minutes, status.server.pid) == (False, 20, first)


def test_without_keeping_the_last_user_stops_the_server_and_0_minutes_also_stops_a_kept_one(directory):
    first, _ = use(directory, None)
    assert not is_alive(first)
    kept, _ = use(directory)
    again, _ = use(directory, 0)
    assert again == kept
    assert not is_alive(kept)
    started, said = use(directory, None)
    assert started != kept
    assert said == [], "it was stopped on purpose"


def test_the_keeper_stops_an_idle_server_and_ends(directory):
    pid, _ = use(directory, 0.001)
    (watching,) = keepers(directory)
    wait_until(lambda: not is_alive(pid) and not is_alive(watching.pid))
    assert "it was not used for 0.001 minutes" in (directory / "keeper.log").read_text()
    assert use(directory, None)[1] == [], "an idle server is no crash"


def test_a_pipe_that_reads_the_output_ends_with_the_command(directory):
    """The server and its keeper have no stream of the command that started them."""
    script = f"""
        import os, pathlib, sys
        from evalwire.phoenix.local import local_phoenix, process
        process._COMMAND = {COMMAND!r}
        with local_phoenix(pathlib.Path(sys.argv[1]), os.environ, keep_minutes=10) as server:
            print(server.pid)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert is_alive(int(done.stdout)), done.stderr
    assert len(keepers(directory)) == 1


def test_a_server_whose_command_was_killed_is_used_again_and_stops_when_idle(directory):
    script = f"""
        import os, pathlib, signal, sys
        from evalwire.phoenix.local import local_phoenix, process
        process._COMMAND = {COMMAND!r}
        with local_phoenix(pathlib.Path(sys.argv[1]), os.environ, keep_minutes=10) as server:
            print(server.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    again, _ = use(directory, 0.001)
    assert again == pid
    wait_until(lambda: not is_alive(pid))


def test_a_killed_server_is_replaced_with_a_line(directory):
    pid, _ = use(directory)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    again, said = use(directory)
    assert again != pid
    assert said == ["the local Phoenix that an earlier command kept running has ended unexpectedly"]
    assert len(keepers(directory)) == 1


def test_a_server_that_hangs_is_replaced_with_a_line(directory, monkeypatch):
    monkeypatch.setattr(sharing, "_REUSE_SECONDS", 0.2)
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.2)
    pid, _ = use(directory)
    url = local_status(directory).server.url
    os.kill(pid, signal.SIGSTOP)
    again, said = use(directory)
    assert said == [f"replacing the local Phoenix at {url}: it does not respond within 0.2 s"]
    assert again != pid
    assert not is_alive(pid)


def test_a_server_of_another_version_is_replaced_with_a_line(directory):
    pid, _ = use(directory)
    file = directory / "server.json"
    version = json.loads(file.read_text())["version"]
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": "1.2.3", "layout": "1.2.3"}))
    again, said = use(directory)
    assert said[0].endswith(f": it has version 1.2.3, but version {version} is installed")
    assert len(said) == 1, "a server that is ready migrates nothing"
    assert again != pid
    assert not is_alive(pid)
    assert local_status(directory).server.version == version


def test_a_server_whose_database_was_removed_is_not_used(directory):
    pid, _ = use(directory)
    (directory / "phoenix.db").unlink()
    again, said = use(directory)
    assert again != pid, said
    assert not is_alive(pid)


def test_a_server_at_another_port_than_requested_is_replaced(directory):
    pid, _ = use(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    again, said = use(directory, port=port)
    assert said[0].endswith(f": port {port} was requested")
    assert again != pid
    assert local_status(directory).server.port == port


def test_two_commands_at_once_start_one_server(directory):
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(use(directory)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(keepers(directory)) == 1


@pytest.mark.parametrize("difference", ["start time", "directory", "command"])
def test_a_foreign_process_in_the_state_file_is_neither_used_nor_signalled(directory, tmp_path, difference):
    """Its ID was given to another process, or the project was copied with its state file."""
    name = "another" if difference == "command" else "phoenix.server.main"
    place = tmp_path if difference == "directory" else directory
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", name], cwd=place) as foreign:
        try:
            started = psutil.Process(foreign.pid).create_time() - (60 if difference == "start time" else 0)
            version = sharing.installed_version()
            state = {"port": 9, "pid": foreign.pid, "started": started, "version": version, "layout": version}
            (directory / "server.json").write_text(json.dumps(state))
            (directory / "phoenix.db").touch()
            assert local_status(directory) is None
            assert stop_local_phoenix(directory) is None
            pid, _ = use(directory, None)
            assert pid != foreign.pid
            assert foreign.poll() is None
        finally:
            foreign.kill()


@pytest.fixture
def watched(directory, monkeypatch):
    """A server that is kept by a keeper in a thread, which looks often; `watched.reason` is set when it ends."""
    monkeypatch.setattr(keeper, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(sharing, "keep", lambda *_: None)
    monkeypatch.setattr(sharing, "has_keeper", lambda _: True)

    class Watched:
        reason = ""
        pid = use(directory)[0]
        (directory / "kept.json").write_text('{"minutes": 0.01}')
        with free_keeper_lock(directory) as lock:
            keeper = Keeper(directory, os.dup(lock.fileno()))

    def watch() -> None:
        Watched.reason = Watched.keeper.watch()

    thread = threading.Thread(target=watch)
    thread.start()
    yield Watched
    Watched.keeper.asked_to_stop.set()
    thread.join()


def stays(pid: int, seconds: float = 1.2) -> bool:
    time.sleep(seconds)
    return is_alive(pid)


def test_a_command_that_uses_the_server_prevents_its_stop(directory, watched):
    with open_users(directory) as users:
        join(users)
        assert stays(watched.pid)
    wait_until(lambda: watched.reason == "it was not used for 0.01 minutes")
    assert not is_alive(watched.pid)


def test_a_client_that_is_connected_prevents_its_stop(directory, watched):
    with socket.create_connection(("127.0.0.1", local_status(directory).server.port)):
        assert stays(watched.pid)
    wait_until(lambda: watched.reason == "it was not used for 0.01 minutes")


def test_a_use_between_two_looks_counts(directory, watched):
    for _ in range(12):
        time.sleep(0.1)
        note_use(directory)
    assert is_alive(watched.pid)


@pytest.mark.parametrize("removed", ["project", "directory", "database", "directory and made again"])
def test_a_server_whose_data_is_removed_is_stopped(directory, watched, removed):
    (directory / "kept.json").write_text('{"minutes": 10}')
    wait_until(lambda: watched.keeper._process is not None)
    if removed == "database":
        (directory / "phoenix.db").unlink()
    else:
        shutil.rmtree(directory.parent if removed == "project" else directory)
    if removed.endswith("again"):
        directory.mkdir()
        (directory / "phoenix.db").touch()
    wait_until(lambda: watched.reason, 10)
    # without its directory, the time limit is unknown, too: whichever the keeper notices first
    also = set() if removed == "database" else {"it was not used for 0 minutes"}
    assert watched.reason in {"its directory or its database was removed"} | also
    assert not is_alive(watched.pid)


def test_a_keeper_without_a_server_ends(directory, watched):
    os.kill(watched.pid, signal.SIGKILL)
    wait_until(lambda: watched.reason == "the server ended")


@pytest.mark.parametrize("kept", ["", "[]", '{"minutes": "many"}'])
def test_a_damaged_time_limit_does_not_keep_a_server_forever(directory, watched, kept):
    (directory / "kept.json").write_text(kept)
    wait_until(lambda: watched.reason == "it was not used for 0 minutes")


def test_without_a_keeper_the_server_stops_with_the_command(directory, monkeypatch):
    """No further process can be started."""
    run = subprocess.run

    def fail(command, **options):
        if "evalwire.phoenix.local.keeper" in command:
            raise BlockingIOError("Resource temporarily unavailable")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", fail)
    pid, _ = use(directory)
    assert not is_alive(pid)
    assert not has_keeper(directory)


def test_a_start_that_fails_leaves_neither_a_keeper_nor_a_note(directory, monkeypatch):
    monkeypatch.setattr(process, "_COMMAND", (sys.executable, "-c", "raise SystemExit(3)", "phoenix.server.main"))
    with pytest.raises(LocalServerError, match="ended with exit code 3"):
        use(directory)
    assert not (directory / "kept.json").exists()
    wait_until(lambda: not keepers(directory))


@pytest.fixture
def own_project(directory) -> Project:
    """The project of the directory, with no address in its environment."""
    return Project(directory.parent, quiet_environment())


def test_local_status_and_stop(directory, own_project):
    assert "no local Phoenix is running" in own_project.run("local", "status").stdout
    pid, _ = use(directory)
    url = local_status(directory).server.url
    shown = own_project.run("local", "status").stdout
    assert re.search(rf"^Phoenix \S+ is running at {url}: it stops in 10 min if it is not used\nprocess {pid}, ", shown)
    with local_phoenix(directory, os.environ):
        assert "a command is using it" in own_project.run("local", "status").stdout
        refused = own_project.run("local", "stop")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"the local Phoenix at {url} was not stopped, because another command uses it" in refused.stderr
        assert is_alive(pid)
    stopped = own_project.run("local", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"stopped the local Phoenix at {url}\n")
    assert not is_alive(pid)
    again = own_project.run("local", "stop")
    assert (again.returncode, again.stdout) == (0, f"no local Phoenix is running with data in {directory}\n")


def test_serve_uses_the_kept_server_and_leaves_it_running(directory, own_project):
    pid, _ = use(directory)
    url = local_status(directory).server.url
    with own_project.start("serve") as served:
        assert served.stdout.readline() == f"Phoenix: {url} (already running; leave with Ctrl-C)\n"
        assert local_status(directory).is_used
        served.send_signal(signal.SIGINT)
        _, said = served.communicate(timeout=30)
    assert served.returncode == 0
    assert "the local Phoenix stops after 10 min without use" in said
    assert is_alive(pid)


TASKS = "user_query,expected_output,tags\nwhat,what,{name}\nwho,who,{name}\n"


@pytest.fixture
def served_project(tmp_path, local_server) -> Project:
    """A project that shares the real Phoenix of this session as its local one; no other address works."""
    project = Project(tmp_path, quiet_environment(EVALWIRE_LOCAL_DIR=str(local_server.directory)))
    project.environ["PHOENIX_ENDPOINT"] = "http://127.0.0.1:9"
    name = f"kept_{os.getpid()}_{time.monotonic_ns()}"
    project.experiment(name, task="def task(input):\n    return input['user_query']\n")
    return project.write(
        {"testset.csv": TASKS.format(name=name), "evalwire.toml": '[dataset]\ncsv_path = "testset.csv"\n'}
    )


def test_commands_that_read_and_upload_reach_the_local_phoenix(served_project, local_server):
    assert served_project.run("upload", "--local").returncode == 0
    assert served_project.run("run", "--local").returncode == 0
    results = json.loads((served_project.directory / "test-results/results.json").read_text())
    experiment = re.search(r"experimentId=(\w+=*)", json.dumps(results))[1]
    for command in (
        ("compare", experiment, experiment),
        ("gate", "--experiment", experiment),
        ("report", "--experiment", experiment),
        ("export", "--experiment", experiment, "--output", "runs.csv"),
        ("baseline", "pin", experiment, "--tag", "kept"),
        ("baseline", "list"),
        ("baseline", "unpin", "--tag", "kept"),
        ("check",),
    ):
        done = served_project.run(*command, "--local")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert f"using the local Phoenix at {local_server.url}" in done.stderr
    refused = served_project.run("compare", experiment, experiment, EVALWIRE_FETCH_ATTEMPTS="1")
    assert refused.returncode == 2, "without --local, the configured server is used"


def test_files_are_compared_without_a_start_of_the_local_phoenix(served_project):
    assert served_project.run("run", "--local").returncode == 0
    file = f"file:{served_project.directory}/test-results/results.json"
    done = served_project.run("compare", file, file, "--local")
    assert done.returncode == 0
    assert "local Phoenix" not in done.stderr


def test_a_run_at_a_terminal_uses_the_running_phoenix_and_starts_its_keeper(served_project, local_server):
    """With a real Phoenix, which the session of the tests still needs: the keeper is ended again, and only the keeper."""
    code, shown = in_terminal("run", "--local", cwd=served_project.directory, environ=served_project.environ)
    assert code == 0, shown[-2000:]
    assert f"using the local Phoenix at {local_server.url}" in shown
    assert "the local Phoenix stops after 10 min without use, or with: evalwire local stop" in shown
    (watching,) = keepers(local_server.directory)
    watching.terminate()
    wait_until(lambda: not is_alive(watching.pid))
    assert "the keeper received SIGTERM" in (local_server.directory / "keeper.log").read_text()
    assert is_alive(local_server.pid)
    assert not has_keeper(local_server.directory)
    piped = served_project.run("run", "--local")
    assert "to view these results in the local Phoenix, run: evalwire serve" in piped.stderr
    assert not has_keeper(local_server.directory)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_day_at_a_terminal(tmp_path):
    """Real Phoenix: the first run starts it, the second uses it, a killed run and a killed server are mended."""
    environ = quiet_environment()
    project = Project(tmp_path, environ)
    assert project.run("init", ".").returncode == 0
    state, seconds = tmp_path / ".evalwire/server.json", {}

    def run(*arguments: str) -> str:
        started = time.monotonic()
        code, shown = in_terminal("run", "--local", *arguments, cwd=tmp_path, environ=environ)
        seconds[len(seconds)] = time.monotonic() - started
        assert code == 0, shown[-2000:]
        return shown

    try:
        shown = run()
        assert re.search(r"starting a local Phoenix: \d+ s, the first start creates its database", shown)
        pid = json.loads(state.read_text())["pid"]
        assert is_alive(pid)
        shown = run()
        assert "using the local Phoenix at " in shown
        assert json.loads(state.read_text())["pid"] == pid

        killed = Terminal("run", "--local", cwd=tmp_path, environ=environ)
        killed.wait_for("using the local Phoenix")
        killed.process.kill()
        killed.finish()
        assert "using the local Phoenix at " in run()

        os.kill(pid, signal.SIGKILL)
        assert "has ended unexpectedly" in run()
        assert is_alive(json.loads(state.read_text())["pid"])
        assert "keep-local" not in run("--keep-local", "0")
        assert not is_alive(json.loads(state.read_text())["pid"])
        measured(second_local_run=f"{seconds[1]:.1f} s, the first {seconds[0]:.1f} s")
    finally:
        project.run("local", "stop")
