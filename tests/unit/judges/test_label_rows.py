"""A file of labels is changed row by row, and nothing else in it changes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from evalwire.errors import UsageError
from evalwire.judges import LabelRows, label_row, read_labels, row_value
from evalwire.model import Label


def label(run_id: str, value: float = 1.0, annotator: str = "ann", **fields) -> Label:
    fields = {"experiment_id": "E", "example_id": f"e{run_id}", "repetition": 1} | fields
    return Label(value=value, run_id=run_id, annotator=annotator, **fields)


def test_a_label_replaces_only_the_same_persons_for_the_same_run(tmp_path):
    path = tmp_path / "judges" / "labels.csv"
    rows = LabelRows(path)
    rows.put([label_row(label("r1")), label_row(label("r2")), label_row(label("r1", annotator="bob"))])
    rows.put([label_row(label("r1", 0.0, note="=wrong\n, really"))])
    rows.put([label_row(label("r2"), is_skipped=True)])
    rows.put([label_row(label("r1", experiment_id="F"))])
    found = [(each.run_id, each.annotator, each.experiment_id, each.value) for each in read_labels(path)]
    assert found == [("r1", "ann", "E", 0.0), ("r1", "bob", "E", 1.0), ("r1", "ann", "F", 1.0)]
    own = rows.of("E", "ann")
    assert [(row["run_id"], row["label"], row["note"]) for row in own] == [
        ("r1", "fail", "=wrong\n, really"),
        ("r2", "", ""),
    ]
    assert "'=wrong" in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["labels.csv"]


def test_other_columns_and_the_form_of_a_spreadsheet_are_kept(tmp_path):
    path = tmp_path / "labels.csv"
    text = "\ufeffTicket;example_id;label;experiment;annotator\r\nT1;er1;ok?;E;bob\r\nT2;er2;pass;E;ann\r\n"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    LabelRows(path).put([label_row(label("r2", 0.0))])
    lines = path.read_text().splitlines()
    assert lines[0] == "\ufeffTicket;example_id;label;experiment;annotator;run_id;repetition;score;note"
    assert lines[1:] == ["T1;er1;ok?;E;bob;;;;", "T2;er2;fail;E;ann;r2;1;;"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_score_is_kept(tmp_path):
    path = tmp_path / "labels.csv"
    rows = LabelRows(path)
    rows.put([label_row(label("r1", 0.25, is_score=True))])
    assert list(map(row_value, rows.of("E", "ann"))) == [(0.25, True)]


@pytest.mark.parametrize("text", [b"\xff", b'experiment,label,run_id\nE,"pass'], ids=["encoding", "quote"])
def test_a_file_that_is_not_csv_is_not_replaced(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=r"labels\.csv"):
        LabelRows(path).put([label_row(label("r1"))])
    assert path.read_bytes() == text


def test_a_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "judges").write_text("")
    with pytest.raises(UsageError, match="cannot write the labels"):
        LabelRows(tmp_path / "judges" / "labels.csv").put([label_row(label("r1"))])


def _write(path: Path, annotator: str) -> None:
    rows = LabelRows(path)
    for number in range(40):
        rows.put([label_row(label(f"r{number}", annotator=annotator))])


def test_people_who_label_at_the_same_time_lose_nothing(tmp_path):
    path = tmp_path / "labels.csv"
    people = [threading.Thread(target=_write, args=(path, name)) for name in ("ann", "bob")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert {(each.run_id, each.annotator) for each in read_labels(path)} == {
        (f"r{number}", name) for number in range(40) for name in ("ann", "bob")
    }
