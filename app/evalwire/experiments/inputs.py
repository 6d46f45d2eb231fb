"""Record which project files user code imports and opens.

Import statements are read from the source, also within functions. Modules therefore count even if another experiment
loaded them, or if this run did not execute the import. Calls of `importlib.import_module` are recorded when they
happen, and so are opened files, from Python's audit events. Files that libraries open without Python, such as Parquet
files, are not detected; list them in `[experiments.NAME] inputs`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.experiments.access import is_file
from evalwire.model import Inputs, limited

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable, Iterator

    from evalwire.model import Callee, Experiment, FileDigests

_OWN = str(Path(__file__).parent.parent) + os.sep
_USER_CALLS = str(Path(_OWN, "usercode")) + os.sep
_NOT_OF_A_PROJECT = {"__pycache__", ".git", ".nox", ".tox", ".venv", "dist-packages", "node_modules", "site-packages"}
_UNKNOWN_READER = ""
_WRITES = os.O_WRONLY | os.O_RDWR

_watches: list[InputWatch] = []  # of the directories that are importable now; only the last entry is used
_hooked: list[bool] = []  # an audit hook cannot be removed


class InputWatch:
    """A recorder of the files that a project's code imports and opens while its experiments are importable.

    Attributes:
        reads: the number of recorded imports and files; it grows with each new import or file.

    Args:
        import_root: the parent of the experiments directory.
    """

    def __init__(self, import_root: Path) -> None:
        self.reads = 0
        self._import_root = str(import_root)
        self._project = str(_project_root(import_root))
        self._imported: dict[str, set[str]] = defaultdict(set)  # by the importing file
        self._opened: dict[str, set[str]] = defaultdict(set)  # by the reading file; empty key if unknown
        self._written: set[str] = set()
        self._digests: dict[str, str] = {}
        self._is_within = functools.lru_cache(maxsize=65_536)(self._find_whether_within)

    def note_import(self, name: str, reader: str) -> None:
        """Record that the code in a file imported a module."""
        if self._is_within(reader) and name not in self._imported[reader]:
            self._imported[reader].add(name)
            self.reads += 1

    def note_open(self, path: object, flags: int, frame: types.FrameType | None) -> None:
        """Record that the code of a frame, or of an outer frame, opened a file."""
        text = os.fsdecode(path) if isinstance(path, bytes) else path
        if not isinstance(text, str):
            return  # a file descriptor
        full = _absolute(text)
        if full.endswith(".pyc"):
            with contextlib.suppress(ValueError, NotImplementedError):
                full = importlib.util.source_from_cache(full)
        if not self._is_within(full):
            return
        reader = self._find_reader(frame)
        if reader is None:
            return
        if flags & _WRITES:
            self._written.add(full)  # files that a run writes, such as caches, do not count as inputs
        elif full not in self._opened[reader]:
            self._opened[reader].add(full)
            self.reads += 1

    def _find_reader(self, frame: types.FrameType | None) -> str | None:
        """Return the file of the innermost project code; empty string if unknown, None if evalwire opened the file."""
        caller: str | None = None  # the innermost frame's file in evalwire
        while frame is not None:
            file = frame.f_code.co_filename
            if self._is_within(file):
                return file
            if caller is None and file.startswith(_OWN) and file != __file__:
                caller = file
            frame = frame.f_back
        return None if caller is not None and not caller.startswith(_USER_CALLS) else _UNKNOWN_READER

    def _find_whether_within(self, path: str) -> bool:
        """Check whether a file belongs to the project, and not to evalwire or to installed packages."""
        if not path.startswith(self._project + os.sep) or path.startswith(_OWN):
            return False
        prefix = sys.prefix + os.sep
        if prefix.startswith(self._project + os.sep) and path.startswith(prefix):
            return False
        relative = Path(path[len(self._project) :])
        return not relative.name.startswith(".env") and _NOT_OF_A_PROJECT.isdisjoint(relative.parts)

    def inputs(self, experiment: Experiment) -> Inputs:
        """Return the files that the task and the evaluators of an experiment have read so far."""
        found = [path for pattern in experiment.input_globs for path in Path(self._import_root).glob(pattern)]
        declared = {str(file) for path in found for file in (path.rglob("*") if path.is_dir() else [path])}
        task = experiment.task_files
        if task is None:
            task = self._files(experiment.task, declared) if experiment.task else {}
        return Inputs(
            task=task,
            evaluators={evaluator.name: self._files(evaluator, declared) for evaluator in experiment.evaluators},
        )

    def today(self, path: str) -> str:
        """Return the current digest of a recorded input file; empty string if the file cannot be read."""
        return self._digest(os.path.normpath(Path(self._import_root, path)))

    def _files(self, callee: Callee, declared: set[str]) -> FileDigests:
        relative = callee.path.with_suffix("").relative_to(self._import_root)
        read = self._closure(".".join(relative.parts)) | declared
        files = {
            Path(os.path.relpath(path, self._import_root)).as_posix(): self._digest(path)
            for path in read - self._written
            if not Path(path).is_dir()
        }
        return limited(files, _hash)

    def _closure(self, name: str) -> set[str]:
        """Return the file of a module, the files that it opens, and the same for every module that it imports."""
        files: set[str] = set(self._opened.get(_UNKNOWN_READER, ()))
        seen: set[str] = set()
        pending = [name, *(file for file in files if file.endswith(".py"))]
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            pending += _parents(node)
            file = node if os.sep in node else _file_of(node)
            if file is None or not self._is_within(file):
                continue
            opened = self._opened.get(file, set())
            files |= {file, *opened}
            pending += self._imported.get(file, ())
            pending += (path for path in opened if path.endswith(".py"))
            if os.sep not in node and (code := _code_of(file)) is not None:
                package = node if file.endswith("__init__.py") else node.rpartition(".")[0]
                pending += _imported_names(code, package)
        return files

    def _digest(self, path: str) -> str:
        """Return a file's digest, cached for the run; comments and layout of code do not change the digest."""
        if path not in self._digests:
            self._digests[path] = file_digest(path)
        return self._digests[path]


@contextlib.contextmanager
def watching(import_root: Path) -> Iterator[InputWatch]:
    """Record the imports and the opened files of user code."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_note_open)
    watch = InputWatch(import_root)
    original = importlib.import_module

    @functools.wraps(original)
    def import_module(name: str, package: str | None = None) -> types.ModuleType:
        frame = inspect.currentframe()
        if frame is not None and frame.f_back is not None:
            with contextlib.suppress(ValueError, ImportError, TypeError, AttributeError):  # the original raises it
                watch.note_import(importlib.util.resolve_name(name, package), frame.f_back.f_code.co_filename)
        return original(name, package)

    _watches.append(watch)
    importlib.import_module = import_module
    try:
        yield watch
    finally:
        if importlib.import_module is import_module:
            importlib.import_module = original
        _watches.remove(watch)


def read_inputs(experiment: Experiment) -> Inputs:
    """Return the files that an experiment has read; call within `importable`."""
    return _watches[-1].inputs(experiment)


def count_reads() -> int:
    """Return a number that grows when user code reads a new file; call within `importable`."""
    return _watches[-1].reads


def digest_today(path: str) -> str:
    """Return the current digest of a recorded input file; call within `importable`."""
    return _watches[-1].today(path)


def _note_open(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _watches:
        path, _, flags = args
        _watches[-1].note_open(path, flags, inspect.currentframe())


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)  # noqa: PTH100 - pathlib takes ten times as long
    except OSError:  # the working directory was removed
        return path


def _project_root(import_root: Path) -> Path:
    """Return the root of the repository, else the parent of the experiments directory."""
    return next((path for path in (import_root, *import_root.parents) if (path / ".git").exists()), import_root)


def _parents(name: str) -> Iterable[str]:
    """Return the packages that Python imports before a module."""
    if os.sep in name:
        return ()
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def _file_of(name: str) -> str | None:
    """Return the file of a module, loaded or not; None if it has no file."""
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        return file if isinstance(file, str) else None
    child = name.rpartition(".")[2]
    for directory in _search_path(name):
        for path in (Path(directory, f"{child}.py"), Path(directory, child, "__init__.py")):
            with contextlib.suppress(OSError):  # an import would not find an inaccessible file either
                if is_file(path):
                    return str(path)
    return None


def _search_path(name: str) -> list[str]:
    """Return the directories to search for a module: the path of its parent package, or `sys.path`."""
    parent = name.rpartition(".")[0]
    if not parent:
        return [entry or "." for entry in sys.path if not _is_library(entry)]
    module = sys.modules.get(parent)
    if module is not None:
        return [str(entry) for entry in getattr(module, "__path__", ())]
    return [str(Path(directory, parent.rpartition(".")[2])) for directory in _search_path(parent)]


def _is_library(entry: str) -> bool:
    return not _NOT_OF_A_PROJECT.isdisjoint(Path(entry).parts) or entry.startswith(sys.base_prefix + os.sep)


@dataclass(frozen=True, slots=True)
class _Code:
    """A Python file's digest, without comments and layout, and the targets of its import statements."""

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]  # level, module, names


def _code_of(path: str) -> _Code | None:
    """Return a parsed Python file, or None if the file cannot be parsed."""
    try:
        return _parse(path, Path(path).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=4_096)
def _parse(path: str, modified: int) -> _Code:
    del modified  # part of the cache key
    tree = ast.parse(Path(path).read_bytes())
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += ((0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return _Code(_hash(ast.unparse(tree).encode()), tuple(imports))


def _imported_names(code: _Code, package: str) -> Iterator[str]:
    """Yield the modules in import statements, and each imported name, which may also be a module."""
    for level, module, names in code.imports:
        base = module
        if level:
            try:
                base = importlib.util.resolve_name("." * level + module, package)
            except ImportError:  # beyond the topmost package
                continue
        yield base
        yield from (f"{base}.{name}" for name in names)


def is_of_project(directory: str) -> bool:
    """Check whether a directory with this name can contain a project's own files, not installed or generated files."""
    return directory not in _NOT_OF_A_PROJECT


def file_digest(path: str) -> str:
    """Return a digest of a file; comments and layout of code do not change it. Empty if the file cannot be read."""
    code = _code_of(path) if path.endswith(".py") else None
    if code is not None:
        return code.digest
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
