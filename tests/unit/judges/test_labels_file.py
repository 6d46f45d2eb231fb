"""People's labels as CSV: what is written is read, other tools' files too, and a wrong cell is named with its line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.errors import UsageError
from evalwire.judges import LABEL_COLUMNS, labels_csv, read_labels
from evalwire.model import LABEL_WORDS, Label


def read(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path)


TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\0")).map(str.strip)


@given(
    st.lists(
        st.builds(
            Label,
            value=st.sampled_from([0.0, 1.0]),
            example_id=TEXT.filter(bool),
            repetition=st.none() | st.integers(1, 9),
            experiment_id=TEXT,
            run_id=TEXT,
            annotator=TEXT,
            note=TEXT,
        )
        | st.builds(
            Label, value=st.floats(allow_nan=False, allow_infinity=False), run_id=st.just("r"), is_score=st.just(True)
        )
    )
)
def test_what_is_written_is_read(tmp_path_factory, labels):
    found = read(tmp_path_factory.mktemp("labels"), "".join(labels_csv(labels)))
    assert [(each.value, each.word, each.note, each.example_id, each.repetition, each.annotator) for each in found] == [
        (each.value, each.word, each.note, each.example_id, each.repetition, each.annotator) for each in labels
    ]


def test_the_columns_are_as_documented():
    assert next(csv.reader(io.StringIO("".join(labels_csv([]))))) == list(LABEL_COLUMNS)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_of_a_spreadsheet_is_read(tmp_path, separator):
    rows = [["Ticket", "example_id", "label"], ["x", " q1 ", "Correct"], ["y", "q2", "NO"], ["z", "q3", ""]]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)
    found = read(tmp_path, text)
    assert [(each.example_id, each.value) for each in found] == [("q1", 1.0), ("q2", 0.0)]
    assert found[1].place.endswith("labels.csv, line 3")


def test_each_word_of_a_label_is_read(tmp_path):
    found = read(tmp_path, "example_id,label\n" + "".join(f"q,{word}\n" for word in [*LABEL_WORDS, "1", "0"]))
    assert sum(each.value for each in found) == len(found) / 2
    assert {each.word for each in found} == {"pass", "fail"}


def test_a_label_wins_over_a_score(tmp_path):
    (found,) = read(tmp_path, "run_id,label,score\nr,pass,0.2\n")
    assert (found.value, found.is_score, found.run_id) == (1.0, False, "r")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example_id,label\nq1,maybe\n", "line 2: unknown label 'maybe'. Use one of: pass, passed, true"),
        ("example_id,score\nq1,high\n", "line 2: the score 'high' is not a number"),
        ("example_id,score\nq1,nan\n", "line 2: the score 'nan' is not a number"),
        ("example_id,label,repetition\nq1,pass,0\n", "line 2: the repetition '0' is not a number from 1"),
        ("example_id,run_id,label\n,,pass\n", "line 2: needs an example_id or a run_id"),
        ("id,label\nq1,pass\n", "needs a column example_id or run_id. Its columns are: id, label"),
        ("example_id,verdict\nq1,pass\n", "needs a column label or score"),
        ("", "needs a column example_id or run_id. Its columns are: none"),
        ('example_id,label\n"q1,pass\n', "is not valid CSV"),
        (b"example_id,label\n\xff,pass\n", "cannot read the labels"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, said):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "labels.csv" in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the labels in .*nowhere\.csv"):
        read_labels(tmp_path / "nowhere.csv")
