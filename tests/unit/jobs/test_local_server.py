"""When the local Phoenix continues after a command, and what is shown while it starts."""

from __future__ import annotations

import io
import os
import pty
import re
from pathlib import Path

import pytest

from evalwire.jobs import Console, connect
from evalwire.jobs.progress import waiting
from evalwire.masking import Mask
from evalwire.settings import load_settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console_of(out: io.StringIO, err: io.StringIO, **options: bool) -> Console:
    return Console(out=out, err=err, mask=Mask([]), **options)


@pytest.fixture
def minutes(monkeypatch, tmp_path):
    """For how many minutes a command with these streams and variables would keep its server, and what it says."""
    monkeypatch.setattr(connect, "is_in_container", lambda environ: "container" in environ)
    asked: list[float | None] = []
    monkeypatch.setattr(
        connect.phoenix_room, "local_phoenix", lambda *_, keep_minutes, **__: asked.append(keep_minutes), raising=False
    )

    def minutes(flags=None, *, out=True, err=True, **environ: str) -> tuple[float | None, str]:
        streams = [Terminal() if is_terminal else io.StringIO() for is_terminal in (out, err)]
        settings = load_settings(flags or {}, {}, directory=tmp_path)
        connect.local_server(settings, environ, console_of(*streams))
        return asked[-1], streams[1].getvalue()

    return minutes


def test_at_a_terminal_the_server_continues_for_as_long_as_is_set(minutes):
    assert minutes() == (10.0, "")
    assert minutes({"keep_local": "2.5"}) == (2.5, "")
    assert minutes({"keep_local": "0"}) == (0.0, "")


@pytest.mark.parametrize(
    ("around", "reason"),
    [
        ({"out": False}, "without a terminal"),
        ({"err": False}, "without a terminal"),
        ({"CI": "true"}, "in CI"),
        ({"GITHUB_ACTIONS": "true"}, "in CI"),
        ({"JENKINS_URL": "http://jenkins"}, "in CI"),
        ({"container": "podman"}, "in a container"),
    ],
)
def test_elsewhere_it_never_continues(minutes, around, reason):
    assert minutes(**around) == (None, "")
    assert minutes({"keep_local": "5"}, **around) == (None, f"note: --keep-local has no effect {reason}\n")
    assert minutes({"keep_local": "0"}, **around) == (0.0, ""), "a server that was kept is stopped on request"


def test_ci_false_is_not_ci(minutes):
    assert minutes(CI="false") == (10.0, "")


@pytest.mark.parametrize("name", ["container", "KUBERNETES_SERVICE_HOST"])
def test_a_container_is_recognized_by_its_variables(monkeypatch, name):
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert connect.is_in_container({name: "x"})
    assert not connect.is_in_container({})


@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv"])
def test_a_container_is_recognized_by_its_files(monkeypatch, mark):
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == mark)
    assert connect.is_in_container({})


def test_without_a_terminal_a_wait_is_one_line():
    err = io.StringIO()
    with waiting("starting", "it is the first time", console_of(io.StringIO(), err)):
        pass
    assert err.getvalue() == "starting: it is the first time\n"


def test_a_quiet_wait_shows_nothing():
    err = Terminal()
    with waiting("starting", "it is the first time", console_of(io.StringIO(), err, quiet=True)):
        pass
    assert err.getvalue() == ""


def test_at_a_terminal_a_wait_shows_the_seconds_and_the_reason_and_leaves_one_line():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", buffering=1) as err:
        with waiting("starting", "it is \x1b[31mthe first time", console_of(io.StringIO(), err)):
            pass
        shown = ""
        while not shown.endswith("s\r\n"):
            shown += os.read(master, 65536).decode()
    os.close(master)
    assert re.search(r". starting: 0 s, it is .*the first time", shown)
    assert "\x1b[31m" not in shown
    assert shown.endswith("starting: 0 s\r\n")
