"""The parent of the command: exit 0 only by evalwire's own decision, each signal once, and no child without its parent.

The parent is the real one, in a process of its own; a few lines of Python stand in for the command.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

DRIVER = """
    import ctypes, os, signal, sys, time
    from evalwire.cli.parent import parent_pipe, run_in_child

    def work():
        exec(sys.argv[1], globals())
        sys.exit(0)

    sys.exit(run_in_child(work))
"""

NATIVE_FORK = "ctypes.CDLL(None).fork()"  # Python does not notice it

# what a command may do before its end, and the exit codes that it decides on by it
STEPS = {
    "parent_pipe.decide(0)": [0],
    "parent_pipe.decide(1)": [1],
    "parent_pipe.decide(3)": [3],
    "pid = os.fork()\nif not pid:\n    parent_pipe.decide(0)\n    os._exit(0)\nos.waitpid(pid, 0)": [],
    f"pid = {NATIVE_FORK}\nif not pid:\n    parent_pipe.decide(0)\n    os._exit(0)\nos.waitpid(pid, 0)": [],
    f"if not {NATIVE_FORK}:\n    time.sleep(2)\n    os._exit(0)": [],  # it holds the pipe for longer than we live
    "import atexit; atexit.register(os._exit, 0)": [],
}

# how it ends, and the exit code that the process has then: negative for a signal
ENDS = {
    "sys.exit(0)": 0,
    "sys.exit(2)": 2,
    "os._exit(0)": 0,
    "os._exit(4)": 4,
    "import posix; posix._exit(0)": 0,
    "ctypes.CDLL(None)._exit(0)": 0,
    "os.execv('/bin/true', ['true'])": 0,
    "os.execv('/bin/false', ['false'])": 1,
    "os.execv(sys.executable, [sys.executable, '-c', 'import os; [os.write(n, b\"%d decided 0\\\\n\" % os.getpid()) for n in (3, 4, 5, 6, 7) if os.path.exists(f\"/proc/self/fd/{n}\")]'])": 0,
    "ctypes.string_at(0)": -signal.SIGSEGV,
    "os.abort()": -signal.SIGABRT,
    "os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
    "os.kill(os.getpid(), signal.SIGRTMIN + 3)": -signal.SIGRTMIN - 3,
}


@contextlib.contextmanager
def started(work: str, *, prepare: Callable[[], object] = lambda: None) -> Iterator[subprocess.Popen[str]]:
    """Run the stand-in under a real parent, in a process group of its own.

    A shell that starts pytest in the background has it ignore SIGINT and SIGQUIT, and ignored signals are inherited.
    """

    def prepare_signals() -> None:
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        prepare()

    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), textwrap.dedent(work)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=prepare_signals,  # noqa: PLW1509 - no thread of the tests holds a lock that it takes
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(work: str) -> tuple[int, str]:
    with started(work) as process:
        code = process.wait(60)
        os.killpg(process.pid, signal.SIGKILL) if in_group(process.pid) else None  # who holds standard error
        return code, process.stderr.read()


def in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=4), end=st.sampled_from(sorted(ENDS)))
@settings(max_examples=settings().max_examples // 2)  # each is a process
def test_exit_0_is_only_what_the_command_itself_has_decided(steps, end):
    decided = [code for step in steps for code in STEPS[step]]
    code = ENDS[end]
    if any("atexit" in step for step in steps) and end.startswith("sys.exit"):
        code = 0
    decision = next((one for one in decided if one), 0) if decided else 1
    expected = 128 - code if code < 0 else code or decision
    found, said = ended("\n".join([*steps, end]))
    assert found == expected, said
    assert bool(said.count("evalwire: ")) == (not decided or code != decision), said
    assert said.count("\n") <= 1, said


def test_an_exit_of_user_code_after_the_command_does_not_hide_its_exit_code():
    """As the signal handler of a library may ask for, at any time."""
    code, said = ended("""
        import typer
        from evalwire.cli.process import execute

        try:
            execute(lambda _: 3, {}, config=None, env_file=None)
        except typer.Exit:
            sys.exit(0)
    """)
    assert code == 3, said


# NOTE: a signal between Python's look for one and the system call of a long sleep would be seen after it.
WAITS = "print(os.getpid(), flush=True)\nfor _ in range(6000):\n    time.sleep(0.01)\nparent_pipe.decide(0)"

# what a signal makes of a command without handlers, where it is not its end by that signal
HARMLESS = (signal.SIGWINCH, signal.SIGCONT, signal.SIGURG, signal.SIGCHLD)


@given(
    number=st.sampled_from([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGABRT, signal.SIGRTMIN, signal.SIGKILL]),
    whom=st.sampled_from(["parent", "child", "group"]),
    before=st.lists(st.sampled_from(HARMLESS), max_size=3),
)  # fmt: skip
@example(signal.SIGQUIT, "parent", [])
@example(signal.SIGINT, "parent", [])
@settings(max_examples=settings().max_examples // 2)  # each is two processes
def test_a_signal_ends_both_whoever_gets_it(number, whom, before):
    with started(WAITS) as process:
        child = int(process.stdout.readline())
        for harmless in before:
            process.send_signal(harmless)
        {"parent": os.kill, "child": os.kill, "group": os.killpg}[whom](
            {"parent": process.pid, "child": child, "group": process.pid}[whom], number
        )
        code = process.wait(60)
        # where the parent was killed, the kernel ends the child: its end of standard output is closed
        assert process.stdout.read() == ""
        said = process.stderr.read()
    assert code == (-9 if number == signal.SIGKILL and whom != "child" else 128 + number), said
    if code > 0:
        assert f"killed by {signal.Signals(number).name}" in said
    assert ("out of memory?" in said) == (code == 137)


def test_a_command_that_handles_a_signal_goes_on():
    work = """
        seen = []
        signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
        signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        print("ready", flush=True)
        while len(seen) < 2:
            time.sleep(0.01)
        print(*map(int, seen), flush=True)
        parent_pipe.decide(0)
    """
    with started(work) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == f"{int(signal.SIGUSR1)} {int(signal.SIGTERM)}\n"
        assert process.wait(60) == 0


COUNTS = """
    from evalwire.jobs.signals import Signals

    with Signals() as signals, signals.stop.heeded():
        print("ready", flush=True)
        while not signals.stop.requested:
            time.sleep(0.01)
        time.sleep(1)  # a second one would raise here
    parent_pipe.decide(128 + signals.received)
    sys.exit(128 + signals.received)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_counts_once(number):
    """It reaches the command, and the parent, which passes it on."""
    with started(COUNTS) as process:
        process.stdout.readline()
        os.killpg(process.pid, number)
        assert process.wait(60) == 128 + number, process.stderr.read()
        assert "Interrupted" not in process.stderr.read()


def test_a_signal_that_is_repeated_later_counts_twice():
    with started(COUNTS) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
        assert "Interrupted: 15" in process.stderr.read()


def test_timeout_which_signals_the_command_and_its_group_counts_once():
    command = ["timeout", "3", sys.executable, "-c", textwrap.dedent(DRIVER), textwrap.dedent(COUNTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, start_new_session=True)
    assert done.returncode == 124
    assert "Interrupted" not in done.stderr


def test_a_signal_that_was_ignored_at_the_start_stays_so():
    """As `nohup` has it."""
    with started(WAITS, prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)


def test_an_ignored_end_of_children_does_not_hide_the_exit_code():
    """Whoever started us may have ignored SIGCHLD: the system then reaps children, and no code is left."""
    with started(
        "parent_pipe.decide(3)\nsys.exit(3)", prepare=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ) as process:
        assert process.wait(60) == 3


def test_an_alarm_that_was_set_before_the_start_ends_the_command():
    """`perl -e 'alarm 10; exec ...'` is a known time limit; the kernel sends it to the parent alone."""
    with started(WAITS, prepare=lambda: signal.alarm(1)) as process:
        assert process.wait(60) == 128 + signal.SIGALRM


@pytest.mark.parametrize("has_prctl", [True, False])
def test_the_child_dies_with_its_parent(has_prctl):
    """By the kernel on Linux; elsewhere by a pipe that only the parent holds."""
    without = "import evalwire.processes; evalwire.processes._kernel_ends_us_with_parent = lambda: False\n"
    driver = textwrap.dedent(DRIVER).replace("\ndef work", f"\n{'' if has_prctl else without}\ndef work")
    process = subprocess.Popen(
        [sys.executable, "-c", driver, WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        process.stdout.readline()
        process.kill()
        assert process.communicate(timeout=30) == ("", "")  # the child had its ends of the pipes


def test_a_parent_that_ended_before_the_kernel_was_asked_takes_the_child_along():
    work = "os.write(1, b'the command ran')"
    driver = textwrap.dedent(DRIVER).replace(
        "\ndef work",
        "\nimport evalwire.processes as p\nask = p._kernel_ends_us_with_parent\n"
        "def late():\n    os.kill(os.getppid(), 9)\n    time.sleep(0.2)\n    return ask()\n"
        "p._kernel_ends_us_with_parent = late\n\ndef work",
    )
    done = subprocess.run([sys.executable, "-c", driver, work], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_orphans_are_reaped():
    """As the first process of a container inherits them; here, as a process that asked for them."""
    become_reaper = "ctypes.CDLL(None).prctl(36, ctypes.c_ulong(1))\n"
    driver = textwrap.dedent(DRIVER).replace("\nsys.exit(run", f"\n{become_reaper}sys.exit(run")
    work = textwrap.dedent("""
        parent = os.getppid()
        if not os.fork():
            for _ in range(5):
                if not os.fork():
                    time.sleep(0.3)
                    os._exit(0)
            os._exit(0)
        os.wait()
        def children():
            return [pid for pid in os.listdir("/proc") if pid.isdigit() and pid != str(os.getpid()) and is_child(pid)]
        def is_child(pid):
            try:
                return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1] == str(parent)
            except OSError:
                return False
        print(len(children()), flush=True)
        latest = time.monotonic() + 30
        while (left := children()) and time.monotonic() < latest:
            time.sleep(0.05)
        print(len(left), flush=True)
        parent_pipe.decide(0)
    """)
    done = subprocess.run([sys.executable, "-c", driver, work], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "5\n0\n"), done.stderr


def test_streams_that_were_closed_at_the_start_are_not_the_parents_pipes(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    work = "parent_pipe.decide(3); [os.write(number, b'written by native code\\n') for number in (1, 2)]; sys.exit(3)"
    command = f'{sys.executable} {script} "{work}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", command], timeout=60, check=False).returncode == 3


def test_what_was_written_before_the_fork_is_not_written_twice():
    driver = textwrap.dedent(DRIVER).replace("\nsys.exit(run", "\nsys.stdout.write('once ')\nsys.exit(run")
    work = "parent_pipe.decide(3); sys.exit(3)"  # which writes what is buffered
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", driver, work]
    done = subprocess.run(command, env=buffered, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "once ")


# --- a terminal ----------------------------------------------------------------------------------------


class Terminal:
    """An interactive shell on a terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen = ""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1="$ ", PS2="> ", TERM="dumb")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

    def run(self, work: str) -> None:
        """Start the stand-in."""
        (self._folder / "driver.py").write_text(textwrap.dedent(DRIVER))
        (self._folder / "work").write_text(textwrap.dedent(work))
        self.type(f'{sys.executable} {self._folder}/driver.py "$(cat {self._folder}/work)"; echo "code=$?"\n')

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def expect(self, text: str) -> None:
        """Read until a text comes; forget what came up to it."""
        latest = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < latest, self.seen
            if select.select([self._descriptor], [], [], 0.1)[0]:
                self.seen += os.read(self._descriptor, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def close(self) -> None:
        os.close(self._descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """An interactive shell."""
    shell = Terminal(tmp_path)
    yield shell
    shell.close()


def test_ctrl_c_reaches_the_command_once(terminal):
    terminal.run("""
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        print("rea" + "dy", flush=True)
        while not seen:
            time.sleep(0.01)
        time.sleep(1)
        print(f"interrupts={len(seen)}", flush=True)
        parent_pipe.decide(130)
        sys.exit(130)
    """)
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("interrupts=1\r\n")
    terminal.expect("code=130")


def test_ctrl_z_stops_it_and_fg_continues_it_and_input_is_the_commands(terminal):
    terminal.run("""
        print("rea" + "dy", flush=True)
        print("said=" + input(), flush=True)
        parent_pipe.decide(0)
    """)
    for _ in range(2):
        terminal.expect("ready" if _ == 0 else "driver.py")
        time.sleep(0.2)
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("fg\n")
    terminal.expect("driver.py")
    terminal.type("hello\n")
    terminal.expect("said=hello")
