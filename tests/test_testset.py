"""A testset file becomes datasets, with every value as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalwire.errors import TestsetError
from evalwire.testset import Columns, Testset, read

HEADER = "user_query,expected_output,tags\n"


def read_text(folder: Path, text: str | bytes, **columns: Any) -> Testset:
    """What a file of this text holds."""
    path = folder / "set.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, Columns(**columns))


def example(query: str, expected: str) -> dict[str, Any]:
    return {"input": {"user_query": query}, "output": {"expected_output": expected}, "metadata": {}}


def test_a_row_is_in_each_dataset_it_names(tmp_path):
    """Each tag is a dataset, in the order of appearance; a row is in each of its tags, in the file's order."""
    found = read_text(tmp_path, HEADER + "q1,a1,zeta|alpha\nq2,a2,alpha\n")
    assert list(found.datasets) == ["zeta", "alpha"]
    assert found.datasets == {"zeta": [example("q1", "a1")], "alpha": [example("q1", "a1"), example("q2", "a2")]}
    assert found.notes == []


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("007", "007"),
        ("None", "None"),
        ("nan", "nan"),
        ("1e5", "1e5"),
        ("true", "true"),
        ("a | b?", "a | b?"),
        ("^(x|y)$", "^(x|y)$"),
        ("  padded  ", "  padded  "),
        ("", ""),
        ('"a, b"', "a, b"),
        ('"say ""hi"""', 'say "hi"'),
        ('"two\nlines"', "two\nlines"),
        ('"crlf\r\nkept"', "crlf\r\nkept"),
        ("\"['a', 'b']\"", "['a', 'b']"),
        ("naïve 日本 🎉", "naïve 日本 🎉"),
        ("x" * 200_000, "x" * 200_000),
    ],
    ids=lambda value: value[:20],
)
def test_values_are_text_exactly_as_written(tmp_path, cell, value):
    """No value is read as a number, a list, a missing value or a split one."""
    assert read_text(tmp_path, f"{HEADER}{cell},{cell},t\n").datasets == {"t": [example(value, value)]}


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("a", ["a"]),
        ("a|b", ["a", "b"]),
        (" a | b ", ["a", "b"]),
        ("a||b|", ["a", "b"]),
        ("a|a", ["a"]),
        ("A|a", ["A", "a"]),
    ],
)
def test_only_the_tag_column_is_split(tmp_path, cell, tags):
    """Tags are split and stripped; one that is twice in a cell counts once."""
    found = read_text(tmp_path, f"{HEADER}q|r,a|b,{cell}\n")
    assert found.datasets == {tag: [example("q|r", "a|b")] for tag in tags}


@pytest.mark.parametrize("cell", ["", "  ", "|", " | "])
def test_a_row_without_a_tag_is_noted_and_skipped(tmp_path, cell):
    """A row that is in no dataset is named with its number; the others are read."""
    found = read_text(tmp_path, f"{HEADER}q1,a1,t\nq2,a2,{cell}\nq3,a3,t\n")
    assert found.datasets == {"t": [example("q1", "a1"), example("q3", "a3")]}
    [note] = found.notes
    assert note.startswith("row 2 ")


def test_columns_and_delimiter_may_be_named(tmp_path):
    """Other column names, several columns, another delimiter; columns that are not named are left out."""
    columns = {"inputs": ["q", "context"], "outputs": ["gold", "alt"], "tags": "sets", "delimiter": ";"}
    found = read_text(tmp_path, "id,context,q,gold,alt,sets\n1,c,q1,g,h,a;b|c\n", **columns)
    row = {"input": {"q": "q1", "context": "c"}, "output": {"gold": "g", "alt": "h"}, "metadata": {}}
    assert found.datasets == {"a": [row], "b|c": [row]}


@pytest.mark.parametrize(
    "text", ["\ufeff" + HEADER + "q,a,t\n", HEADER + "q,a,t", (HEADER + "q,a,t\n").replace("\n", "\r\n")]
)
def test_files_as_spreadsheets_write_them_work(tmp_path, text):
    """A byte order mark, Windows line ends, and a missing last line end do not matter."""
    assert read_text(tmp_path, text).datasets == {"t": [example("q", "a")]}


def test_blank_lines_are_no_rows(tmp_path):
    """An empty line holds no example and is no error."""
    assert read_text(tmp_path, f"{HEADER}\nq,a,t\n\n").datasets == {"t": [example("q", "a")]}


def test_a_header_alone_is_an_empty_testset(tmp_path):
    """A file without rows has no datasets."""
    assert read_text(tmp_path, HEADER) == Testset()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("query,expected_output,tags\nq,a,t\n", "no column 'user_query'; it has: query, expected_output, tags"),
        ("a,b\n", "no column 'user_query', 'expected_output', 'tags'; it has: a, b"),
        ("", "it has: no header"),
    ],
)
def test_missing_columns_are_all_named(tmp_path, text, says):
    """Every missing column is named beside those there are, with the flags that name others."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, text)
    assert says in str(caught.value)
    assert "--input-keys" in str(caught.value)


def test_every_ragged_row_is_named(tmp_path):
    """Rows of another length are all reported, each with its number, and nothing is read past them in silence."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, f"{HEADER}q,a,t\nq,a\nq,a,t\nq,a,t,extra\n")
    assert "row 2: 2 cells, the header has 3" in str(caught.value)
    assert "row 4: 4 cells, the header has 3" in str(caught.value)


def test_many_problems_are_counted(tmp_path):
    """Of many problems the first ten are shown and the rest counted."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, HEADER + "short\n" * 25)
    assert str(caught.value).count("row ") == 10
    assert "and 15 more" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [((HEADER + "q,é,t\n").encode("latin-1"), "is not UTF-8"), (HEADER + 'q,"unclosed,t\n', "is not valid CSV")],
)
def test_a_file_that_is_no_utf8_csv_is_an_error(tmp_path, text, says):
    """Another encoding and broken quotes are errors that name the file, not a crash or other characters."""
    with pytest.raises(TestsetError, match=says) as caught:
        read_text(tmp_path, text)
    assert str(tmp_path / "set.csv") in str(caught.value)


@pytest.mark.parametrize("row", [b'"q"x,a,t\n', "q,é,t\n".encode("latin-1")], ids=["quotes", "encoding"])
def test_a_row_that_cannot_be_read_is_named_by_its_number(tmp_path, row):
    """Broken quotes and wrong bytes are found by the row's number, in a file of any length."""
    with pytest.raises(TestsetError, match=r"row 3001\b"):
        read_text(tmp_path, HEADER.encode() + b"q,a,t\n" * 3000 + row + b"q,a,t\n" * 10)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name):
    """A missing file, or a folder, is named."""
    with pytest.raises(TestsetError, match="cannot be read"):
        read(tmp_path / name, Columns())
