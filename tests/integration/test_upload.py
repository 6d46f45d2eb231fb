"""Testsets in a real Phoenix: ids, splits, versions, and uploads that end in the middle."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Project
from evalwire.datasets import upload as uploading
from evalwire.datasets.upload import execute_upload, prepare_upload
from evalwire.errors import DatasetUnfinished, PhoenixError, UsageError
from evalwire.model.metadata import CREATION_KEY
from evalwire.model.stored import StoredDataset, UnfinishedUpload
from evalwire.phoenix.server import Phoenix
from evalwire.uploader import DatasetUploader

pytestmark = pytest.mark.needs_phoenix

FIELDS = ("id", "user_query", "expected_output", "tags", "split")
ECHO = "def task(input): return input['user_query']"


@pytest.fixture
def tag() -> str:
    return f"set-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def phoenix(client: Any) -> Phoenix:
    return Phoenix(client)


def write_csv(path: Path, rows: Sequence[Sequence[str]], fields: Sequence[str] = FIELDS[1:4]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([fields, *rows])
    return path


def contents(client: Any, tag: str, **which: Any) -> list[tuple[str, str]]:
    found = client.datasets.get_dataset(dataset=tag, timeout=120, **which).examples
    return [(one["input"]["user_query"], one["output"]["expected_output"]) for one in found]


def test_an_edited_file_updates_the_dataset_and_says_how(phoenix_project: Project, client, tag):
    """Ids stay, the changes are told before, and the earlier version is still there."""
    file = phoenix_project.directory / "set.csv"
    write_csv(file, [("k1", "q1", "a1", tag, "dev"), ("k2", "q2", "a2", tag, ""), ("k3", "q3", "a3", tag, "")], FIELDS)
    done = phoenix_project.run("upload", "--csv", "set.csv")
    assert (done.returncode, done.stdout) == (0, f"{tag}: created, 3 examples\n")
    before = client.datasets.get_dataset(dataset=tag)
    write_csv(
        file, [("k1", "q1", "a1", tag, "dev"), ("k2", "q2", "new", tag, "dev"), ("k4", "q4", "a4", tag, "")], FIELDS
    )
    dry = phoenix_project.run("upload", "--csv", "set.csv", "--on-exist", "overwrite", "--dry-run")
    changes = f"{tag}: 1 added, 1 changed, 1 removed, 1 unchanged\n  added: k4\n  changed: k2\n  removed: k3\n"
    assert (dry.returncode, dry.stderr) == (0, changes)
    assert dry.stdout == f"{tag}: would be updated, 3 examples\n"
    assert client.datasets.get_dataset(dataset=tag).version_id == before.version_id
    done = phoenix_project.run("upload", "--csv", "set.csv", "--on-exist", "overwrite")
    assert (done.stderr, done.stdout) == (changes, f"{tag}: updated, 3 examples\n")
    after = client.datasets.get_dataset(dataset=tag)
    nodes = {one["id"]: one["node_id"] for one in before.examples}
    assert {one["id"]: one["node_id"] == nodes.get(one["id"]) for one in after.examples} == {
        "k1": True,
        "k2": True,
        "k4": False,
    }
    assert [one["id"] for one in client.datasets.get_dataset(dataset=tag, splits=["dev"]).examples] == ["k1", "k2"]
    assert contents(client, tag, version_id=before.version_id) == [("q1", "a1"), ("q2", "a2"), ("q3", "a3")]


def test_an_overwritten_dataset_keeps_its_experiments(client, phoenix, tag, tmp_path):
    file = write_csv(tmp_path / "set.csv", [("q1", "a1", tag)])
    [dataset] = DatasetUploader(file, client).upload().values()
    client.experiments.create(dataset_id=dataset.id, experiment_name="before", experiment_metadata={CREATION_KEY: "k"})
    write_csv(file, [("q1", "a1", tag), ("q2", "a2", tag)])
    found = DatasetUploader(file, client).upload(on_exist="overwrite")
    assert [record["name"] for record in phoenix.experiments.on_dataset(tag)] == ["before"]
    assert (found[tag].id, len(found[tag].examples)) == (dataset.id, 2)


def test_what_exists_is_handled_as_asked(client, tag, tmp_path):
    file = write_csv(tmp_path / "set.csv", [("q1", "a1", tag)])
    uploader = DatasetUploader(file, client)
    uploader.upload()
    assert len(uploader.upload()[tag].examples) == 1
    write_csv(file, [("q2", "a2", f"{tag}|{tag}-b")])
    with pytest.raises(UsageError, match=f"(?s)nothing was uploaded:.*{tag}: 1 added, 0 changed, 1 removed"):
        uploader.upload()
    with pytest.raises(ValueError, match="not found"):
        client.datasets.get_dataset(dataset=f"{tag}-b")
    assert {name: len(one.examples) for name, one in uploader.upload("skip").items()} == {tag: 1, f"{tag}-b": 1}
    assert contents(client, tag) == [("q1", "a1")]
    uploader.upload(on_exist="append")
    assert contents(client, tag) == [("q1", "a1"), ("q2", "a2")]
    uploader.upload(on_exist="overwrite")
    assert contents(client, tag) == [("q2", "a2")]
    with pytest.raises(UsageError, match="expected one of: skip, append, overwrite"):
        uploader.upload(on_exist="replace")


def test_a_script_may_leave_the_columns_to_the_defaults(client, tag, tmp_path):
    file = write_csv(tmp_path / "set.csv", [("1", "q1", "a1", tag, ""), ("1", "q2", "a2", tag, "")], FIELDS)
    DatasetUploader(file, client, input_keys=None, output_keys=None, id_column="").upload()
    assert contents(client, tag) == [("q1", "a1"), ("q2", "a2")]
    with pytest.raises(FileNotFoundError):
        DatasetUploader(tmp_path / "nowhere.csv", client).upload()


def test_a_dataset_of_the_client_keeps_the_ids_of_rows_that_stay(client, tag, tmp_path):
    """Those that Phoenix gave, since nobody else gave any; and a row that comes back, comes back."""
    content = [{"input": {"user_query": q}, "output": {"expected_output": "a"}} for q in ("q1", "q2", "q2")]
    before = client.datasets.create_dataset(name=tag, examples=content)
    uploader = DatasetUploader(tmp_path / "set.csv", client)
    for rows in ([("q2", "a", tag), ("q3", "a", tag), ("q2", "a", tag)], [("q1", "a", tag), ("q2", "a", tag)]):
        write_csv(tmp_path / "set.csv", rows)
        uploader.upload("overwrite")
        assert Counter(contents(client, tag)) == Counter(row[:2] for row in rows)
    [kept] = [one for one in client.datasets.get_dataset(dataset=tag).examples if one["input"]["user_query"] == "q2"]
    assert kept["node_id"] == before.examples[1]["node_id"]


def test_rows_that_come_back_after_they_were_removed(client, tag, tmp_path, monkeypatch):
    """Also where they are removed in a request of their own, which Phoenix refuses for what it took for removed."""
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    uploader = DatasetUploader(tmp_path / "set.csv", client)
    for numbers in (range(5), range(2), range(5), range(1), range(3)):
        rows = [(f"q{n}", "a", tag) for n in numbers]
        write_csv(tmp_path / "set.csv", rows)
        uploader.upload("overwrite")
        assert Counter(contents(client, tag)) == Counter(row[:2] for row in rows)


def test_identical_rows_are_all_there_also_over_several_parts(client, tag, tmp_path, monkeypatch):
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    write_csv(tmp_path / "set.csv", [("q", "a", tag)] * 5)
    DatasetUploader(tmp_path / "set.csv", client).upload()
    assert contents(client, tag) == [("q", "a")] * 5


def test_lines_of_json_keep_their_values(phoenix_project: Project, client, tag):
    value = {"list": [1, None, "x\u2028y"], "number": 2.5}
    line = {"id": "k", "input": {"user_query": value}, "output": {"expected_output": 7}, "metadata": {"m": [1]}}
    phoenix_project.write({"set.jsonl": json.dumps({**line, "tags": [tag]}, ensure_ascii=False) + "\n"})
    assert phoenix_project.run("upload", "--csv", "set.jsonl").returncode == 0
    [example] = client.datasets.get_dataset(dataset=tag).examples
    assert (example["input"], example["output"]) == ({"user_query": value}, {"expected_output": 7})
    assert (example["id"], example["metadata"]) == ("k", {"m": [1]})
    assert phoenix_project.run("upload", "--csv", "set.jsonl", "--on-exist", "overwrite").stdout == (
        f"{tag}: unchanged, 1 example\n"
    )


def test_lists_in_a_cell_where_evalwire_toml_asks_for_them(phoenix_project: Project, client, tag):
    write_csv(phoenix_project.directory / "set.csv", [("a|b", "x|y", tag)])
    phoenix_project.write({"evalwire.toml": '[dataset]\ncsv_path = "set.csv"\nsplit_columns = ["expected_output"]\n'})
    assert phoenix_project.run("upload").returncode == 0
    assert contents(client, tag) == [("a|b", ["x", "y"])]


# --- files with something wrong ------------------------------------------------------------------------


def test_rows_with_a_problem_are_listed(phoenix_project: Project, client, tag):
    """Without a tag a row is left out; without an expected output it is uploaded, and its evaluators may need none."""
    write_csv(phoenix_project.directory / "set.csv", [("q1", "a1 | b1", tag), ("q2", "a2", ""), ("q3", "", tag)])
    done = phoenix_project.run("upload", "--csv", "set.csv")
    assert (done.returncode, done.stdout) == (0, f"{tag}: created, 2 examples\n")
    assert done.stderr.splitlines() == [
        "evalwire: set.csv: row 2: empty tag in column 'tags', left out",
        "evalwire: set.csv: row 3: empty expected output in column 'expected_output'",
        (
            "evalwire: set.csv: expected_output became a list in row 1, split at ' | '. To confirm, write split_columns = "
            '["expected_output"] under [dataset] in evalwire.toml; to keep the text, write split_columns = [].'
        ),
    ]
    assert contents(client, tag) == [("q1", ["a1", "b1"]), ("q3", "")]
    phoenix_project.write({"evalwire.toml": '[dataset]\ncsv_path = "set.csv"\n'})
    assert "ok      testset: set.csv: expected_output became a list in row 1" in phoenix_project.run("check").stdout
    strict = phoenix_project.run("upload", "--csv", "set.csv", "--strict", "--on-exist", "overwrite")
    assert (strict.returncode, strict.stdout) == (2, "")
    assert "row 2: empty tag" in strict.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user_query,expected_output\nq,a\n", "missing column: tags"),
        ("user_query,expected_output,tags\nq,a,TAG\nq,a\nq,a,TAG,x\n", "row 2: 2 cells"),
        ("user_query,expected_output,tags\nq,a,\n", "nothing to upload"),
    ],
)
def test_nothing_is_uploaded_of_a_broken_file(phoenix_project: Project, client, tag, text, says):
    phoenix_project.write({"set.csv": text.replace("TAG", tag)})
    done = phoenix_project.run("upload", "--csv", "set.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    with pytest.raises(ValueError, match="not found"):
        client.datasets.get_dataset(dataset=tag)


def test_validate_lists_everything_and_talks_to_nobody(phoenix_project: Project, tag):
    write_csv(phoenix_project.directory / "set.csv", [("q1", "a1", tag), ("q2", "a2", ""), ("q1", "a1", tag)])
    done = phoenix_project.run("validate", "--csv", "set.csv", PHOENIX_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "set.csv: row 2: empty tag in column 'tags'",
        "set.csv: row 3: duplicate of row 1",
        f"set.csv: 2 issues; examples by dataset: {tag} 2",
    ]
    write_csv(phoenix_project.directory / "set.csv", [("q1", "a1", tag)])
    assert phoenix_project.run("validate", "--csv", "set.csv").returncode == 0
    assert phoenix_project.run("validate", "--csv", "nowhere.csv").returncode == 2


# --- versions and names of datasets --------------------------------------------------------------------


def test_a_run_on_a_version_of_the_dataset(phoenix_project: Project, client, tag, tmp_path):
    file = write_csv(tmp_path / "set.csv", [("q1", "a1", tag)])
    old = DatasetUploader(file, client).upload()[tag].version_id
    write_csv(file, [("q1", "a1", tag), ("q2", "a2", tag)])
    DatasetUploader(file, client).upload("overwrite")
    phoenix_project.experiment(tag, task=ECHO)
    done = phoenix_project.run("run", "--dataset-version", old)
    assert "1 experiment, 1 example" in done.stdout
    phoenix_project.experiment(f"{tag}-b", task=ECHO)
    done = phoenix_project.run("run", "--dataset-version", old)
    assert (done.returncode, "needs a single dataset" in done.stderr) == (2, True)
    done = phoenix_project.run("run", "--name", tag, "--dataset-version", "RGF0YXNldFZlcnNpb246OTk5OTk5")
    assert (done.returncode, "version RGF0YXNldFZlcnNpb246OTk5OTk5" in done.stdout) == (1, True)


def test_a_dataset_whose_name_no_folder_can_have(phoenix_project: Project, tag):
    write_csv(phoenix_project.directory / "set.csv", [("q1", "q1", f"team/{tag}")])
    phoenix_project.write({"evalwire.toml": f'[experiments.search]\ndataset = "team/{tag}"\n'})
    phoenix_project.experiment("search", task=ECHO)
    assert phoenix_project.run("upload", "--csv", "set.csv").returncode == 0
    assert phoenix_project.run("run").returncode == 0


# --- uploads that end in the middle --------------------------------------------------------------------


def interrupted(phoenix: Phoenix, tag: str, rows: Sequence[tuple[str, ...]], folder: Path, *, after: int) -> None:
    """Upload rows in parts of two, and lose the connection after so many parts."""
    write_csv(folder / "set.csv", rows)
    store = phoenix.uploads
    send = store.send
    sent = 0

    def fail(*arguments: Any, **options: Any) -> None:
        nonlocal sent
        if sent == after:
            raise PhoenixError("gone")
        sent += 1
        send(*arguments, **options)

    store.send = fail  # type: ignore[method-assign]
    from functools import partial

    from evalwire.datasets.rows import Columns
    from evalwire.datasets.testset import read_rows

    its = partial(read_rows, folder / "set.csv", Columns(), tag)
    prepared = prepare_upload(store, tag, its, on_exist="overwrite")
    with pytest.raises(PhoenixError, match="gone"):
        execute_upload(store, prepared)


@pytest.mark.parametrize("after", [0, 1])
def test_a_run_refuses_a_dataset_that_holds_a_part_of_its_first_upload(
    phoenix, phoenix_project: Project, tag, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    rows = [(f"q{n}", "a", tag) for n in range(5)]
    interrupted(phoenix, tag, rows, tmp_path, after=after)
    with pytest.raises(DatasetUnfinished, match="an upload of 5 examples"):
        phoenix.datasets.fetch(tag)
    phoenix_project.experiment(tag, task=ECHO)
    done = phoenix_project.run("run")
    assert (done.returncode, "is not complete" in done.stdout) == (1, True)
    done = phoenix_project.run("upload", "--csv", str(tmp_path / "set.csv"))
    assert done.stdout == f"{tag}: {'updated' if after else 'created'}, 5 examples\n"
    assert phoenix_project.run("run").returncode == 0


def test_a_run_uses_the_version_before_an_upload_that_is_not_finished(
    client, phoenix, phoenix_project: Project, tag, tmp_path, monkeypatch
):
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    write_csv(tmp_path / "set.csv", [("old", "a", tag)])
    DatasetUploader(tmp_path / "set.csv", client).upload()
    interrupted(phoenix, tag, [(f"q{n}", "a", tag) for n in range(5)], tmp_path, after=1)
    phoenix_project.experiment(tag, task=ECHO)
    done = phoenix_project.run("run")
    assert "1 experiment, 1 example" in done.stdout
    assert "using the dataset version before it" in done.stderr
    assert phoenix_project.run("upload", "--csv", str(tmp_path / "set.csv")).returncode == 0
    assert len(phoenix.datasets.fetch(tag).examples) == 5


def test_an_upload_between_two_looks_at_a_dataset_is_noticed(client, phoenix, tag, tmp_path, monkeypatch):
    """The examples were read while a part of them was there; the mark was set after, and is gone again."""
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    write_csv(tmp_path / "set.csv", [("old", "a", tag)])
    DatasetUploader(tmp_path / "set.csv", client).upload()
    fetch = phoenix.datasets._version
    fetched = []

    def version(*about: str, **parts: Any) -> Any:
        fetched.append(fetch(*about, **parts))
        if len(fetched) == 1:
            write_csv(tmp_path / "set.csv", [(f"q{n}", "a", tag) for n in range(5)])
            DatasetUploader(tmp_path / "set.csv", client).upload("overwrite")
        return fetched[-1]

    monkeypatch.setattr(phoenix.datasets, "_version", version)
    assert len(phoenix.datasets.fetch(tag).examples) == 5
    assert [len(one.examples) for one in fetched] == [1, 5]


def wait_for(condition: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def is_half_there(phoenix: Phoenix, tag: str) -> bool:
    held: StoredDataset | None = phoenix.uploads.find(tag)
    return held is not None and held.version_id is not None and held.unfinished is not None


@pytest.mark.slow
@pytest.mark.parametrize("count", [5_400, 100_000])
@pytest.mark.timeout(1200)
def test_a_large_upload_that_is_killed_while_a_run_starts(phoenix, phoenix_project: Project, client, tag, count):
    """The run refuses; the repeat of the same command sends the rest, rows that are the same included."""
    text = "x" * (1_000 if count > 50_000 else 10)
    rows = [(f"{n // 2} {text}", "a", tag) for n in range(count)]
    write_csv(phoenix_project.directory / "set.csv", rows)
    phoenix_project.experiment(tag, task=ECHO)
    process = phoenix_project.start("upload", "--csv", "set.csv")
    try:
        wait_for(lambda: is_half_there(phoenix, tag))
        running = phoenix_project.start("run", "--dry-run", "1")
        os.kill(process.pid, signal.SIGKILL)
        out, _ = running.communicate(timeout=300)
    finally:
        process.kill()
        process.communicate()
    assert (running.returncode, "is not complete" in out) == (1, True)
    done = subprocess.run(
        [*process.args, "--quiet"],  # type: ignore[misc]
        cwd=phoenix_project.directory,
        env=phoenix_project.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert (done.returncode, done.stdout) == (0, f"{tag}: updated, {count} examples\n")
    assert "row 2: duplicate of row 1\n" in done.stderr
    assert f"and {count // 2 - 100} more; `evalwire validate` lists all" in done.stderr
    assert Counter(contents(client, tag)) == Counter(row[:2] for row in rows)
    assert UnfinishedUpload.of(client.datasets.get_dataset(dataset=tag, timeout=120).metadata) is None


@pytest.mark.slow
def test_an_upload_that_is_interrupted_says_what_is_there(phoenix, phoenix_project: Project, tag):
    write_csv(phoenix_project.directory / "set.csv", [(f"{n}", "a", tag) for n in range(5_400)])
    process = phoenix_project.start("upload", "--csv", "set.csv")
    try:
        wait_for(lambda: is_half_there(phoenix, tag))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143
    assert "interrupted after 5000 of 5400 examples" in err
    assert "Repeat it to send the rest. Until then, runs reject the dataset." in err
