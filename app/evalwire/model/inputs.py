"""What a task and its evaluators read of their project, so that a later run can tell what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalwire.model.json_values import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FileDigests = Mapping[str, str]
"""The path of each file, relative to the parent of the experiments folder -> a digest of its content."""

_MOST_FILES = 2_000  # recorded one by one; metadata of an experiment is read with every list of experiments


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The files of the project that a task and each of its evaluators read.

    Attributes:
        task: the files of the task.
        evaluators: the files of each evaluator, by its name.
        is_known: whether the inputs were recorded; an older version of evalwire, or another tool, recorded none.
    """

    task: FileDigests = field(default_factory=lambda: EMPTY)
    evaluators: Mapping[str, FileDigests] = field(default_factory=lambda: EMPTY)
    is_known: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the inputs as JSON: each file once, and the places of each callee's files in that list."""
        everything = {**self.task}
        for files in self.evaluators.values():
            everything |= files
        places = {path: place for place, path in enumerate(sorted(everything))}

        def numbered(files: FileDigests) -> list[int]:
            return sorted(places[path] for path in files)

        return {
            "files": {path: everything[path] for path in places},
            "task": numbered(self.task),
            "evaluators": {name: numbered(files) for name, files in self.evaluators.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Inputs:
        """Return recorded inputs; unknown ones where there are none, or of another form."""
        try:
            paths = list(value["files"])

            def named(places: Iterable[int]) -> dict[str, str]:
                return {paths[place]: str(value["files"][paths[place]]) for place in places}

            evaluators = {str(name): named(places) for name, places in value["evaluators"].items()}
            return cls(task=named(value["task"]), evaluators=evaluators)
        except (TypeError, KeyError, IndexError, AttributeError):
            return UNKNOWN_INPUTS


UNKNOWN_INPUTS = Inputs(is_known=False)


def limited(files: FileDigests, digest: Callable[[bytes], str]) -> FileDigests:
    """Return the files as they are, or as one entry where there are more than can be recorded one by one.

    Args:
        files: of a task or an evaluator.
        digest: gives the digest of a text.
    """
    if len(files) <= _MOST_FILES:
        return files
    text = "\n".join(f"{path} {files[path]}" for path in sorted(files))
    return {f"({len(files)} files)": digest(text.encode())}


def changed_files(now: FileDigests, before: FileDigests, today: Callable[[str], str | None]) -> list[str]:
    """Return the paths of the files that differ between two runs of a task or an evaluator; sorted.

    A run need not read every file that an earlier one read: with fewer examples, it may open fewer files. A file that
    only the earlier run read counts as changed where its content is another one today.

    Args:
        now: what this run read.
        before: what the earlier run read.
        today: the digest of a file as it is now; None where this cannot be told, and it counts as unchanged.
    """
    changed = {path for path, digest in now.items() if before.get(path) != digest}
    for path in before.keys() - now.keys():
        digest = today(path)
        if digest is not None and digest != before[path]:
            changed.add(path)
    return sorted(changed)
