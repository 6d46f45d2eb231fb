"""The spreadsheet of outputs: what a person fills in is read, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import threading

import pytest
from hostile import CORPUS

from evalwire.errors import PhoenixUnreachable
from evalwire.judges import read_labels
from evalwire.labeling import Answer, Output, Sender, fields_of, sheet_csv
from evalwire.masking import plain

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://canary.test")']


def output(run_id: str, text: str) -> Output:
    fields = fields_of(text, plain)
    return Output(run_id=run_id, example_id=plain(text), repetition=2, input=fields, expected=fields, output=fields)


def test_a_filled_sheet_is_read(tmp_path):
    texts = FORMULAS + [text for _, text in CORPUS] + ["x" * 100_000]
    outputs = [output(f"r{n}", text) for n, text in enumerate(texts)]
    answers = {"r1": Answer(word="fail", note="=2"), "r2": Answer(word="")}
    sheet = "".join(sheet_csv(outputs, answers, experiment_id="E", annotator="ann"))
    rows = list(csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff"), newline="")))
    assert len(rows) == len(texts)
    for row, text in zip(rows, texts, strict=True):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
        assert len(row["output"]) < 32_767
        if len(text) < 32_000:
            assert row["output"].removeprefix("'") == plain(text).removeprefix("'")
    rows[0]["label"] = "Pass"
    with (path := tmp_path / "sheet.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    found = read_labels(path)
    assert [(each.run_id, each.value, each.annotator, each.experiment_id) for each in found] == [
        ("r0", 1.0, "ann", "E"),
        ("r1", 0.0, "ann", "E"),
    ]


def test_a_long_value_is_cut_and_says_so():
    fields = fields_of({"a": "x" * 60, "b": [1, 2], "c": {"d": None}}, str, longest=50)
    assert fields == [("a", "x" * 50), ("b", ""), ("c", ""), ("", "[27 more characters are in Phoenix]")]
    assert fields_of({}, str) == [("", "{}")]
    assert fields_of(None, str) == [("", "null")]


def test_answers_are_sent_again_after_a_failure():
    calls: list[list[str]] = []
    is_away = threading.Event()
    is_away.set()
    changed = threading.Event()

    def send(ids):
        calls.append(list(ids))
        changed.set()
        if is_away.is_set():
            raise PhoenixUnreachable("away")

    sender = Sender(send, wait_seconds=0.05)
    sender.put(["r1"])
    sender.start()
    assert changed.wait(10)
    sender.put(["r2"])
    is_away.clear()
    assert sender.close() == 0
    assert {each for ids in calls for each in ids} == {"r1", "r2"}
    assert sender.late == 0


def test_an_answer_that_changes_while_it_is_sent_is_sent_again():
    calls: list[list[str]] = []

    def send(ids):
        calls.append(list(ids))
        if len(calls) == 1:
            sender.put(["r1"])

    sender = Sender(send)
    sender.put(["r1", "r2"])
    assert sender.close() == 1
    assert sender.close() == 0
    assert calls == [["r1", "r2"], ["r1"]]


def test_what_was_not_sent_is_counted():
    def send(ids):
        raise PhoenixUnreachable("away")

    sender = Sender(send)
    sender.put(["r1", "r2", "r1"])
    assert sender.late == 0
    assert sender.close() == 2
    assert (sender.late, str(sender.error)) == (2, "away")


def test_a_mistake_in_evalwire_is_not_hidden():
    def send(ids):
        raise ValueError("mistake")

    sender = Sender(send)
    sender.put(["r1"])
    with pytest.raises(ValueError, match="mistake"):
        sender.close()
