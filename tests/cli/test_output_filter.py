"""What processes print passes a filter where CI reads commands: children and native code as well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import EVALWIRE
from evalwire.cli.output_filter import OutputFilter, _Channel


class Filtered:
    """A filter around a pipe, written to as a child would."""

    def __init__(self) -> None:
        self.reads, real = os.pipe()
        self.writes = os.dup(real)
        self.filter = OutputFilter([self.writes])
        self._channel = self.filter._channels[0]
        self._pipe = os.dup(self._channel.writes)
        self._real = real
        self.filter.start()

    def write(self, *pieces: bytes, waits: float = 0.0) -> None:
        for piece in pieces:
            os.write(self._pipe, piece)
            time.sleep(waits)

    def finish(self) -> bytes:
        os.close(self._pipe)
        self.filter.finish()
        for descriptor in (self._real, self.writes):
            os.close(descriptor)
        with os.fdopen(self.reads, "rb") as reader:
            return reader.read()


@pytest.fixture
def filtered() -> Filtered:
    return Filtered()


def commands_in(log: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", log)
    return [line for line in lines if re.match(r"::\w+.*::", line.lstrip()) or "##[" in line or "##vso[" in line]


def test_bytes_pass_as_they_are_and_commands_do_not(filtered):
    """A letter, a command and a mark may come in two pieces; what is no text stays what it is."""
    mark = filtered.filter.mark.encode()
    pieces = [b"\xff\xc3", b"\xa9 a\r::er", b"ror::x\n", b":", b":error::y\n#", b"#[z]\n", b"no end"]
    pieces += [mark[:7], mark[7:] + b"::error::mine\n" + mark + b"::error::z", b"\x1e", b"\x1e\xe2"]
    filtered.write(*pieces, waits=0.01)
    log = filtered.finish()
    assert commands_in(log.decode(errors="replace")) == ["::error::mine"]
    assert log.replace("\u200b".encode(), b"").replace(b"no end\n", b"no end") == b"".join(pieces).replace(mark, b"")


@given(
    st.lists(
        st.sampled_from(
            [
                b":",
                b"::error::x",
                b"##",
                b"[",
                b"vso[",
                b"\n",
                b"\r",
                b" ",
                b"\xff",
                b"\xe2\x80",
                b"\x8b",
                b"\x1e",
                b"MARK",
            ]
        )
    )
)
def test_no_chunks_of_bytes_are_a_command_and_none_is_lost(chunks):
    """But what stands between two marks, wherever they are cut."""
    reads, writes = os.pipe()
    mark = "\x1e0123\x1e"
    channel = _Channel(writes, mark)
    whole = b"".join(chunks).replace(b"MARK", f"{mark}::error::mine\n{mark}".encode())
    for place in range(0, len(whole), 3):
        channel.write(whole[place : place + 3])
    channel.end()
    for descriptor in (writes, channel.reads, channel.writes):
        os.close(descriptor)
    with os.fdopen(reads, "rb") as reader:
        log = reader.read()
    found = commands_in(log.decode(errors="replace"))
    assert [line.strip() for line in found] == ["::error::mine"] * chunks.count(b"MARK")
    separator = "\u200b".encode()
    plain = [text.replace(separator, b"").replace(b"\n", b"").replace(mark.encode(), b"") for text in (log, whole)]
    assert plain[0] == plain[1]


def test_what_is_in_the_pipe_at_the_end_is_written(filtered):
    text = b"".join(b"%d ::error::x\n" % number for number in range(4000))
    filtered.write(text)
    assert filtered.finish() == text


def test_a_reader_that_left_is_seen_by_the_writer(filtered):
    os.close(filtered.reads)
    with pytest.raises(BrokenPipeError):
        for _ in range(1000):
            filtered.write(b"x" * 1000, waits=0.001)
    filtered.reads = os.open(os.devnull, os.O_RDONLY)
    filtered.finish()
    assert not filtered.filter.problem


def test_a_disk_that_is_full_is_a_problem():
    with Path("/dev/full").open("wb", buffering=0) as full:
        output = OutputFilter([full.fileno()])
        pipe = os.dup(output._channels[0].writes)
        output.start()
        os.write(pipe, b"x")
        os.close(pipe)
        output.finish()
    assert output.problem == "No space left on device"


def test_outside_of_such_a_ci_nothing_is_filtered():
    assert OutputFilter.open({}).mark == OutputFilter.open({"GITLAB_CI": "true"}).mark == ""


def test_a_terminal_stays_the_terminal():
    """And where it is standard output, commands on purpose stand between no marks."""
    leader, follower = os.openpty()
    code = "from evalwire.cli.output_filter import OutputFilter as F; o = F.open({'TF_BUILD': '1'}); print(bool(o.mark), repr(o.enter()))"
    with Path(os.devnull).open("w") as nothing:
        for err in (follower, nothing):
            subprocess.run([sys.executable, "-c", code], stdout=follower, stderr=err, check=True)
    os.close(follower)
    with os.fdopen(leader, "rb") as terminal:
        assert terminal.readline() + terminal.readline() == b"False ''\r\nTrue ''\r\n"


TASK = """
    import ctypes, os, subprocess, sys
    print("50 %\\r::error::by a carriage return")
    for token in ("\\n", ":", ":error::by tokens", "\\n", "##", "vso[task.setvariable variable=x]by tokens", "\\n"):
        print(token, end="", flush=True)
    subprocess.run(["echo", "::error::by a child"])
    subprocess.run(["sh", "-c", "echo '##[error]by a child' >&2"])
    os.write(1, b"::error::by its number\\n")
    os.write(2, b"\\r::error::by its number\\n")
    sys.__stdout__.write("::error::past the mask\\n")
    sys.__stdout__.flush()
    ctypes.CDLL(None).puts(b"::error::by native code")
    ctypes.CDLL(None).fflush(None)
    sys.stdout.buffer.write(b":")
    sys.stdout.buffer.flush()
    sys.stdout.buffer.write(b":error::by bytes\\n")
    os.system("echo ::error::by a shell; (sleep 60 >/dev/null; echo never) &")
    os.fork() or os._exit(os.write(1, b"::error::by a fork\\n") * 0)
    raise RuntimeError("x")
"""


def test_nothing_that_user_code_prints_is_a_command(project):
    """And evalwire's own annotations are; a process that stays keeps nothing waiting."""
    project.experiment("any", task=TASK)
    started = time.monotonic()
    done = subprocess.run(
        [*EVALWIRE, "run"], cwd=project.directory, env={**project.environ, "GITHUB_ACTIONS": "true"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert time.monotonic() - started < 55
    found = commands_in(done.stdout)
    assert found
    assert all("RuntimeError" in line for line in found), found
    for who in ("a carriage return", "tokens", "a child", "its number", "native code", "bytes", "a shell", "a fork"):
        assert f"by {who}" in done.stdout
    assert "past the mask" in done.stdout


def test_what_was_printed_before_a_crash_is_there(project):
    """The parent has it, whatever became of the process."""
    project.experiment("any", task="import os\nos.write(1, b'::error::last words')\nos.kill(os.getpid(), 9)\n")
    done = project.run_process("run", TF_BUILD="True")
    assert done.returncode == 137
    assert "last words" in done.stdout
    assert not commands_in(done.stdout)
