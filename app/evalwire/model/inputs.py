"""The project files that a task and its evaluators read, which let a later run detect changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalwire.model.json_values import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FileDigests = Mapping[str, str]
"""A mapping from each file's path, relative to the parent of the experiments directory, to a digest of its content."""

_MOST_FILES = 2_000  # recorded individually; each listing of experiments reads their metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The files of the project that a task and each of its evaluators read.

    Attributes:
        task: the files of the task.
        evaluators: the files of each evaluator, by the evaluator's name.
        is_known: whether the inputs were recorded; older versions of evalwire and other tools do not record inputs.
    """

    task: FileDigests = field(default_factory=lambda: EMPTY)
    evaluators: Mapping[str, FileDigests] = field(default_factory=lambda: EMPTY)
    is_known: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the inputs as JSON: each file once; the task and the evaluators refer to files by index."""
        everything = {**self.task}
        for files in self.evaluators.values():
            everything |= files
        indexes = {path: index for index, path in enumerate(sorted(everything))}

        def numbered(files: FileDigests) -> list[int]:
            return sorted(indexes[path] for path in files)

        return {
            "files": {path: everything[path] for path in indexes},
            "task": numbered(self.task),
            "evaluators": {name: numbered(files) for name, files in self.evaluators.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Inputs:
        """Return recorded inputs, or `UNKNOWN_INPUTS` if they are missing or in an unknown format."""
        try:
            paths = list(value["files"])

            def named(indexes: Iterable[int]) -> dict[str, str]:
                return {paths[index]: str(value["files"][paths[index]]) for index in indexes}

            evaluators = {str(name): named(indexes) for name, indexes in value["evaluators"].items()}
            return cls(task=named(value["task"]), evaluators=evaluators)
        except (TypeError, KeyError, IndexError, AttributeError):
            return UNKNOWN_INPUTS


UNKNOWN_INPUTS = Inputs(is_known=False)


def limited(files: FileDigests, digest: Callable[[bytes], str]) -> FileDigests:
    """Return the files unchanged, or a single entry with a combined digest if there are too many to record.

    Args:
        files: the files of a task or an evaluator.
        digest: a function that returns the digest of a text.
    """
    if len(files) <= _MOST_FILES:
        return files
    text = "\n".join(f"{path} {files[path]}" for path in sorted(files))
    return {f"({len(files)} files)": digest(text.encode())}


def changed_files(now: FileDigests, before: FileDigests, today: Callable[[str], str | None]) -> list[str]:
    """Return the sorted paths of the files that differ between two runs of a task or an evaluator.

    A run with fewer examples may open fewer files than an earlier run. A file that only the earlier run read counts as
    changed if its current content differs.

    Args:
        now: the files that this run read.
        before: the files that the earlier run read.
        today: a function that returns a file's current digest, or None if it is unknown; the file is then unchanged.
    """
    changed = {path for path, digest in now.items() if before.get(path) != digest}
    for path in before.keys() - now.keys():
        digest = today(path)
        if digest is not None and digest != before[path]:
            changed.add(path)
    return sorted(changed)
