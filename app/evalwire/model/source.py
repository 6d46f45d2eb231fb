"""The recorded experiment whose outputs a job scores again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN_FILES: Mapping[str, str] = {"(not known)": ""}
"""The files of a task that were not recorded; they differ from the files of every other task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSource:
    """The recorded experiment whose outputs a job scores again, instead of calling the task.

    Attributes:
        facts: the entry in the metadata of the new experiment, by which `source_facts` recognizes it: `experiment`
            (Phoenix's ID, or empty), `name`, `begun` (ISO 8601), `commit`; unknown facts are missing.
        version_id: the ID of the dataset version that ran.
        split: the split that ran; None for the whole dataset.
        repetitions: the number of runs of each example.
        outputs: the number of runs with an output or a failure of the task.
        task_files: digests of the files that the task had read.
        selection: the selection of a partial run, as `ExampleSelection.to_json` describes it; None for all examples.
    """

    facts: Mapping[str, str]
    version_id: str
    split: str | None = None
    repetitions: int = 1
    outputs: int = 0
    task_files: Mapping[str, str]
    selection: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return describe_source(self.facts)


def describe_source(facts: Mapping[str, Any]) -> str:
    """Return the name and the ID of a source, from its entry in the metadata."""
    name, id_ = str(facts.get("name") or ""), str(facts.get("experiment") or "")
    return f"{name} ({id_})" if name and id_ else name or id_ or "a recorded experiment"
