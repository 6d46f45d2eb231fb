"""Find the files of experiments that changed since their last run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.experiments import file_digest, find_experiments, is_of_project
from evalwire.model import inputs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from evalwire.model import ExperimentResult

_MOST_FILES = 5_000  # Python files to watch for an experiment that could not be loaded
_TEMPORARY = ("~", ".swp", ".tmp")  # endings of files that editors create while they save


class WatchedFiles:
    """The files that the selected experiments read, and the files in their directories.

    A change of comments or layout in a Python file is not a change. A file without its experiment's interest, such as
    a cache that a task writes, counts only if it appears while nothing runs.

    Args:
        root: the experiments directory.
        names: the selected experiments; empty for all.
        shared: the files that affect all experiments.
    """

    def __init__(self, root: Path, names: Sequence[str], shared: Collection[Path]) -> None:
        self._root = root.resolve()
        self._names = names
        self._shared = frozenset(path.resolve() for path in shared)
        self._read: dict[str, frozenset[Path]] = {}
        self._stamps: dict[Path, tuple[tuple[int, int] | None, str]] = {}  # stamp and digest of the file now
        self._digests = {path: self._digest(path) for path in {*self._shared, *self._present()}}  # at the last run

    def note_run(self, results: Sequence[ExperimentResult]) -> None:
        """Take over the files that experiments read in a run that has just ended."""
        found: dict[str, frozenset[Path]] = {}
        for result in results:
            inputs = inputs_of(result)
            files = {
                **inputs.task,
                **{path: digest for own in inputs.evaluators.values() for path, digest in own.items()},
            }
            read = {Path(os.path.normpath(self._root.parent / path)): digest for path, digest in files.items()}
            for path, digest in read.items():
                self._digests.setdefault(path, digest)
            if not inputs.is_known:  # it could not be loaded, perhaps because of a module elsewhere in the project
                for path in self._modules():
                    read[path] = self._digests.setdefault(path, self._digest(path))
            directory = Path(result.path).name  # the variants of an experiment share it
            found[directory] = found.get(directory, frozenset()).union(read)
        self._read |= found
        for path in self._present():
            if path.suffix != ".py":
                self._digests.setdefault(path, self._digest(path))  # written by the run

    @property
    def count(self) -> int:
        """The number of files whose changes are noticed."""
        return len(self._shared.union(*self._read.values()))

    def changed(self) -> frozenset[Path]:
        """Return the files that changed, appeared or disappeared since the last run."""
        read = self._shared.union(*self._read.values())
        present = frozenset(self._present())
        modules = {path for path in present.union(self._digests) if path.suffix == ".py" and self._owner(path)}
        compared = {path for path in read | modules if self._digest(path) != self._digests.get(path, "")}
        return frozenset(compared | (present - self._digests.keys()))

    def accept(self, changed: Collection[Path]) -> None:
        """Take the current content of changed files as known, before a run."""
        for path in changed:
            self._digests[path] = self._digest(path)

    def affected(self, changed: Collection[Path]) -> list[str]:
        """Return the experiments that exist and that a change of these files affects."""
        known = [path.name for path in find_experiments(self._root)[0] if not self._names or path.name in self._names]
        if not self._shared.isdisjoint(changed):
            return known
        owners = {self._owner(path) for path in changed}
        return [name for name in known if name in owners or not self._read.get(name, frozenset()).isdisjoint(changed)]

    def _owner(self, path: Path) -> str:
        """Return the experiment in whose directory a file is; empty for other files."""
        parts = path.relative_to(self._root).parts if path.is_relative_to(self._root) else ()
        return parts[0] if len(parts) > 1 and (not self._names or parts[0] in self._names) else ""

    def _present(self) -> Iterator[Path]:
        """Yield the files in the directories of the selected experiments."""
        return (path for path in _files_in(self._root) if self._owner(path))

    def _modules(self) -> list[Path]:
        """Return the Python files of the project, up to a limit."""
        found: list[Path] = []
        for path in _files_in(self._root.parent):
            if path.suffix == ".py":
                found.append(path)
            if len(found) >= _MOST_FILES:
                break
        return found

    def _digest(self, path: Path) -> str:
        """Return the digest of a file, which is read only if its size or time changed; empty without the file."""
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = None
        known = self._stamps.get(path)
        if known is None or known[0] != stamp:
            known = self._stamps[path] = stamp, file_digest(str(path)) if stamp else ""
        return known[1]


def _files_in(directory: Path) -> Iterator[Path]:
    """Yield the files of a project in a directory, without hidden and temporary files."""
    for place, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".") and is_of_project(name)]
        for name in files:
            if not name.startswith(".") and not name.endswith(_TEMPORARY):
                yield Path(place, name)
