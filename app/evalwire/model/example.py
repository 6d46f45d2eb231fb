"""Examples and datasets."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def content_hash(input_: Mapping[str, Any], output: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """A digest of an example's contents, in 16 hexadecimal digits."""
    content = json.dumps([dict(input_), dict(output), dict(metadata)], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16]


@functools.lru_cache(maxsize=1024)  # examples that were uploaded together have one between them
def moment_of(text: str) -> datetime | None:
    """Return a moment that is written in ISO 8601; None for another text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Mapping[str, Any]):
    """One example of a dataset, with attribute and item access: `example.input["q"]`, `example["input"]["q"]`.

    Attributes:
        id: the id the dataset's author gave, else Phoenix's own.
        node_id: Phoenix's global id, which runs are recorded under.
        input: what the task is given.
        output: what the example expects; evaluators see it as `expected`.
        metadata: whatever else the author attached.
        updated_at: when Phoenix last changed it, or None.
        recorded_hash: the `content_hash` that it had before secrets were taken out of it, or that a file has of it;
            no key of the mapping, since it is none of the dataset's.
    """

    id: str
    node_id: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    metadata: Mapping[str, Any]
    updated_at: datetime | None = None
    recorded_hash: str | None = field(default=None, repr=False)

    _KEYS = ("id", "node_id", "input", "output", "metadata", "updated_at")

    @property
    def content_hash(self) -> str:
        """A digest of what it asks and expects: examples of two dataset versions with the same one are the same."""
        if self.recorded_hash is not None:
            return self.recorded_hash
        return content_hash(self.input, self.output, self.metadata)

    def __getitem__(self, key: str) -> Any:
        if key in self._KEYS:
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a Phoenix dataset, or of a split of it, with its examples in the dataset's order."""

    id: str
    name: str
    version_id: str
    examples: Sequence[Example]
    split: str | None = None
