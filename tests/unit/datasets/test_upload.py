"""What an upload sends: ids that stay, parts that can be repeated, and a mark around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.datasets import upload as uploading
from evalwire.datasets.rows import Columns, Row
from evalwire.datasets.upload import (
    Upload,
    execute_upload,
    plan_upload,
    prepare_upload,
    prepare_uploads,
    sync_dataset,
)
from evalwire.errors import DatasetChanged, PhoenixError, UsageError
from evalwire.model.example import content_hash
from evalwire.model.stored import (
    OnExist,
    StoredDataset,
    StoredExample,
    UnfinishedUpload,
    UploadOrigin,
    mark_count,
    mark_unfinished,
)

NAME = "set"


def row(question: str, answer: str = "a", *, id: str | None = None, splits: Sequence[str] | None = None) -> Row:
    return Row(number=0, tags=(NAME,), id=id, input={"q": question}, output={"a": answer}, metadata={}, splits=splits)


class Down(Exception):
    """The process ended, or the server did."""


class Memory:
    """Phoenix's rules for datasets: by id, `append` adds and changes, `update` removes what is not sent."""

    def __init__(self) -> None:
        self.metadata: Mapping[str, Any] | None = None
        self.description = ""
        self.versions: list[dict[str, tuple[Mapping[str, Any], frozenset[str]]]] = []
        self.requests: list[str] = []
        self.down_at: int | None = None
        self.answer_is_lost = False

    def _request(self, what: str) -> None:
        self.requests.append(what)

    def _is_down(self) -> bool:
        return self.down_at is not None and len(self.requests) > self.down_at

    def _write(self, what: str) -> Iterator[None]:
        self._request(what)
        if self._is_down() and not self.answer_is_lost:
            raise Down
        yield
        if self._is_down():
            raise Down

    @property
    def newest(self) -> dict[str, tuple[Mapping[str, Any], frozenset[str]]]:
        return self.versions[-1] if self.versions else {}

    def find(self, name: str) -> StoredDataset | None:
        if self.metadata is None:
            return None
        version = f"V{len(self.versions)}" if self.versions else None
        return StoredDataset("D", version, len(self.newest), self.metadata, self.description)

    def stored(self, dataset_id: str, version_id: str) -> list[StoredExample]:
        return [
            StoredExample(name, f"N{name}", content_hash(row["input"], row["output"], row["metadata"]), splits)
            for name, (row, splits) in self.versions[int(version_id[1:]) - 1].items()
        ]

    def describe(self, dataset_id: str, text: str) -> None:
        self.description = text

    def create(self, name: str, unfinished: UnfinishedUpload) -> None:
        for _ in self._write("create"):
            self.metadata = mark_unfinished({}, unfinished, number=1)

    def mark(self, held: StoredDataset, unfinished: UnfinishedUpload | None) -> None:
        for _ in self._write("mark" if unfinished else "unmark"):
            self.metadata = mark_unfinished(held.metadata, unfinished, number=mark_count(held.metadata) + 1)

    def send(self, name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        for _ in self._write(f"{'update' if as_whole else 'append'} {len(rows)}"):
            self.metadata = self.metadata or {}
            before = {} if as_whole else dict(self.newest)
            for row in rows:
                old = self.newest.get(row["id"], ({}, frozenset()))[1]
                before[row["id"]] = (row, frozenset(row["splits"]) if "splits" in row else old)
            self.versions.append(before)
        return f"V{len(self.versions)}"

    def remove(self, dataset_id: str, node_ids: Sequence[str]) -> None:
        for _ in self._write(f"remove {len(node_ids)}"):
            self.versions.append({name: row for name, row in self.newest.items() if f"N{name}" not in node_ids})

    @property
    def contents(self) -> list[tuple[str, str]]:
        return [(row["input"]["q"], row["output"]["a"]) for row, _ in self.newest.values()]

    @property
    def unfinished(self) -> UnfinishedUpload | None:
        return UnfinishedUpload.of(self.metadata)


def upload(store: Memory, rows: Sequence[Row], *, on_exist: OnExist | None = "overwrite") -> Upload:
    store.requests.clear()
    prepared = prepare_upload(store, NAME, lambda: iter(rows), on_exist=on_exist)
    execute_upload(store, prepared)
    return prepared


def pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row.input["q"], row.output["a"]) for row in rows]


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)


# --- one request ---------------------------------------------------------------------------------------


def test_what_fits_one_request_is_one_version(store):
    """Nobody can see a part of it, so there is no mark."""
    assert upload(store, [row("1"), row("2"), row("2")]).action == "created"
    assert upload(store, [row("1"), row("3")]).action == "updated"
    assert (store.contents, len(store.versions)) == ([("1", "a"), ("3", "a")], 2)
    assert store.requests == ["update 2"]


def test_the_same_file_again_changes_nothing(store):
    upload(store, [row("1"), row("1", "b")])
    assert upload(store, [row("1", "b"), row("1")]).action == "unchanged"
    assert store.requests == []


def test_what_exists_is_skipped(store):
    upload(store, [row("1")])
    done = upload(store, [row("2")], on_exist="skip")
    assert (done.action, done.example_count, store.requests) == ("skipped", 1, [])


def test_what_is_appended_removes_nothing_and_is_there_once(store):
    upload(store, [row("1"), row("2")])
    assert upload(store, [row("2"), row("3")], on_exist="append").action == "appended"
    assert store.contents == [("1", "a"), ("2", "a"), ("3", "a")]
    assert upload(store, [row("2"), row("3")], on_exist="append").action == "unchanged"


def test_an_appended_row_is_no_new_content_of_one_with_the_same_input(store):
    upload(store, [row("1", "a")])
    upload(store, [row("1", "b")], on_exist="append")
    assert store.contents == [("1", "a"), ("1", "b")]


# --- ids -----------------------------------------------------------------------------------------------


def ids(store: Memory) -> dict[tuple[str, str], str]:
    return dict(zip(store.contents, store.newest, strict=True))


def test_an_example_keeps_its_id_when_its_expected_output_is_edited(store):
    upload(store, [row("1"), row("2")])
    before = ids(store)
    done = upload(store, [row("2"), row("1", "b"), row("3")])
    assert (ids(store)["1", "b"], ids(store)["2", "a"]) == (before["1", "a"], before["2", "a"])
    assert done.plan is not None
    assert (list(done.plan.changed), len(done.plan.added), list(done.plan.removed)) == ([before["1", "a"]], 1, [])


def test_ids_of_the_file_win(store):
    upload(store, [row("1", id="x"), row("2", id="y")])
    done = upload(store, [row("other", id="x"), row("3", id="z")])
    assert (list(store.newest), store.contents) == (["x", "z"], [("other", "a"), ("3", "a")])
    assert done.plan is not None
    assert (done.plan.changed, done.plan.added, [row.id for row in done.plan.removed]) == (["x"], ["z"], ["y"])


def test_an_example_that_another_tool_uploaded_keeps_its_id(store):
    """It has none of an author's, so the one that Phoenix gave it is used."""
    store.metadata = {}
    content = {"input": {"q": "1"}, "output": {"a": "a"}, "metadata": {}}
    store.versions.append({"RXhhbXBsZTox": (content, frozenset())})
    upload(store, [row("2"), row("1")])
    assert ids(store)["1", "a"] == "RXhhbXBsZTox"


def test_a_row_with_an_id_takes_it_from_no_other_row(store):
    """A made id that a row of the file has as its own goes to that row."""
    upload(store, [row("1")])
    [made] = store.newest
    upload(store, [row("2", id=made), row("1")])
    assert ids(store)["2", "a"] == made
    assert len(store.newest) == 2


def test_splits_are_sent_where_they_differ(store):
    upload(store, [row("1", splits=["dev"]), row("2", splits=[])])
    assert upload(store, [row("1"), row("2")]).action == "unchanged"
    done = upload(store, [row("1", splits=["dev"]), row("2", splits=["hard"])])
    assert done.plan is not None
    assert len(done.plan.changed) == 1
    assert [set(splits) for _, splits in store.newest.values()] == [{"dev"}, {"hard"}]


# --- several requests ----------------------------------------------------------------------------------


def test_parts_come_between_a_mark_and_its_end(store, small_parts):
    rows = [row(str(n)) for n in range(5)]
    assert upload(store, rows).action == "created"
    assert store.requests == ["create", "append 2", "append 2", "append 1", "unmark"]
    assert (store.contents, store.unfinished) == (pairs(rows), None)


def test_only_what_changed_is_sent_and_in_one_request_without_a_mark(store, small_parts):
    rows = [row(str(n)) for n in range(5)]
    upload(store, rows)
    upload(store, [*rows, row("new")])
    assert store.requests == ["append 1"]
    upload(store, rows)
    assert store.requests == ["remove 1"]


def test_what_is_removed_is_removed_in_parts_behind_what_is_added(store, small_parts):
    upload(store, [row(str(n)) for n in range(5)])
    upload(store, [row("4"), row("5"), row("6")])
    assert store.requests == ["mark", "append 2", "remove 2", "remove 2", "unmark"]
    assert store.contents == [("4", "a"), ("5", "a"), ("6", "a")]


def test_a_part_has_no_more_bytes_than_it_may(store, monkeypatch):
    monkeypatch.setattr(uploading, "BYTES_PER_PART", 1000)
    upload(store, [row("x" * 400), row("y" * 400), row("z" * 2000), row("1")])
    assert store.requests == ["create", "append 2", "append 1", "append 1", "unmark"]


def test_the_mark_names_the_version_to_use_meanwhile(store, small_parts):
    upload(store, [row("1")])
    store.down_at = 2
    with pytest.raises(Down):
        upload(store, [row(str(n)) for n in range(5)])
    assert store.unfinished == UnfinishedUpload(rows=5, on_exist="overwrite", base_version_id="V1")


@pytest.mark.parametrize("on_exist", [None, "skip", "overwrite", "append"])
def test_an_interrupted_upload_goes_on_also_where_one_would_skip(store, small_parts, on_exist):
    rows = [row("1"), row("1"), row("1"), row("2"), row("3")]
    store.down_at = 2
    with pytest.raises(Down):
        upload(store, rows)
    assert store.contents == [("1", "a"), ("1", "a")]
    store.down_at = None
    done = upload(store, rows, on_exist=on_exist)
    assert done.is_repeat
    assert store.requests == ["append 2", "append 1", "unmark"]
    assert (store.contents, store.unfinished) == (pairs(rows), None)


def test_a_mark_that_alone_was_left_is_taken_away(store, small_parts):
    rows = [row("1"), row("2"), row("3")]
    store.down_at = 3
    with pytest.raises(Down):
        upload(store, rows)
    assert (store.contents, store.unfinished is None) == (pairs(rows), False)
    store.down_at = None
    upload(store, rows, on_exist="skip")
    assert (store.requests, store.unfinished) == (["unmark"], None)


def test_other_metadata_of_the_dataset_stays(store, small_parts):
    upload(store, [row("1")])
    store.metadata = {**(store.metadata or {}), "owner": "search team"}
    upload(store, [row(str(n)) for n in range(5)])
    assert store.metadata["owner"] == "search team"


def test_a_reader_sees_that_an_upload_came_between_two_looks(store, small_parts):
    before = mark_count(store.metadata)
    upload(store, [row(str(n)) for n in range(5)])
    assert mark_count(store.metadata) != before


# --- what is there afterwards --------------------------------------------------------------------------


@pytest.mark.parametrize("is_lost", ["missing", "changed", "added"])
def test_what_is_not_there_afterwards_is_an_error(store, monkeypatch, is_lost):
    """And not found out by the run that misses it."""
    sent = store.send

    def send(name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        changed = [{**rows[0], "output": {}}, *rows[1:]]
        more = [*rows, {**rows[0], "id": "other"}]
        return sent(name, {"missing": rows[1:], "changed": changed, "added": more}[is_lost], as_whole=as_whole)

    monkeypatch.setattr(store, "send", send)
    says = {"missing": "1 of 2 examples are missing", "changed": "1 have other", "added": "1 are not in the file"}[
        is_lost
    ]
    with pytest.raises(PhoenixError, match=says):
        upload(store, [row("1"), row("2")])


def test_a_file_that_changes_meanwhile_is_an_error(store):
    files = [[row("1"), row("2")], [row("1"), row("3")]]
    prepared = prepare_upload(store, NAME, lambda: iter(files.pop(0)), on_exist="overwrite")
    with pytest.raises(PhoenixError, match="changed during the upload"):
        execute_upload(store, prepared)
    assert store.versions == []


rows_of_files = st.lists(
    st.builds(row, st.sampled_from("123"), st.sampled_from("ab"), splits=st.none() | st.just(("dev",))), max_size=7
)


@given(
    files=st.lists(rows_of_files, min_size=1, max_size=3),
    downs=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=3),
    modes=st.lists(st.sampled_from(["skip", "overwrite"]), min_size=3, max_size=3),
)
def test_whatever_interrupts_it_the_repeat_ends_with_the_files_rows(files, downs, modes):
    """Rows that are the same included; and until then a reader is told not to use what is there."""
    store = Memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploading, "ROWS_PER_PART", 2)
        for file in files:
            rows = [*file, row("last")]
            complete = Counter(store.contents)
            upload_of_it: OnExist = "overwrite"
            for (down_at, is_lost), mode in zip(downs, modes, strict=False):
                store.down_at, store.answer_is_lost = down_at, is_lost
                try:
                    upload(store, rows, on_exist=upload_of_it)
                except Down:
                    seen = Counter(store.contents)
                    assert store.unfinished is not None or seen in (complete, Counter(pairs(rows)))
                if store.unfinished is not None:
                    upload_of_it = mode
            store.down_at = None
            upload(store, rows, on_exist=upload_of_it)
            assert Counter(store.contents) == Counter(pairs(rows))
            assert store.unfinished is None


def test_a_plan_holds_no_contents():
    """A few hundred bytes a row, whatever the rows hold."""
    import tracemalloc

    def many() -> Iterator[Row]:
        return (row(f"{n} " + "x" * 5_000) for n in range(2_000))

    tracemalloc.start()
    found = plan_upload(many(), [], on_exist="overwrite")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.ids) == 2_000
    assert held < 2_000 * 600


def test_removals_in_several_requests_are_marked(store, small_parts):
    """Though nothing is sent: in between, a part of what goes is gone."""
    rows = [row(str(n)) for n in range(9)]
    upload(store, rows)
    store.down_at = 2  # in the midst of them
    with pytest.raises(Down):
        upload(store, rows[:4])
    assert store.requests == ["mark", "remove 2", "remove 2"]
    assert store.unfinished is not None
    store.down_at = None
    upload(store, rows[:4])
    assert (store.contents, store.unfinished) == (pairs(rows[:4]), None)


# --- a file that differs, where nobody said what to do -------------------------------------------------


def test_a_file_that_differs_needs_a_decision_unless_the_dataset_is_new_or_the_same(store):
    assert upload(store, [row("1"), row("2")], on_exist=None).action == "created"
    assert upload(store, [row("2"), row("1")], on_exist=None).action == "unchanged"
    store.requests.clear()
    prepared = prepare_upload(store, NAME, lambda: iter([row("1", "b"), row("3"), row("4")]), on_exist=None)
    assert prepared.action == "differs"
    assert next(prepared.changes()) == f"{NAME}: 2 added, 1 changed, 1 removed, 0 unchanged"
    assert store.requests == []


def test_splits_alone_are_a_difference(store):
    upload(store, [row("1", splits=["dev"])])
    assert upload(store, [row("1", splits=["dev"])], on_exist=None).action == "unchanged"
    assert prepare_upload(store, NAME, lambda: iter([row("1", splits=[])]), on_exist=None).action == "differs"


def test_a_dataset_that_differs_keeps_the_new_ones_from_being_uploaded(store, tmp_path):
    """All datasets of a file, or none."""
    file = tmp_path / "set.csv"
    file.write_text(f"user_query,expected_output,tags\n9,a,new\n1,b,{NAME}\n")
    upload(store, [row("1")])
    found = store.find
    store.find = lambda name: found(name) if name == NAME else None  # type: ignore[method-assign]
    uploads = prepare_uploads(file, Columns(), ["new", NAME], store, on_exist=None)
    with pytest.raises(UsageError, match=rf"(?s)nothing was uploaded:\n  {NAME}: 1 added, .*Set --on-exist"):
        next(uploads)
    assert len(store.versions) == 1


# --- several uploads at once ---------------------------------------------------------------------------


def sync(store: Memory, rows: Sequence[Row], **origin: str) -> tuple[Upload, uploading.Uploaded]:
    return sync_dataset(store, NAME, lambda: iter(rows), origin=origin)


def contents_of(store: Memory, version: str | None) -> list[tuple[str, str]]:
    rows = store.versions[int(str(version)[1:]) - 1].values()
    return [(one["input"]["q"], one["output"]["a"]) for one, _ in rows]


def disturbed(store: Memory, *others: Sequence[Row], mixes: bool) -> None:
    """Let another upload come with each request; one that mixes writes into the version of the first, as parts may."""
    send, left = store.send, list(others)

    def send_both(name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        version = send(name, rows, as_whole=as_whole)
        if left:
            other = [uploading.as_example(one, f"other-{one.input['q']}") for one in left.pop(0)]
            mixed = send(name, other, as_whole=not mixes)
            version = mixed if mixes else version
        return version

    store.send = send_both  # type: ignore[method-assign]


def test_the_version_is_the_uploads_own_also_where_a_newer_one_came(store):
    disturbed(store, [row("9")], mixes=False)
    _, uploaded = sync(store, [row("1"), row("2")], branch="a")
    assert (uploaded.version_id, store.contents) == ("V1", [("9", "a")])
    assert contents_of(store, uploaded.version_id) == [("1", "a"), ("2", "a")]
    assert [example.id for example in uploaded.examples] == list(store.versions[0])
    assert store.description == "", "it would be taken for the origin of the newer one"


def test_the_version_of_an_unchanged_dataset_is_the_one_that_was_compared(store):
    sync(store, [row("1")])
    found, uploaded = sync(store, [row("1")])
    assert (found.action, uploaded.version_id, len(uploaded.examples), len(store.versions)) == ("unchanged", "V1", 1, 1)


@pytest.mark.parametrize("size", [2, 5])
def test_an_upload_that_was_mixed_with_another_is_repeated(store, small_parts, size):
    rows = [row(str(number)) for number in range(size)]
    disturbed(store, [row("x")], [row("y")], mixes=True)
    _, uploaded = sync(store, rows)
    assert Counter(contents_of(store, uploaded.version_id)) == Counter(pairs(rows))
    assert store.unfinished is None


def test_an_upload_that_is_disturbed_for_ever_is_an_error(store):
    disturbed(store, *([[row(f"x{number}")] for number in range(99)]), mixes=True)
    with pytest.raises(DatasetChanged, match="1 are not in the file"):
        sync(store, [row("1")])


def test_splits_that_another_upload_changed_are_noticed(store):
    """Phoenix keeps them with the example, not with the version."""
    send, lost = store.send, [False, True]  # in the first request

    def send_without(name: str, rows: Sequence[Mapping[str, Any]], *, as_whole: bool) -> str:
        return send(name, [{**one, "splits": []} if lost.pop() else one for one in rows], as_whole=as_whole)

    store.send = send_without  # type: ignore[method-assign]
    _, uploaded = sync(store, [row("1", splits=["dev"])])
    assert (uploaded.examples[0].splits, len(store.versions)) == (frozenset({"dev"}), 2)


# --- where a version comes from ------------------------------------------------------------------------


def test_the_dataset_says_where_its_newest_version_comes_from(store):
    sync(store, [row("1")], commit="c1", branch="main", ci="github")
    held = store.find(NAME)
    assert str(held.origin) == "branch main (commit c1)"
    assert held.origin.digest
    upload(store, [row("2")])  # by a program that says nothing
    assert store.find(NAME).origin is None
    sync(store, [row("3")], branch="b")
    assert str(store.find(NAME).origin) == "branch b"
    sync(store, [row("4")], branch="b", commit="c2", dirty="yes")
    assert str(store.find(NAME).origin) == "branch b (commit c2-dirty)"


def test_a_description_of_the_user_stays(store):
    store.description = "Questions of customers"
    sync(store, [row("1")], branch="main")
    assert (store.description, store.find(NAME).origin) == ("Questions of customers", None)


def test_an_origin_that_cannot_be_recorded_fails_no_upload(store, monkeypatch, caplog):
    def describe(dataset_id: str, text: str) -> None:
        raise PhoenixError("refused")

    monkeypatch.setattr(store, "describe", describe)
    assert sync(store, [row("1")], branch="main")[1].version_id == "V1"
    assert "the origin of the upload was not recorded: refused" in caplog.text


@given(branch=st.text(), commit=st.text(), digest=st.text(alphabet="0123456789abcdef"))
def test_an_origin_is_read_as_it_was_written(branch, commit, digest):
    """A branch may have any name; its spaces become one."""
    read = UploadOrigin.of(UploadOrigin(version_id="V=", digest=digest, commit=commit, branch=branch).to_text())
    assert read is not None
    assert (read.version_id, read.digest) == ("V=", digest)
    assert (read.commit, read.branch) == ("".join(commit.split()), " ".join(branch.split()))
