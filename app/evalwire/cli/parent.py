"""Run the command in a child process, so that every crash is reported and only evalwire can exit with code 0.

The parent imports no heavy modules and runs no user code. It forwards signals, waits, and exits with the child's code.
That code is 0 only if the child sent 0 through a pipe. docs/decisions/062 describes how each signal is handled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from evalwire.cli.output_filter import OutputFilter
from evalwire.loading import load
from evalwire.processes import end_with_parent

_SI_KERNEL = 0x80  # Linux's `si_code` of a signal that was not sent by a process

_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

# Signals that a terminal sends to its whole foreground group, including the child.
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, *_JOB_CONTROL)

_WAITED_FOR = signal.valid_signals() - {signal.SIGPIPE}

_GUESSES: dict[int, str] = {
    signal.SIGKILL: " (out of memory?)",
    **dict.fromkeys((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT), " (native code?)"),
}


class ParentPipe:
    """The pipe from the child to the waiting parent; without a parent, messages are dropped.

    A program that replaces the child through `os.execv` does not inherit the pipe. Messages from other processes, for
    example forks by user code, are ignored.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.mark = ""

    def open(self, descriptor: int, mark: str) -> None:
        """Set the descriptor to write to.

        Args:
            descriptor: the writing end of the pipe.
            mark: the text that encloses intended commands if the parent filters the output; else empty.
        """
        self._descriptor, self.mark = descriptor, mark

    def decide(self, exit_code: int) -> None:
        """Send the exit code; the parent uses the first nonzero code, if any."""
        self._send("decided", str(exit_code))

    def announce(self, job: str) -> None:
        """Send the paths of the job's journal and report, as a line that `evalwire.jobs` can parse."""
        self._send("job", job)

    def _send(self, word: str, text: str) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, f"{os.getpid()} {word} {text}\n".encode())


parent_pipe = ParentPipe()


def run_in_child(work: Callable[[], NoReturn]) -> int:
    """Run `work` in a child process; return the exit code for this process after the child ended.

    Call it on the main thread, before importing modules that start threads. Without `fork`, `work` runs here.

    Args:
        work: sends the exit code through `parent_pipe`, then raises SystemExit.
    """
    if not hasattr(os, "fork"):
        work()
    _occupy_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # or both processes would write the buffered text
    own = os.getpid()
    messages, to_parent = os.pipe()
    lifeline, lifeline_of_parent = os.pipe()
    output = OutputFilter.open(os.environ)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored children do not report exit codes
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        child = os.fork()
    except OSError as error:
        sys.stderr.write(f"evalwire: cannot start a process: {error.strerror}. Raise the limit on processes.\n")
        return 1
    if child == 0:
        os.close(messages)
        os.close(lifeline_of_parent)
        end_with_parent(own, lifeline)
        parent_pipe.open(to_parent, output.enter())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work()
    os.close(to_parent)
    os.close(lifeline)
    output.start()
    status = _wait_for(child)
    output.finish()
    exit_codes, jobs = _read(messages, child)
    code, reason = _explained(os.waitstatus_to_exitcode(status), exit_codes)
    if reason:
        _explain(reason, jobs, code)
    return code or _report_problem(output)


def _report_problem(output: OutputFilter) -> int:
    """Report a failure to write the output, which only the parent notices; return the exit code."""
    if output.problem:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"evalwire: cannot write the output: {output.problem}\n")
    return int(bool(output.problem))


def _occupy_standard_streams() -> None:
    """Open /dev/null for closed standard streams, so that no pipe gets their descriptors."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(descriptor)


def _wait_for(child: int) -> int:
    """Wait until the child ends; return its wait status.

    Forward signals to the child, and stop this process when the terminal stops the child. As the first process of a
    container, also reap orphaned processes.
    """
    while True:
        number, is_known_to_child = _next_signal()
        if number != signal.SIGCHLD:
            if not is_known_to_child:
                os.kill(child, number)  # the child still exists: only this function reaps it
            continue
        for pid, status in _changes():
            if pid == child and not os.WIFSTOPPED(status):
                return status
            if pid == child and os.WSTOPSIG(status) in _JOB_CONTROL:
                _stop(os.WSTOPSIG(status))


def _next_signal() -> tuple[int, bool]:
    """Return the next signal, and whether the child received it too, which only Linux reports."""
    if not hasattr(signal, "sigwaitinfo"):
        return signal.sigwait(_WAITED_FOR), False
    received = signal.sigwaitinfo(_WAITED_FOR)
    return received.si_signo, received.si_code == _SI_KERNEL and received.si_signo in _FROM_TERMINAL


def _changes() -> Iterator[tuple[int, int]]:
    """Yield the process ID and status of each child that stopped or ended."""
    with contextlib.suppress(ChildProcessError):
        while (change := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            yield change


def _stop(number: int) -> None:
    """Stop this process like the child, so that the shell notices; return when it is continued."""
    if number in signal.sigpending():  # from the terminal: it would stop this process a second time
        signal.sigwait({number})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _read(messages: int, child: int) -> tuple[list[int], list[str]]:
    """Return the messages of the child: exit codes, and places of jobs.

    The pipe may still be open in a process that user code forked.
    """
    os.set_blocking(messages, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(messages, 65536):
            data += piece
    lines = [line.split(" ", 2) for line in data.decode(errors="replace").splitlines()]
    own = [(word, text) for pid, word, text in lines if pid == str(child)]
    return [int(text) for word, text in own if word == "decided"], [text for word, text in own if word == "job"]


def _explained(code: int, decided: list[int]) -> tuple[int, str]:
    """Return the exit code, and the reason if it differs from the decision of the child, else an empty text.

    Args:
        code: the child's exit code; negative for the signal that killed it.
        decided: exit codes that the child sent; empty if it ended earlier.
    """
    decision = next((number for number in decided if number), 0) if decided else None
    if code < 0:
        return 128 - code, f"killed by {_name(-code)}{_GUESSES.get(-code, '')}"
    if decision is None:
        cause = "possible causes: os._exit or os.execv in user code, native code, or the error shown above"
        return code or 1, f"the process ended with exit code {code} before evalwire set an exit code ({cause})"
    if code != decision:
        return (
            code or decision,
            f"the process ended with exit code {code} instead of {decision} (possible cause: user code in atexit)",
        )
    return code, ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _explain(reason: str, jobs: list[str], code: int) -> None:
    """Report why the child ended, and write the report that it could not write."""
    rest = ""
    try:
        for job in jobs:
            rest = load("evalwire.jobs").report_crash(job, code)
    except Exception as error:
        rest = f"; cannot write its report: {error}"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the stream is closed: only the exit code remains
        sys.stderr.write(f"evalwire: {reason}{rest}\n")
        sys.stderr.flush()
