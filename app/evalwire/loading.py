"""Load heavy modules when they are first used; a project's own modules never stand in for them.

While experiments run, the parent of their folder is the first entry of `sys.path`. A `rich.py` or a `jinja2/` that lies
there is the project's own, and must not be what evalwire imports under that name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

# What libraries import within functions that a job calls. Optional parts of them are among these.
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

_project_folders: list[str] = []
_state = threading.local()
_lock = threading.RLock()


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package that imports each of its names when it is first used.

    Args:
        package: the package's `__name__`.
        homes: name -> the module of the package that defines it, such as `recorder`; a module's own name stands for
            the module itself.
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
    """Import a module of evalwire's or of a library's, past the folders of projects, and keep its bytecode.

    Args:
        name: of the module.
        without: an optional package of the library's that is not to be imported with it, though it is installed.

    Raises:
        ImportError: there is no such module.
    """
    if (module := sys.modules.get(name)) is not None:
        return module
    with _lock, _past_projects(), _without(without):
        return importlib.import_module(name)


def load_needed() -> None:
    """Import what a job will need of libraries, before a project's folder is in front of them, with its bytecode."""
    for name in _NEEDED:
        with contextlib.suppress(ImportError):
            load(name)


def library_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return how Python would import a top-level library, past the folders of projects; None where there is none."""
    return importlib.machinery.PathFinder.find_spec(name, [one for one in sys.path if one not in _project_folders])


@contextlib.contextmanager
def project_folder(folder: str) -> Iterator[None]:
    """Hide a folder that is on `sys.path` for a project's sake from `load`."""
    if not any(isinstance(finder, _LibraryFinder) for finder in sys.meta_path):
        sys.meta_path.insert(_place_of_path_finder(), _LibraryFinder())
    _project_folders.append(folder)
    try:
        yield
    finally:
        _project_folders.remove(folder)


def _place_of_path_finder() -> int:
    return next(
        (place for place, finder in enumerate(sys.meta_path) if finder is importlib.machinery.PathFinder),
        len(sys.meta_path),
    )


@contextlib.contextmanager
def _past_projects() -> Iterator[None]:
    """Look for libraries only, in this thread: a task on another thread still finds its project."""
    before, bytecode_before = getattr(_state, "is_loading", False), sys.dont_write_bytecode
    is_unwanted = sys.flags.dont_write_bytecode if _project_folders else bytecode_before
    _state.is_loading, sys.dont_write_bytecode = True, bool(is_unwanted)
    try:
        yield
    finally:
        _state.is_loading, sys.dont_write_bytecode = before, bytecode_before


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Make a package unknown to this thread: one that is imported already stays."""
    finder = _Missing(package, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Missing(importlib.abc.MetaPathFinder):
    """Finds no package of this name for one thread."""

    def __init__(self, package: str, thread: int) -> None:
        self._package = package
        self._thread = thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Refuse the package."""
        del path, target
        if fullname == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not imported here", name=fullname)
        return None


class _LibraryFinder(importlib.abc.MetaPathFinder):
    """Finds top-level modules for `load` on `sys.path` without the folders of projects."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a library; refuse what only a project has under its name."""
        if path is not None or not _project_folders or not getattr(_state, "is_loading", False):
            return None
        spec = library_spec(fullname)
        if spec is not None or importlib.machinery.PathFinder.find_spec(fullname, _project_folders, target) is None:
            return spec
        for finder in sys.meta_path[_place_of_path_finder() + 1 :]:
            if (spec := finder.find_spec(fullname, None, target)) is not None:
                return spec
        raise ModuleNotFoundError(
            f"no library is named {fullname!r}; the project has a module of that name", name=fullname
        )
