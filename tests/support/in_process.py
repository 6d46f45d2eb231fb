"""Run a command of evalwire in this process as a user's shell would, and leave the process as it was."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from opentelemetry import trace
from typer.main import get_command

from evalwire.cli.app import app
from evalwire.cli.entry import prepare

_IGNORED_BY_DEFAULT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def run_in_process(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command as `python -m evalwire` does, without the interpreter's start.

    What only a process has (signals, kills, closed pipes, `os._exit`, what is imported) needs `Project.run_process`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("signal handlers belong to the main thread: several jobs at once need run_process")
    threads = set(threading.enumerate())
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with (
            _streams(out, err),
            _environment(cwd, environ),
            _interpreter(cwd),
            _logging(),
            _warnings(),
            _signal_handlers(),
            own_tracer_provider(),
        ):
            code = _call(arguments)
        said, complained = (_text_of(file) for file in (out, err))
    sys.stdout.write(said)  # pytest shows both if the test fails
    sys.stderr.write(complained)
    left = [one for one in set(threading.enumerate()) - threads if not one.daemon]
    if left:
        raise AssertionError(f"the command left threads that would keep the test process: {left}; use run_process")
    return subprocess.CompletedProcess(list(arguments), code, said, complained)


@functools.cache
def _command() -> Any:
    """Build the command once: Typer builds it for each call, which takes a third of the time of a short command."""
    return get_command(app)


def _call(arguments: Sequence[str]) -> int:
    """Return the exit code that the interpreter would end with."""
    try:
        _command()(prepare(arguments), prog_name="evalwire")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return 1


def _text_of(file: BinaryIO) -> str:
    """Return what was written, with line ends as the text of a pipe has them."""
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


@contextlib.contextmanager
def _streams(out: BinaryIO, err: BinaryIO) -> Iterator[None]:
    """Point the standard streams at files, for Python and for child processes; neither is a terminal."""
    saved = {number: os.dup(number) for number in (0, 1, 2)}
    before = sys.stdin, sys.stdout, sys.stderr
    with Path(os.devnull).open() as nothing:
        for number, file in ((0, nothing), (1, out), (2, err)):
            os.dup2(file.fileno(), number)
        sys.stdin = nothing
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115 - likewise
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            for number, descriptor in saved.items():
                os.dup2(descriptor, number)
                os.close(descriptor)


@contextlib.contextmanager
def _environment(cwd: Path, environ: Mapping[str, str]) -> Iterator[None]:
    environ_before, folder_before = dict(os.environ), Path.cwd()
    _set_environment(environ)
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(folder_before)
        _set_environment(environ_before)


def _set_environment(environ: Mapping[str, str]) -> None:
    """Set only the variables that differ, because masks look for secrets in each variable that is set."""
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in environ.items() if os.environ.get(name) != value})


@contextlib.contextmanager
def _interpreter(cwd: Path) -> Iterator[None]:
    """Forget the project's modules; libraries stay loaded, which is what running here saves."""
    modules = dict(sys.modules)
    lists = {id(one): (one, list(one)) for one in (sys.path, sys.meta_path, sys.path_hooks)}
    flags = sys.argv, sys.excepthook, threading.excepthook, sys.dont_write_bytecode
    sys.path.insert(0, str(cwd))  # as `python -m` does
    sys.argv = ["evalwire"]
    try:
        yield
    finally:
        sys.argv, sys.excepthook, threading.excepthook, sys.dont_write_bytecode = flags
        for one, items in lists.values():
            one[:] = items
        for name, module in sys.modules.copy().items():
            if name not in modules and _is_below(module, cwd):
                del sys.modules[name]
        sys.modules.update(modules)


def _is_below(module: Any, folder: Path) -> bool:
    places = [*(getattr(module, "__path__", None) or ()), getattr(module, "__file__", None)]
    return any(isinstance(place, str) and place.startswith(f"{folder}{os.sep}") for place in places)


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "evalwire", "httpx")]
    before = [(one, list(one.handlers), one.level, one.propagate) for one in loggers]
    disabled = logging.root.manager.disable
    logging.root.handlers[:] = []
    try:
        yield
    finally:
        logging.disable(disabled)
        for one, handlers, level, propagate in before:
            one.handlers[:] = handlers
            one.setLevel(level)
            one.propagate = propagate


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Treat warnings as the interpreter does by default; those that evalwire's own code causes are errors."""

    def show(
        message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
    ) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in _IGNORED_BY_DEFAULT:
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("error", module=r"evalwire(\.|$)")
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


@contextlib.contextmanager
def own_tracer_provider() -> Iterator[None]:
    """Let user code find, and set, the global tracer provider as in a process of its own."""
    before = trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, type(before[1])()
    try:
        yield
    finally:
        trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = before
