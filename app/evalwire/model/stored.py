"""Datasets stored in Phoenix, as uploads need them, and the mark of an unfinished upload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evalwire.model.metadata import FACTS_KEY

OnExist = Literal["skip", "append", "overwrite"]


@dataclass(frozen=True, slots=True)
class StoredExample:
    """An example of a stored dataset, without its content.

    Attributes:
        id: the ID from the author, or Phoenix's ID.
        node_id: Phoenix's global ID.
        content_hash: the digest from `evalwire.model.content_hash`.
        splits: the names of the splits to which the example belongs.
    """

    id: str
    node_id: str
    content_hash: str
    splits: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """The mark in a dataset's metadata during an upload, which an interrupted upload leaves behind.

    Attributes:
        rows: the number of rows that the file has for the dataset.
        on_exist: the mode of the upload, `append` or `overwrite`.
        base_version_id: the dataset's version before the upload; None if the dataset was empty.
    """

    rows: int
    on_exist: OnExist
    base_version_id: str | None

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None) -> UnfinishedUpload | None:
        """Read the mark from a dataset's metadata; None without a mark."""
        facts = (metadata or {}).get(FACTS_KEY)
        found = facts.get("unfinished_upload") if isinstance(facts, Mapping) else None
        return None if found is None else cls(found["rows"], found["on_exist"], found["base_version_id"])


def mark_unfinished(
    metadata: Mapping[str, Any] | None, mark: UnfinishedUpload | None, *, number: int
) -> dict[str, Any]:
    """Return a dataset's metadata with the mark set or removed; other entries are kept.

    The metadata also has a count of all marks set and removed. Two reads with different counts show that an upload
    started or ended in between.
    """
    return {**(metadata or {}), FACTS_KEY: {"unfinished_upload": asdict(mark) if mark else None, "marks": number}}


def mark_count(metadata: Mapping[str, Any] | None) -> int:
    """Return the number of times that a dataset's mark was set or removed."""
    facts = (metadata or {}).get(FACTS_KEY)
    return int(facts.get("marks", 0)) if isinstance(facts, Mapping) else 0


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A dataset in Phoenix at the start of an upload.

    Attributes:
        id: Phoenix's ID of the dataset.
        version_id: the ID of the newest version; None without a version.
        example_count: the number of examples in that version.
        metadata: the dataset's metadata in Phoenix.
        description: the dataset's description, which may contain the origin of a version.
    """

    id: str
    version_id: str | None
    example_count: int
    metadata: Mapping[str, Any]
    description: str = ""

    @property
    def unfinished(self) -> UnfinishedUpload | None:
        """The mark of an upload that is in progress or was interrupted."""
        return UnfinishedUpload.of(self.metadata)

    @property
    def origin(self) -> UploadOrigin | None:
        """The origin of the newest version; None if it is unknown."""
        found = UploadOrigin.of(self.description)
        return found if found is not None and found.version_id == self.version_id else None

    @property
    def can_be_described(self) -> bool:
        """Check whether evalwire may write the description: never over a text of the user."""
        return not self.description.strip() or UploadOrigin.of(self.description) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOrigin:
    """The origin of a dataset version, which the description of the dataset contains for its newest upload.

    Attributes:
        version_id: Phoenix's ID of the version.
        digest: the digest of the testset's rows; empty if the dataset also has other rows.
        commit: the commit of the testset, with `-dirty` after changes that are not in it; empty if unknown.
        branch: the branch of the testset; empty if unknown.
    """

    version_id: str
    digest: str = ""
    commit: str = ""
    branch: str = ""

    @classmethod
    def of(cls, description: str | None) -> UploadOrigin | None:
        """Read the origin from a dataset's description; None if the text is not from evalwire."""
        found = _ORIGIN.fullmatch(description or "")
        return cls(**{name: text or "" for name, text in found.groupdict().items()}) if found else None

    def to_text(self) -> str:
        """Return the description of the dataset."""
        commit, branch = "".join(self.commit.split()), " ".join(self.branch.split())
        parts = (("testset", self.digest), ("commit", commit), ("branch", branch))
        return ", ".join([f"{_UPLOADED} {self.version_id}", *(f"{name} {text}" for name, text in parts if text)])

    def __str__(self) -> str:
        branch = f"branch {self.branch}" if self.branch else "an unknown branch"
        return f"{branch} (commit {self.commit})" if self.commit else branch


_UPLOADED = "Uploaded by evalwire: version"

_ORIGIN = re.compile(
    rf"{_UPLOADED} (?P<version_id>\S+?)"
    r"(?:, testset (?P<digest>[0-9a-f]+))?(?:, commit (?P<commit>\S+?))?(?:, branch (?P<branch>.+))?"
)
