"""Run the command in a child process, so that exit code 0 is evalwire's own decision and no crash goes unexplained.

The parent imports nothing heavy and runs no user code. It passes signals on, waits, and ends with the child's exit
code, which is 0 only if the child has said so on a pipe. docs/decisions/062 tells what happens to which signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from evalwire.cli.output_filter import OutputFilter
from evalwire.loading import load

_PR_SET_PDEATHSIG = 1

_SI_KERNEL = 0x80  # Linux's `si_code` of a signal that no process has sent

_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

# What a terminal sends to its whole foreground group: the child has it already.
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, *_JOB_CONTROL)

_WAITED_FOR = signal.valid_signals() - {signal.SIGPIPE}

_GUESSES: dict[int, str] = {
    signal.SIGKILL: " (out of memory?)",
    **dict.fromkeys((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT), " (native code?)"),
}


class ParentPipe:
    """The way from the child to the parent that waits for it; without a parent, what is told goes nowhere.

    A program that takes the child's place by `os.execv` does not have the pipe. What other processes tell does not
    count, such as those that user code forks.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.mark = ""

    def open(self, descriptor: int, mark: str) -> None:
        """Write to this descriptor from now on.

        Args:
            descriptor: of the pipe.
            mark: what stands around commands on purpose where the parent filters the output; empty where it does not.
        """
        self._descriptor, self.mark = descriptor, mark

    def decide(self, exit_code: int) -> None:
        """Tell the exit code; of several, the first that is not 0 counts."""
        self._tell("decided", str(exit_code))

    def announce(self, job: str) -> None:
        """Tell where the job's journal and report are, as one line of text that `evalwire.jobs` can read."""
        self._tell("job", job)

    def _tell(self, word: str, text: str) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, f"{os.getpid()} {word} {text}\n".encode())


parent_pipe = ParentPipe()


def run_in_child(work: Callable[[], NoReturn]) -> int:
    """Run `work` in a child process; return the exit code for this process when the child has ended.

    Call it on the main thread, before anything is imported that starts threads. Where there is no `fork`, `work` runs
    in this process.

    Args:
        work: ends by SystemExit; before, it decides on the exit code by `parent_pipe`.
    """
    if not hasattr(os, "fork"):
        work()
    _occupy_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # or both processes would write what it holds
    own = os.getpid()
    told, to_parent = os.pipe()
    lifeline, held_by_parent = os.pipe()
    output = OutputFilter.open(os.environ)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever ignores it never learns an exit code
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        child = os.fork()
    except OSError as error:
        sys.stderr.write(f"evalwire: Cannot start a process: {error.strerror}. Raise the limit of processes.\n")
        return 1
    if child == 0:
        os.close(told)
        os.close(held_by_parent)
        _end_with(own, lifeline)
        parent_pipe.open(to_parent, output.enter())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work()
    os.close(to_parent)
    os.close(lifeline)
    output.start()
    status = _wait_for(child)
    output.finish()
    exit_codes, jobs = _read(told, child)
    code, reason = _judge(os.waitstatus_to_exitcode(status), exit_codes)
    if reason:
        _explain(reason, jobs, code)
    return code or _tell_problem(output)


def _tell_problem(output: OutputFilter) -> int:
    """Write why the output could not be written, which the child cannot know; return the exit code."""
    if output.problem:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"evalwire: the output cannot be written: {output.problem}\n")
    return int(bool(output.problem))


def _occupy_standard_streams() -> None:
    """Open /dev/null for streams that whoever started us has closed, so that no pipe gets their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(descriptor)


def _end_with(parent: int, lifeline: int) -> None:
    """End this process when its parent ends, which alone tells its exit code.

    Args:
        parent: the parent's process ID.
        lifeline: the reading end of a pipe whose other end only the parent has; for systems other than Linux.
    """
    if _kernel_ends_us_with_parent():
        os.close(lifeline)
    else:
        threading.Thread(target=_watch, args=(lifeline,), name="evalwire-lifeline", daemon=True).start()
    if os.getppid() != parent:  # it has ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def _kernel_ends_us_with_parent() -> bool:
    try:
        ctypes = load("ctypes")
        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):  # not Linux, or a Python without ctypes
        return False
    return bool(prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) == 0)


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent is gone
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(child: int) -> int:
    """Wait until the child ends; return its wait status.

    Signals to this process go to the child; where the terminal stops the child, this process stops. As the first
    process of a container, this one inherits the children of processes that ended, and reaps them.
    """
    while True:
        number, is_known_to_child = _next_signal()
        if number != signal.SIGCHLD:
            if not is_known_to_child:
                os.kill(child, number)  # it is there: nobody else reaps it
            continue
        for pid, status in _changes():
            if pid == child and not os.WIFSTOPPED(status):
                return status
            if pid == child and os.WSTOPSIG(status) in _JOB_CONTROL:
                _stop(os.WSTOPSIG(status))


def _next_signal() -> tuple[int, bool]:
    """Return the next signal, and whether the child has it too; only Linux tells that."""
    if not hasattr(signal, "sigwaitinfo"):
        return signal.sigwait(_WAITED_FOR), False
    received = signal.sigwaitinfo(_WAITED_FOR)
    return received.si_signo, received.si_code == _SI_KERNEL and received.si_signo in _FROM_TERMINAL


def _changes() -> Iterator[tuple[int, int]]:
    """Give each child that has stopped or ended, with its status."""
    with contextlib.suppress(ChildProcessError):
        while (change := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            yield change


def _stop(number: int) -> None:
    """Stop as the child did, so that the shell notices; return when this process is continued."""
    if number in signal.sigpending():  # the terminal's, which would stop this process a second time
        signal.sigwait({number})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _read(told: int, child: int) -> tuple[list[int], list[str]]:
    """Return what the child has told: exit codes, and where its jobs were.

    The pipe may be open still, in a process that user code has forked.
    """
    os.set_blocking(told, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(told, 65536):
            data += piece
    lines = [line.split(" ", 2) for line in data.decode(errors="replace").splitlines()]
    own = [(word, text) for pid, word, text in lines if pid == str(child)]
    return [int(text) for word, text in own if word == "decided"], [text for word, text in own if word == "job"]


def _judge(code: int, decided: list[int]) -> tuple[int, str]:
    """Return the exit code, and where the child did not end as it had decided, why.

    Args:
        code: the child's exit code; negative for the signal that killed it.
        decided: what it told; empty where it ended before.
    """
    decision = next((one for one in decided if one), 0) if decided else None
    if code < 0:
        return 128 - code, f"killed by {_name(-code)}{_GUESSES.get(-code, '')}"
    if decision is None:
        cause = "os._exit or os.execv in user code, native code, or an error that is shown above"
        return code or 1, f"the process ended with exit code {code} before evalwire had decided on one ({cause})"
    if code != decision:
        return (
            code or decision,
            f"the process ended with exit code {code}, and evalwire's is {decision} (user code in atexit?)",
        )
    return code, ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _explain(reason: str, jobs: list[str], code: int) -> None:
    """Write why the child ended, and the report that it could not write."""
    rest = ""
    try:
        for job in jobs:
            rest = load("evalwire.jobs").report_crash(job, code)
    except Exception as error:
        rest = f"; its report cannot be written: {error}"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it: the exit code tells
        sys.stderr.write(f"evalwire: {reason}{rest}\n")
        sys.stderr.flush()
