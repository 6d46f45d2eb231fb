"""Upload a testset's rows: compare them with the dataset, send the changes in parts, and verify the stored examples.

An upload with several requests marks the dataset as unfinished. The mark is removed after the stored examples were
compared with the file, so no job runs on a partial upload.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from evalwire.datasets.notes import is_phoenix_id
from evalwire.datasets.plan import UploadPlan, examples_by_id, plan_upload, size_of, testset_digest
from evalwire.datasets.testset import read_rows
from evalwire.errors import DatasetChanged, PhoenixError, TestsetError, UsageError
from evalwire.model import OnExist, StoredDataset, StoredExample, UnfinishedUpload, UploadOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalwire.datasets.rows import Columns, Row

log = logging.getLogger("evalwire")

Action = Literal["created", "updated", "appended", "skipped", "unchanged", "differs"]

ROWS_PER_PART = 5_000

BYTES_PER_PART = 8 * 2**20

_MOST_ATTEMPTS = 10  # of an upload that other uploads disturb


class Store(Protocol):
    """Stores datasets. Each call is a single request with a retry policy; all calls are safe to repeat."""

    def find(self, name: str) -> StoredDataset | None:
        """Return the dataset with this name, or None."""
        ...

    def stored(self, dataset_id: str, version_id: str) -> list[StoredExample]:
        """Return the examples of a dataset version."""
        ...

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        """Create an empty dataset that is marked as unfinished."""
        ...

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        """Mark a dataset as unfinished, or remove the mark."""
        ...

    def describe(self, dataset_id: str, text: str) -> None:
        """Replace the description of a dataset."""
        ...

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        """Add rows, or replace examples with the same IDs; return the ID of the version that has them.

        With `as_whole`, all other examples are removed.
        """
        ...

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        """Remove examples in a new version."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The planned upload of a dataset.

    Attributes:
        held: the dataset before the upload; None if it does not exist.
        action: the effect on the dataset; `differs` if the user must decide first.
        plan: the changes; None if the dataset is skipped.
        stored: the examples before the upload.
        is_repeat: whether the upload completes an interrupted upload.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    held: StoredDataset | None
    action: Action
    plan: UploadPlan | None
    stored: Sequence[StoredExample] = ()
    is_repeat: bool = False

    @property
    def example_count(self) -> int:
        """The number of examples in the file for this dataset; for a skipped dataset, the number in Phoenix."""
        if self.plan:
            return len(self.plan.ids)
        return self.held.example_count if self.held else 0

    def changes(self) -> Iterator[str]:
        """Yield lines that describe the changes; nothing for a new or an unchanged dataset."""
        if self.plan is None or self.held is None or self.plan.is_empty:
            return
        yield f"{self.name}: {'continues an interrupted upload: ' if self.is_repeat else ''}{self.plan.changes}"
        yield from self.plan.listed()


class Uploaded(NamedTuple):
    """The result of an upload.

    Attributes:
        version_id: the ID of the dataset version that has the rows; None for a skipped dataset.
        examples: the examples of that version.
    """

    version_id: str | None
    examples: Sequence[StoredExample] = ()


def prepare_upload(store: Store, name: str, rows: Callable[[], Iterator[Row]], *, on_exist: OnExist | None) -> Upload:
    """Compare a dataset with the file's rows.

    An interrupted upload is completed even if `on_exist` is `skip` or None. With None, the action for a dataset with
    other examples is `differs`.

    Raises:
        TestsetError: a row has an ID that Phoenix assigned to an example of another dataset.
    """
    held = store.find(name)
    unfinished = held.unfinished if held else None
    asks = on_exist is None
    if held and on_exist == "skip" and unfinished is None:
        return Upload(name=name, rows=rows, held=held, action="skipped", plan=None)
    if unfinished and on_exist in ("skip", None):
        on_exist, asks = unfinished.on_exist, False
    mode: OnExist = "append" if held and on_exist == "append" else "overwrite"
    stored = store.stored(held.id, held.version_id) if held and held.version_id else []
    found = plan_upload(rows(), stored, on_exist=mode)
    if foreign := next(filter(is_phoenix_id, found.added), None):
        raise TestsetError(
            f"{name}: the ID {foreign!r} was assigned by Phoenix, but this dataset has no example with this ID.\n"
            'Use other IDs, or write id_column = "" under [dataset] in evalwire.toml.'
        )
    done: Action = "appended" if mode == "append" else "updated" if held and held.version_id else "created"
    if held and found.is_empty and not unfinished:
        done = "unchanged"
    elif done == "updated" and asks:
        done = "differs"
    return Upload(
        name=name, rows=rows, held=held, action=done, plan=found, stored=stored, is_repeat=unfinished is not None
    )


def check_differences(path: Path, changes: Sequence[str]) -> None:
    """Check that no dataset differs from the testset; otherwise, the user must decide.

    Args:
        path: the testset.
        changes: lines that describe the changes to datasets.

    Raises:
        UsageError: there is a change.
    """
    if not changes:
        return
    lines = "".join(f"  {line}\n" for line in changes)
    raise UsageError(
        f"{path} differs from the dataset in Phoenix, and on_exist is not set, so nothing was uploaded:\n{lines}"
        "Set --on-exist, or on_exist in evalwire.toml or in DatasetUploader.upload: overwrite makes the testset the "
        "newest version, append only adds rows, and skip keeps the dataset."
    )


def execute_upload(
    store: Store,
    upload: Upload,
    *,
    origin: Mapping[str, Any] | None = None,
    arrived: Callable[[int], None] = lambda _: None,
) -> Uploaded:
    """Send the planned changes, and verify the stored dataset.

    Args:
        store: the store to upload to.
        upload: the prepared upload.
        origin: metadata of the job, of which `commit`, `branch` and `dirty` are recorded; None to record no origin.
        arrived: called after each request with its number of rows.

    Raises:
        DatasetChanged: the stored dataset differs. An unfinished mark remains.
        PhoenixError: Phoenix did not accept the upload. An unfinished mark remains.
    """
    found, held = upload.plan, upload.held
    if found is None:
        return Uploaded(None)
    if upload.action == "unchanged" and held is not None:
        return Uploaded(held.version_id, upload.stored)
    is_append = upload.action == "appended"
    fits = len(found.ids) <= ROWS_PER_PART and found.size <= BYTES_PER_PART
    if fits and not is_append and not upload.is_repeat:
        rows = [as_example(row, name) for row, name in _named(upload, found)]
        version: str | None = store.send(upload.name, rows, as_whole=True)
        arrived(len(found.ids))
    else:
        version = _in_parts(store, upload, found, arrived)
    held = store.find(upload.name)
    if held is None or held.version_id is None:
        raise PhoenixError(f"the dataset {upload.name!r} that was just uploaded no longer exists in Phoenix.")
    version = version or held.version_id
    examples = store.stored(held.id, version)
    _verify(upload, found, examples, is_append=is_append)
    if held.unfinished:
        store.mark(held, None)
    if origin is not None and held.version_id == version and held.can_be_described:
        _describe(store, upload, held, origin)
    return Uploaded(version, examples)


def _describe(store: Store, upload: Upload, held: StoredDataset, facts: Mapping[str, Any]) -> None:
    """Record the origin of the newest version, which only messages use."""
    commit = facts.get("commit", "")
    origin = UploadOrigin(
        version_id=str(held.version_id),
        digest="" if upload.action == "appended" else testset_digest(upload.rows()),
        commit=f"{commit}-dirty" if commit and facts.get("dirty") else commit,
        branch=facts.get("branch", ""),
    )
    try:
        store.describe(held.id, origin.to_text())
    except PhoenixError as error:
        log.warning("%s: the origin of the upload was not recorded: %s", upload.name, error)


def sync_dataset(
    store: Store,
    name: str,
    rows: Callable[[], Iterator[Row]],
    *,
    origin: Mapping[str, Any] | None = None,
    arrived: Callable[[int], None] = lambda _: None,
) -> tuple[Upload, Uploaded]:
    """Upload the rows of a dataset as a new version, and repeat the upload if another upload disturbed it.

    Raises:
        DatasetChanged: other uploads changed the dataset during each attempt.
        PhoenixError: Phoenix did not accept the upload.
    """
    attempts = 0
    while True:
        attempts += 1
        upload = prepare_upload(store, name, rows, on_exist="overwrite")
        try:
            return upload, execute_upload(store, upload, origin=origin, arrived=arrived)
        except DatasetChanged:
            if attempts == _MOST_ATTEMPTS:
                raise
            log.info("%s: another upload changed the dataset at the same time; uploading again", name)


def _in_parts(store: Store, upload: Upload, found: UploadPlan, arrived: Callable[[int], None]) -> str | None:
    """Send the changes in several requests; return the version ID of the last request, or None if it is unknown."""
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
    version: str | None = None
    named = zip(_named(upload, found), found.sent, strict=True)
    for part in _parts(row for row, is_sent in named if is_sent):
        version = store.send(upload.name, part, as_whole=False)
        arrived(len(part))
    if held is not None:  # a new dataset has nothing to remove
        for part_removed in removals:
            store.remove(held.id, [example.node_id for example in part_removed])
            version = None
    return version


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
        row_size = size_of(row)
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
    there = examples_by_id(stored)
    missing = other = 0
    for name, content_hash, splits in zip(found.ids, found.hashes, found.splits, strict=True):
        if (example := there.get(name)) is None:
            missing += 1
        elif example.content_hash != content_hash or splits not in (None, example.splits):
            other += 1
    more = 0 if is_append else len(stored) - len(found.ids) + missing
    if missing or other or more > 0:
        raise DatasetChanged(
            f"{upload.name}: the dataset in Phoenix differs from the file: {missing} of {len(found.ids)} examples are "
            f"missing, {other} have other contents, {max(more, 0)} are not in the file.\n"
            "Another process may have changed the dataset. Upload it again."
        )


def prepare_uploads(
    path: Path, columns: Columns, tags: Collection[str], store: Store, *, on_exist: OnExist | None
) -> Iterator[Upload]:
    """Prepare the uploads of datasets in turn; execute each upload before requesting the next.

    Raises:
        UsageError: `on_exist` is None, and a dataset differs from the file. No upload was prepared.
    """
    uploads: Iterable[Upload] = (
        prepare_upload(store, tag, partial(read_rows, path, columns, tag), on_exist=on_exist) for tag in tags
    )
    if on_exist is None:  # upload all datasets or none
        uploads = list(uploads)
        check_differences(path, [line for upload in uploads if upload.action == "differs" for line in upload.changes()])
    yield from uploads
