"""The console command: prepare the arguments, run the command that they name, and end the process."""

from __future__ import annotations

import contextlib
import errno
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

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)  # of an output: its error names no file

_OF_ALL = ("-h", "--help", "--version", "--install-completion", "--show-completion")  # every other flag is one of `run`


def prepare(arguments: Sequence[str]) -> list[str]:
    """Return the arguments as Typer takes them.

    Typer has no option with an optional value, so a bare `--dry-run` becomes `--dry-run=1`. A flag without a
    verb is a flag of `run`, so that `docker run evalwire --dry-run` does what it says.
    """
    arguments = list(arguments)
    if arguments and arguments[0].startswith("-") and arguments[0] not in _OF_ALL:
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
    """The console command. Scripts and tests of 0.6 also use it as a command of Click's: `main.main(args, ...)`."""

    name = "evalwire"

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run a command and end the process."""
        _main(arguments)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - the signature is Click's
        *,
        standalone_mode: bool = True,
        **extra: object,  # noqa: ARG002 - likewise
    ) -> int:
        """Run a command; its exit code, where the caller does not want the process to end."""
        try:
            _main(args)
        except SystemExit as ended:
            if standalone_mode:
                raise
            return ended.code if isinstance(ended.code, int) else 1


main = _Main()


def console_script() -> NoReturn:
    """Run a command in a child process, and end with its exit code: the console script, and `python -m evalwire`."""
    sys.exit(run_in_child(main))


def _main(arguments: Sequence[str] | None) -> NoReturn:
    """Run a command; never return.

    A thread that a user's function left behind must not keep the finished job from ending: with one alive, the
    process ends without waiting for it.
    """
    prepared = prepare(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    problem = ""
    try:
        if prepared[:1] == ["--version"]:
            sys.stdout.write(f"evalwire {__version__}\n")
            sys.exit(0)
        sys.exit(load("evalwire.cli.app").app(prepared, prog_name="evalwire"))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        code, problem = 0, str(error.strerror or error)
    problem = _flush(sys.stdout) or problem
    if problem and not code:  # a nonzero exit code has been explained already
        sys.stderr.write(f"evalwire: the output cannot be written: {problem}\n")
        code = 1
    _flush(sys.stderr)
    parent_pipe.decide(code)
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def _flush(stream: TextIO) -> str:
    """Flush a standard stream; return why it cannot be written, or an empty text where its reader has left.

    Drop what cannot be written: Python would flush again at exit, and end the process with exit code 120.
    """
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # it has no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return "" if error.errno == errno.EPIPE else str(error.strerror or error)
    except ValueError:  # user code has closed it
        return ""
    return ""
