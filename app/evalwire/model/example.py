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


_SORTED = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


def content_hash(input_: Mapping[str, Any], output: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return a digest of an example's content, as 16 hexadecimal digits."""
    content = _SORTED.encode([dict(input_), dict(output), dict(metadata)])
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16]


@functools.lru_cache(maxsize=1024)  # examples that were uploaded together share a time
def moment_of(text: str) -> datetime | None:
    """Parse an ISO 8601 time; return None for any other text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Mapping[str, Any]):
    """An example of a dataset, with attribute and item access: `example.input["q"]`, `example["input"]["q"]`.

    Attributes:
        id: the ID from the dataset's author, or Phoenix's own ID.
        node_id: Phoenix's global ID, under which runs are recorded.
        input: the input of the task.
        output: the expected output; evaluators receive it as `expected`.
        metadata: additional data from the author.
        updated_at: the time of the last change in Phoenix, or None.
        splits: the names of the dataset's splits to which the example belongs, sorted. Like `recorded_hash`, they are
            not a key of the mapping.
        recorded_hash: the `content_hash` from before secrets were masked, or from a results file. It is not a key of
            the mapping, because it is not part of the dataset.
    """

    id: str
    node_id: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    metadata: Mapping[str, Any]
    updated_at: datetime | None = None
    splits: tuple[str, ...] = ()
    recorded_hash: str | None = field(default=None, repr=False)

    _KEYS = ("id", "node_id", "input", "output", "metadata", "updated_at")

    @property
    def content_hash(self) -> str:
        """A digest of the content; examples of two dataset versions are the same if their digests are equal."""
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
    """A version of a Phoenix dataset, or of a split of it, with the examples in the dataset's order."""

    id: str
    name: str
    version_id: str
    examples: Sequence[Example]
    split: str | None = None
