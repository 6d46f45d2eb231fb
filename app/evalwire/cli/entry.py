"""The console command: prepare the arguments, run the command, and end the process."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from evalwire._version import __version__
from evalwire.cli.parent import parent_pipe, run_in_child
from evalwire.loading import load

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)  # errors of an output stream, which have no file name

_GLOBAL_FLAGS = ("-h", "--help", "--version", "--install-completion", "--show-completion")  # all others belong to `run`


def prepare(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in the form that Typer accepts.

    Typer does not support options with an optional value, so a bare `--dry-run` becomes `--dry-run=1`. A flag without a
    command belongs to `run`, so that `docker run evalwire --dry-run` works.
    """
    arguments = list(arguments)
    if arguments and arguments[0].startswith("-") and arguments[0] not in _GLOBAL_FLAGS:
        arguments.insert(0, "run")
    prepared: list[str] = []
    takes_number = arguments[:1] != ["upload"]
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*prepared, *arguments[index:]]
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        has_number = re.fullmatch(r"[+-]?\d+", following) is not None
        is_bare = argument == "--dry-run" and takes_number and not has_number
        prepared.append("--dry-run=1" if is_bare else argument)
    return prepared


class _Main:
    """The console command. Scripts and tests of 0.6 also use it as a Click command: `main.main(args, ...)`."""

    name = "evalwire"

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run a command and end the process."""
        _main(arguments)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - Click's signature
        *,
        standalone_mode: bool = True,
        **extra: object,  # noqa: ARG002 - Click's signature
    ) -> int:
        """Run a command; return its exit code unless `standalone_mode` ends the process."""
        try:
            _main(args)
        except SystemExit as ended:
            if standalone_mode:
                raise
            return ended.code if isinstance(ended.code, int) else 1


main = _Main()


def console_script() -> NoReturn:
    """Run a command in a child process and exit with its code; used by the script and by `python -m evalwire`."""
    sys.exit(run_in_child(lambda: _main(None, is_own_process=True)))


def _main(arguments: Sequence[str] | None, *, is_own_process: bool = False) -> NoReturn:
    """Run a command and end the process, without waiting for threads that user code left running."""
    prepared = prepare(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    problem = ""
    try:
        if prepared[:1] == ["--version"]:
            sys.stdout.write(f"evalwire {__version__}\n")
            sys.exit(0)
        app = load("evalwire.cli.app").app
        if is_own_process:
            gc.freeze()  # modules live as long as the process, so garbage collections need not look at them
        sys.exit(app(prepared, prog_name="evalwire"))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        code, problem = 0, str(error.strerror or error)
    problem = _flush(sys.stdout) or problem
    if problem and not code:  # an error was already reported
        sys.stderr.write(f"evalwire: cannot write the output: {problem}\n")
        code = 1
    _flush(sys.stderr)
    parent_pipe.decide(code)
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def _flush(stream: TextIO) -> str:
    """Flush a standard stream; return the reason if this fails, or an empty text if the reader closed the pipe.

    Discard unwritten output: Python would flush again at exit and change the exit code to 120.
    """
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # a stream without a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return "" if error.errno == errno.EPIPE else str(error.strerror or error)
    except ValueError:  # closed by user code
        return ""
    return ""
