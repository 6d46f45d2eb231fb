"""Imports of heavy modules on first use, which ignore modules of the user's project.

While experiments run, the parent of the experiments directory is the first entry of `sys.path`. A project's `rich.py`
or `jinja2/` in that directory must not replace the library that evalwire needs.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

# Modules that libraries import inside functions during a job. Some are optional.
_NEEDED = (
    "anyio",
    "certifi",
    "encodings.idna",
    "h11",
    "httpcore",
    "httpcore._backends.auto",
    "httpcore._sync.http11",
    "httpcore._sync.http2",
    "rich._emoji_codes",
    "stringprep",
)

_project_directories: list[str] = []
_state = threading.local()
_lock = threading.RLock()


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package that imports names on first use.

    Args:
        package: the package's `__name__`.
        homes: the module of the package that defines each name, such as `recorder`; a module's name maps to itself.
    """

    def load_name(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = load(f"{package}.{homes[name]}")
        value = module if homes[name] == name else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load_name


def load(name: str, *, without: str = "") -> ModuleType:
    """Import a module of evalwire or a library, ignoring project directories, and write its bytecode.

    Args:
        name: the name of the module.
        without: an optional package that the library must not import, although it is installed.

    Raises:
        ImportError: the module does not exist.
    """
    if (module := sys.modules.get(name)) is not None:
        return module
    with _lock, _past_projects(), _without(without), uncollected():  # a collection finds next to nothing
        return importlib.import_module(name)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Put off garbage collections on all threads until no thread is in this context."""
    _collections.stop()
    try:
        yield
    finally:
        _collections.resume()


class _Collections:
    """Counts the reasons to put off garbage collections."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may import a module, too
        self._reasons = 0
        self._were_enabled = False

    def stop(self) -> None:
        with self._lock:
            if not self._reasons:
                self._were_enabled = gc.isenabled()
                gc.disable()
            self._reasons += 1

    def resume(self) -> None:
        with self._lock:
            self._reasons -= 1
            if not self._reasons and self._were_enabled:
                gc.enable()


_collections = _Collections()


def load_needed() -> None:
    """Import the library modules that a job needs, before a project directory is on `sys.path`."""
    for name in _NEEDED:
        with contextlib.suppress(ImportError):
            load(name)


def library_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return the spec of a top-level library, ignoring project directories; None if it is not installed."""
    search_path = [entry for entry in sys.path if entry not in _project_directories]
    return importlib.machinery.PathFinder.find_spec(name, search_path)


@contextlib.contextmanager
def project_directory(directory: str) -> Iterator[None]:
    """Hide a project's directory on `sys.path` from `load`."""
    if not any(isinstance(finder, _LibraryFinder) for finder in sys.meta_path):
        sys.meta_path.insert(_place_of_path_finder(), _LibraryFinder())
    _project_directories.append(directory)
    try:
        yield
    finally:
        _project_directories.remove(directory)


def _place_of_path_finder() -> int:
    return next(
        (place for place, finder in enumerate(sys.meta_path) if finder is importlib.machinery.PathFinder),
        len(sys.meta_path),
    )


@contextlib.contextmanager
def _past_projects() -> Iterator[None]:
    """Import only libraries in this thread; tasks on other threads still find the project."""
    before, bytecode_before = getattr(_state, "is_loading", False), sys.dont_write_bytecode
    is_unwanted = sys.flags.dont_write_bytecode if _project_directories else bytecode_before
    _state.is_loading, sys.dont_write_bytecode = True, bool(is_unwanted)
    try:
        yield
    finally:
        _state.is_loading, sys.dont_write_bytecode = before, bytecode_before


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Hide a package from imports of this thread, unless it is already imported."""
    finder = _Missing(package, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Missing(importlib.abc.MetaPathFinder):
    """Import hook that hides a package from a single thread."""

    def __init__(self, package: str, thread: int) -> None:
        self._package = package
        self._thread = thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise an error for the hidden package."""
        del path, target
        if fullname == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is hidden from this import", name=fullname)
        return None


class _LibraryFinder(importlib.abc.MetaPathFinder):
    """Import hook that finds top-level modules for `load` on `sys.path` without project directories."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a library; raise an error if only the project has a module with this name."""
        if path is not None or not _project_directories or not getattr(_state, "is_loading", False):
            return None
        spec = library_spec(fullname)
        if spec is not None or importlib.machinery.PathFinder.find_spec(fullname, _project_directories, target) is None:
            return spec
        for finder in sys.meta_path[_place_of_path_finder() + 1 :]:
            if (spec := finder.find_spec(fullname, None, target)) is not None:
                return spec
        raise ModuleNotFoundError(
            f"the package {fullname!r} is not installed, but a module of your project has this name. "
            "Install the package, or rename the module",
            name=fullname,
        )
