"""A testset's rows and what a dataset holds -> what to send, and the sending of it in parts.

Every row gets an id before it is sent, so that a part can be sent again, and an upload that was interrupted repeated,
without a row twice: that of the file, else that of the example with the same content, else one made of its input.
Where an upload takes several requests, the dataset is marked as unfinished around them, and what is there is compared
with the file before the mark is taken away: no run sees a dataset that holds a part of the file.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from evalwire.datasets.notes import is_phoenix_id
from evalwire.datasets.testset import read_rows
from evalwire.errors import PhoenixError, TestsetError
from evalwire.model import OnExist, StoredDataset, StoredExample, UnfinishedUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalwire.datasets.rows import Columns, Row

Action = Literal["created", "updated", "appended", "skipped", "unchanged"]

ROWS_PER_PART = 5_000

BYTES_PER_PART = 8 * 2**20


class Store(Protocol):
    """Where datasets are. Each call is one request, tried again as its policy says; all may be repeated."""

    def find(self, name: str) -> StoredDataset | None:
        """The dataset of this name, if there is one."""
        ...

    def stored(self, dataset_id: str) -> list[StoredExample]:
        """Return the content of the dataset's newest version."""
        ...

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        """Create a dataset that holds nothing yet, marked."""
        ...

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        """Mark a dataset as unfinished, or take the mark away."""
        ...

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> None:
        """Add rows, or change those of the same ids; as a whole, what has none of their ids is removed."""
        ...

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in a version of their own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """What an upload does to a dataset.

    Attributes:
        ids: that of each row, in the file's order.
        hashes: that of each row's content.
        sent: whether each row has to be sent.
        added: ids of the rows that the dataset does not hold. `changed`, those that it holds with other contents or
            splits.
        removed: what it holds and the file does not.
        size: bytes of all rows, about.
    """

    ids: Sequence[str]
    hashes: Sequence[str]
    sent: Sequence[bool]
    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[StoredExample]
    size: int

    @property
    def is_empty(self) -> bool:
        """True if the upload changes nothing: the dataset holds what it should."""
        return not (self.added or self.changed or self.removed)


class _Sketch(NamedTuple):
    """What is kept of a row while an upload is planned."""

    id: str | None
    content_hash: str
    input_hash: str
    splits: frozenset[str] | None


def plan_upload(rows: Iterable[Row], stored: Sequence[StoredExample], *, on_exist: OnExist) -> UploadPlan:
    """Find each row's id, and what has to change; holds a few hundred bytes a row, whatever the row holds."""
    sketches, size = [], 0
    for row in rows:
        splits = None if row.splits is None else frozenset(row.splits)
        sketches.append(_Sketch(row.id, row.content_hash, _hash_of_input(row), splits))
        size += _size(row)
    by_id = _by_id(stored)
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
        sent=sent,
        added=added,
        changed=changed,
        removed=[] if on_exist == "append" else [one for one in stored if one.node_id not in kept],
        size=size,
    )


def _by_id(stored: Iterable[StoredExample]) -> dict[str, StoredExample]:
    """By the author's id and by Phoenix's: either names an example."""
    return {name: one for one in stored for name in (one.id, one.node_id)}


def _differs(sketch: _Sketch, before: StoredExample) -> bool:
    other_splits = sketch.splits is not None and sketch.splits != before.splits
    return other_splits or sketch.content_hash != before.content_hash


def _ids(
    sketches: Sequence[_Sketch], stored: Sequence[StoredExample], by_id: Mapping[str, StoredExample], on_exist: OnExist
) -> list[str]:
    """Each row's id: its own, else that of an example with the same content, else one made of its input.

    So an example whose expected output is edited keeps its id, and each of several rows that are the same has one.
    """
    ids = [sketch.id for sketch in sketches]
    taken = {name for name in ids if name is not None}
    claimed = {by_id[name].node_id for name in taken if name in by_id}
    free: defaultdict[str, list[StoredExample]] = defaultdict(list)
    for one in reversed(stored):
        if one.node_id not in claimed:
            free[one.content_hash].append(one)
    for index, sketch in enumerate(sketches):
        if ids[index] is None and free[sketch.content_hash]:
            ids[index] = free[sketch.content_hash].pop().id
    taken.update(name for name in ids if name is not None)
    if on_exist == "append":  # what is appended is no new content of what is there
        taken.update(one.id for one in stored)
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


def _size(row: Row) -> int:
    return len(_json([dict(row.input), dict(row.output), dict(row.metadata)]))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One dataset's upload, planned.

    Attributes:
        held: the dataset as it is; None where there is none.
        action: what becomes of it.
        plan: None where it is skipped.
        is_repeat: whether it goes on with an upload that was interrupted.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    held: StoredDataset | None
    action: Action
    plan: UploadPlan | None
    is_repeat: bool = False

    @property
    def example_count(self) -> int:
        """The number of examples in the file for this dataset; for a skipped dataset, the number that it holds."""
        if self.plan:
            return len(self.plan.ids)
        return self.held.example_count if self.held else 0


def prepare_upload(store: Store, name: str, rows: Callable[[], Iterator[Row]], *, on_exist: OnExist) -> Upload:
    """Look at the dataset and at the file's rows for it; an interrupted upload goes on, also where one would skip.

    Raises:
        TestsetError: a row has an ID that Phoenix gave to an example of another dataset.
    """
    held = store.find(name)
    unfinished = held.unfinished if held else None
    if held and on_exist == "skip":
        if unfinished is None:
            return Upload(name=name, rows=rows, held=held, action="skipped", plan=None)
        on_exist = unfinished.on_exist
    mode: OnExist = "append" if held and on_exist == "append" else "overwrite"
    found = plan_upload(rows(), store.stored(held.id) if held and held.version_id else [], on_exist=mode)
    if foreign := next(filter(is_phoenix_id, found.added), None):
        raise TestsetError(
            f"{name}: the id {foreign!r} is one that Phoenix gave to an example, and this dataset has no such "
            "example.\n"
            'Give ids of your own, or write id_column = "" under [dataset] in evalwire.toml.'
        )
    done: Action = "appended" if mode == "append" else "updated" if held and held.version_id else "created"
    if held and found.is_empty and not unfinished:
        done = "unchanged"
    return Upload(name=name, rows=rows, held=held, action=done, plan=found, is_repeat=unfinished is not None)


def execute_upload(store: Store, upload: Upload, *, arrived: Callable[[int], None] = lambda _: None) -> None:
    """Send what the plan says, and look whether it is there.

    Args:
        store: where to.
        upload: as prepared.
        arrived: told how many rows each request brought.

    Raises:
        PhoenixError: it was not taken, or afterwards something else is there. A dataset that was marked stays so.
    """
    found = upload.plan
    if found is None or upload.action == "unchanged":
        return
    is_append = upload.action == "appended"
    fits = len(found.ids) <= ROWS_PER_PART and found.size <= BYTES_PER_PART
    if fits and not is_append and not upload.is_repeat:
        store.send(upload.name, [as_example(row, name) for row, name in _named(upload, found)], as_whole=True)
        arrived(len(found.ids))
    else:
        _in_parts(store, upload, found, arrived)
    held = store.find(upload.name)
    if held is None:
        raise PhoenixError(f"Phoenix no longer has the dataset {upload.name!r} that was just uploaded.")
    _verify(upload, found, store.stored(held.id), is_append=is_append)
    if held.unfinished:
        store.mark(held, None)


def _in_parts(store: Store, upload: Upload, found: UploadPlan, arrived: Callable[[int], None]) -> None:
    removals = [found.removed[at : at + ROWS_PER_PART] for at in range(0, len(found.removed), ROWS_PER_PART)]
    requests = len(removals) + any(found.sent)  # where what is sent fits into one
    is_single = sum(found.sent) <= ROWS_PER_PART and found.size <= BYTES_PER_PART and requests <= 1
    held = upload.held
    if not is_single and not upload.is_repeat:
        mode: OnExist = "append" if upload.action == "appended" else "overwrite"
        mark = UnfinishedUpload(len(found.ids), mode, held.version_id if held else None)
        if held is None:
            store.create(upload.name, mark)
        else:
            store.mark(held, mark)
    named = zip(_named(upload, found), found.sent, strict=True)
    for part in _parts(row for row, is_sent in named if is_sent):
        store.send(upload.name, part, as_whole=False)
        arrived(len(part))
    if held is not None:  # else there is nothing to remove
        for gone in removals:
            store.remove(held.id, [one.node_id for one in gone])


def _named(upload: Upload, found: UploadPlan) -> Iterator[tuple[Row, str]]:
    """Each row with its id, read again."""
    rows = upload.rows()
    for name, its in zip(found.ids, found.hashes, strict=True):
        row = next(rows, None)
        if row is None or row.content_hash != its:
            raise PhoenixError(f"{upload.name}: the testset was changed while it was uploaded; upload it again.")
        yield row, name


def _parts(rows: Iterable[tuple[Row, str]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for row, name in rows:
        its = _size(row)
        if part and (len(part) == ROWS_PER_PART or size + its > BYTES_PER_PART):
            yield part
            part, size = [], 0
        part.append(as_example(row, name))
        size += its
    if part:
        yield part


def as_example(row: Row, name: str | None) -> dict[str, Any]:
    """Return a row as Phoenix's client takes examples, with this ID, where it has one."""
    content: dict[str, Any] = {"input": dict(row.input), "output": dict(row.output), "metadata": dict(row.metadata)}
    if name is not None:
        content["id"] = name
    return content if row.splits is None else {**content, "splits": list(row.splits)}


def _verify(upload: Upload, found: UploadPlan, stored: Sequence[StoredExample], *, is_append: bool) -> None:
    there = {name: one.content_hash for name, one in _by_id(stored).items()}
    missing = sum(name not in there for name in found.ids)
    other = sum(there.get(name, its) != its for name, its in zip(found.ids, found.hashes, strict=True))
    more = 0 if is_append else len(stored) - len(found.ids) + missing
    if missing or other or more > 0:
        raise PhoenixError(
            f"{upload.name}: Phoenix does not hold what the file has: {missing} of {len(found.ids)} examples are "
            f"missing, {other} have other contents, {max(more, 0)} are too many.\n"
            "Perhaps somebody else changed the dataset meanwhile; upload it again."
        )


def prepare_uploads(
    path: Path, columns: Columns, tags: Collection[str], store: Store, *, on_exist: OnExist
) -> Iterator[Upload]:
    """Prepare the upload of one dataset after the other; each is to be executed before the next is asked for."""
    for tag in tags:
        rows = partial(read_rows, path, columns, tag)
        yield prepare_upload(store, tag, rows, on_exist=on_exist)
