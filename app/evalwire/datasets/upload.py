"""Plan the upload of a testset's rows, and send them in parts.

Every row gets an ID before it is sent. The ID comes from the file, else from the example with the same content, else
from a hash of the input. Requests can therefore be retried, and interrupted uploads repeated, without duplicates.

An upload with several requests marks the dataset as unfinished. The mark is removed after the stored examples were
compared with the file, so no job runs on a partial upload.
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
    """Stores datasets. Each call is a single request with a retry policy; all calls are safe to repeat."""

    def find(self, name: str) -> StoredDataset | None:
        """Return the dataset with this name, or None."""
        ...

    def stored(self, dataset_id: str) -> list[StoredExample]:
        """Return the examples of the dataset's newest version."""
        ...

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        """Create an empty dataset that is marked as unfinished."""
        ...

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        """Mark a dataset as unfinished, or remove the mark."""
        ...

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> None:
        """Add rows, or replace examples with the same IDs; with `as_whole`, remove all other examples."""
        ...

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in a new version."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """The changes that an upload makes to a dataset.

    Attributes:
        ids: the ID of each row, in the file's order.
        hashes: the content hash of each row.
        sent: whether each row must be sent.
        added: IDs of the rows that are not in the dataset.
        changed: IDs of the rows that are in the dataset with other contents or splits.
        removed: examples that are in the dataset and not in the file.
        size: approximate size of all rows in bytes.
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
        """True if the dataset is already up to date."""
        return not (self.added or self.changed or self.removed)


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
        removed=[] if on_exist == "append" else [example for example in stored if example.node_id not in kept],
        size=size,
    )


def _by_id(stored: Iterable[StoredExample]) -> dict[str, StoredExample]:
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


def _size(row: Row) -> int:
    return len(_json([dict(row.input), dict(row.output), dict(row.metadata)]))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The planned upload of a dataset.

    Attributes:
        held: the dataset before the upload; None if it does not exist.
        action: the effect on the dataset.
        plan: the changes; None if the dataset is skipped.
        is_repeat: whether the upload completes an interrupted upload.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    held: StoredDataset | None
    action: Action
    plan: UploadPlan | None
    is_repeat: bool = False

    @property
    def example_count(self) -> int:
        """The number of examples in the file for this dataset; for a skipped dataset, the number in Phoenix."""
        if self.plan:
            return len(self.plan.ids)
        return self.held.example_count if self.held else 0


def prepare_upload(store: Store, name: str, rows: Callable[[], Iterator[Row]], *, on_exist: OnExist) -> Upload:
    """Compare a dataset with the file's rows; an interrupted upload is completed even if `on_exist` is `skip`.

    Raises:
        TestsetError: a row has an ID that Phoenix assigned to an example of another dataset.
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
            f"{name}: the ID {foreign!r} was assigned by Phoenix, but this dataset has no example with this ID.\n"
            'Use other IDs, or write id_column = "" under [dataset] in evalwire.toml.'
        )
    done: Action = "appended" if mode == "append" else "updated" if held and held.version_id else "created"
    if held and found.is_empty and not unfinished:
        done = "unchanged"
    return Upload(name=name, rows=rows, held=held, action=done, plan=found, is_repeat=unfinished is not None)


def execute_upload(store: Store, upload: Upload, *, arrived: Callable[[int], None] = lambda _: None) -> None:
    """Send the planned changes, and verify the stored dataset.

    Args:
        store: the store to upload to.
        upload: the prepared upload.
        arrived: called after each request with its number of rows.

    Raises:
        PhoenixError: Phoenix did not accept the upload, or the stored dataset differs. An unfinished mark remains.
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
        raise PhoenixError(f"the dataset {upload.name!r} that was just uploaded no longer exists in Phoenix.")
    _verify(upload, found, store.stored(held.id), is_append=is_append)
    if held.unfinished:
        store.mark(held, None)


def _in_parts(store: Store, upload: Upload, found: UploadPlan, arrived: Callable[[int], None]) -> None:
    removals = [found.removed[at : at + ROWS_PER_PART] for at in range(0, len(found.removed), ROWS_PER_PART)]
    requests = len(removals) + any(found.sent)  # assuming that the rows fit into a single request
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
    if held is not None:  # a new dataset has nothing to remove
        for part_removed in removals:
            store.remove(held.id, [example.node_id for example in part_removed])


def _named(upload: Upload, found: UploadPlan) -> Iterator[tuple[Row, str]]:
    """Read the rows again, and yield each with its ID."""
    rows = upload.rows()
    for name, planned_hash in zip(found.ids, found.hashes, strict=True):
        row = next(rows, None)
        if row is None or row.content_hash != planned_hash:
            raise PhoenixError(f"{upload.name}: the testset changed during the upload. Upload it again.")
        yield row, name


def _parts(rows: Iterable[tuple[Row, str]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for row, name in rows:
        row_size = _size(row)
        if part and (len(part) == ROWS_PER_PART or size + row_size > BYTES_PER_PART):
            yield part
            part, size = [], 0
        part.append(as_example(row, name))
        size += row_size
    if part:
        yield part


def as_example(row: Row, name: str | None) -> dict[str, Any]:
    """Return a row as an example for Phoenix's client, with `name` as the ID unless it is None."""
    content: dict[str, Any] = {"input": dict(row.input), "output": dict(row.output), "metadata": dict(row.metadata)}
    if name is not None:
        content["id"] = name
    return content if row.splits is None else {**content, "splits": list(row.splits)}


def _verify(upload: Upload, found: UploadPlan, stored: Sequence[StoredExample], *, is_append: bool) -> None:
    there = {name: example.content_hash for name, example in _by_id(stored).items()}
    missing = sum(name not in there for name in found.ids)
    other = sum(there.get(name, planned) != planned for name, planned in zip(found.ids, found.hashes, strict=True))
    more = 0 if is_append else len(stored) - len(found.ids) + missing
    if missing or other or more > 0:
        raise PhoenixError(
            f"{upload.name}: the dataset in Phoenix differs from the file: {missing} of {len(found.ids)} examples are "
            f"missing, {other} have other contents, {max(more, 0)} are not in the file.\n"
            "Another process may have changed the dataset. Upload it again."
        )


def prepare_uploads(
    path: Path, columns: Columns, tags: Collection[str], store: Store, *, on_exist: OnExist
) -> Iterator[Upload]:
    """Prepare the uploads of datasets in turn; execute each upload before requesting the next."""
    for tag in tags:
        rows = partial(read_rows, path, columns, tag)
        yield prepare_upload(store, tag, rows, on_exist=on_exist)
