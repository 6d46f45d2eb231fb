"""Plan an upload: an ID for each row, and the changes to the stored examples.

Every row gets an ID before it is sent. The ID comes from the file, else from the example with the same content, else
from a hash of the input. Requests can therefore be retried, and interrupted uploads repeated, without duplicates.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from evalwire.model import first_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalwire.datasets.rows import Row
    from evalwire.model import OnExist, StoredExample

_MOST_IDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """The changes that an upload makes to a dataset.

    Attributes:
        ids: the ID of each row, in the file's order.
        hashes: the content hash of each row.
        splits: the splits of each row; None for a row without splits in the file.
        sent: whether each row must be sent.
        added: IDs of the rows that are not in the dataset.
        changed: IDs of the rows that are in the dataset with other contents or splits.
        removed: examples that are in the dataset and not in the file.
        size: approximate size of all rows in bytes.
    """

    ids: Sequence[str]
    hashes: Sequence[str]
    splits: Sequence[frozenset[str] | None]
    sent: Sequence[bool]
    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[StoredExample]
    size: int

    @property
    def is_empty(self) -> bool:
        """True if the dataset is already up to date."""
        return not (self.added or self.changed or self.removed)

    @property
    def changes(self) -> str:
        """The numbers of added, changed, removed and unchanged examples, in words."""
        same = len(self.ids) - len(self.added) - len(self.changed)
        return f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed, {same} unchanged"

    def listed(self) -> Iterator[str]:
        """Yield a line for each kind of change, with the first IDs."""
        removed = [example.id for example in self.removed]
        for word, ids in (("added", self.added), ("changed", self.changed), ("removed", removed)):
            if ids:
                yield f"  {word}: {first_of(ids, _MOST_IDS)}"


class _Sketch(NamedTuple):
    """The data that is kept of a row while an upload is planned."""

    id: str | None
    content_hash: str
    input_hash: str
    splits: frozenset[str] | None


def plan_upload(rows: Iterable[Row], stored: Sequence[StoredExample], *, on_exist: OnExist) -> UploadPlan:
    """Assign IDs to rows and find the changes, with a few hundred bytes of memory for each row of any size."""
    sketches, size = [], 0
    for row in rows:
        splits = None if row.splits is None else frozenset(row.splits)
        sketches.append(_Sketch(row.id, row.content_hash, _hash_of_input(row), splits))
        size += size_of(row)
    by_id = examples_by_id(stored)
    ids = _ids(sketches, stored, by_id, on_exist)
    added, changed, sent, kept = [], [], [], set()
    for name, sketch in zip(ids, sketches, strict=True):
        before = by_id.get(name)
        if before is None:
            added.append(name)
        else:
            kept.add(before.node_id)
            if _differs(sketch, before):
                changed.append(name)
        sent.append(before is None or _differs(sketch, before))
    return UploadPlan(
        ids=ids,
        hashes=[sketch.content_hash for sketch in sketches],
        splits=[sketch.splits for sketch in sketches],
        sent=sent,
        added=added,
        changed=changed,
        removed=[] if on_exist == "append" else [example for example in stored if example.node_id not in kept],
        size=size,
    )


def testset_digest(rows: Iterable[Row]) -> str:
    """Return a digest of the rows of a dataset, independent of their order."""
    parts = sorted([row.id or "", row.content_hash, *sorted(row.splits or ())] for row in rows)
    return hashlib.sha256(_json(parts).encode()).hexdigest()[:16]


def examples_by_id(stored: Iterable[StoredExample]) -> dict[str, StoredExample]:
    """Return examples by the user's ID and by Phoenix's node ID."""
    return {name: example for example in stored for name in (example.id, example.node_id)}


def _differs(sketch: _Sketch, before: StoredExample) -> bool:
    other_splits = sketch.splits is not None and sketch.splits != before.splits
    return other_splits or sketch.content_hash != before.content_hash


def _ids(
    sketches: Sequence[_Sketch], stored: Sequence[StoredExample], by_id: Mapping[str, StoredExample], on_exist: OnExist
) -> list[str]:
    """Return an ID for each row: from the file, else from an example with the same content, else from the input.

    An example keeps its ID when its expected output is edited, and duplicate rows have different IDs.
    """
    ids = [sketch.id for sketch in sketches]
    taken = {name for name in ids if name is not None}
    claimed = {by_id[name].node_id for name in taken if name in by_id}
    free: defaultdict[str, list[StoredExample]] = defaultdict(list)
    for example in reversed(stored):
        if example.node_id not in claimed:
            free[example.content_hash].append(example)
    for index, sketch in enumerate(sketches):
        if ids[index] is None and free[sketch.content_hash]:
            ids[index] = free[sketch.content_hash].pop().id
    taken.update(name for name in ids if name is not None)
    if on_exist == "append":  # appended rows must not replace stored examples
        taken.update(example.id for example in stored)
    counts: defaultdict[str, int] = defaultdict(int)

    def made(input_hash: str) -> str:
        while True:
            counts[input_hash] += 1
            name = f"{input_hash}-{counts[input_hash]}"
            if name not in taken:
                return name

    return [made(sketch.input_hash) if name is None else name for name, sketch in zip(ids, sketches, strict=True)]


def _hash_of_input(row: Row) -> str:
    return hashlib.sha256(_json(dict(row.input)).encode()).hexdigest()[:16]


def size_of(row: Row) -> int:
    """Return the approximate size of a row in a request, in bytes."""
    return len(_json([dict(row.input), dict(row.output), dict(row.metadata)]))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
