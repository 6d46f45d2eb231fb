"""What an upload knows of a dataset that Phoenix holds, and the mark of one that is not finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evalwire.model.metadata import FACTS_KEY

OnExist = Literal["skip", "append", "overwrite"]


@dataclass(frozen=True, slots=True)
class StoredExample:
    """An example that a dataset holds, without its contents.

    Attributes:
        id: that of its author, else Phoenix's.
        node_id: Phoenix's.
        content_hash: as `evalwire.model.content_hash` has it.
    """

    id: str
    node_id: str
    content_hash: str
    splits: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """What a dataset's metadata says while an upload takes its requests, and after one that was interrupted.

    Attributes:
        rows: how many the file has for it.
        on_exist: how they are uploaded, `append` or `overwrite`.
        base_version_id: the dataset's version before the upload; None where it held nothing.
    """

    rows: int
    on_exist: OnExist
    base_version_id: str | None

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None) -> UnfinishedUpload | None:
        """Read the mark of a dataset's metadata; None where there is none."""
        facts = (metadata or {}).get(FACTS_KEY)
        found = facts.get("unfinished_upload") if isinstance(facts, Mapping) else None
        return None if found is None else cls(found["rows"], found["on_exist"], found["base_version_id"])


def mark_unfinished(
    metadata: Mapping[str, Any] | None, mark: UnfinishedUpload | None, *, number: int
) -> dict[str, Any]:
    """A dataset's metadata with the mark in it, or without it; all else stays.

    The number of marks set and taken away since stays too, so that who reads it twice sees whether an upload began
    or ended in between.
    """
    return {**(metadata or {}), FACTS_KEY: {"unfinished_upload": asdict(mark) if mark else None, "marks": number}}


def mark_count(metadata: Mapping[str, Any] | None) -> int:
    """Return how many times a dataset was marked, or its mark taken away."""
    facts = (metadata or {}).get(FACTS_KEY)
    return int(facts.get("marks", 0)) if isinstance(facts, Mapping) else 0


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A dataset as an upload finds it.

    Attributes:
        version_id: its newest version; None where it has none yet.
        example_count: of that version.
    """

    id: str
    version_id: str | None
    example_count: int
    metadata: Mapping[str, Any]

    @property
    def unfinished(self) -> UnfinishedUpload | None:
        """The mark of an upload that is under way, or was interrupted."""
        return UnfinishedUpload.of(self.metadata)
