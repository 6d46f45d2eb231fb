"""Files as spreadsheets and tools on Windows write them are read, or refused in one line with the row."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.datasets import describe_lists, describe_upload
from evalwire.datasets.rows import Columns
from evalwire.datasets.testset import inspect_testset, read_rows
from evalwire.datasets.upload import prepare_upload
from evalwire.errors import TestsetError
from evalwire.model import StoredDataset

HEADER = "user_query,expected_output,tags\n"


def write(folder: Path, text: str | bytes, name: str = "set.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def issues(folder: Path, text: str | bytes, name: str = "set.csv") -> list[str]:
    return [str(issue) for issue in inspect_testset(write(folder, text, name), Columns()).issues]


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf")), min_size=1, max_size=12).filter(str.strip)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_what_a_spreadsheet_saves_comes_back(
    tmp_path_factory, rows, separator, line_end, has_mark, has_sep, blank, more
):
    """Whatever the separator, the line ends, the mark at the start, the first line, and the rows that hold nothing."""
    text = io.StringIO(newline="")
    out = csv.writer(text, delimiter=separator, lineterminator=line_end)
    nothing = [["", " ", "", *[""] * more]]
    out.writerows(nothing * (blank % 2))
    out.writerow(["user_query", "expected_output", "tags", *[""] * more])
    for query, expected in rows:
        out.writerow([query, expected, "t", *[""] * more])
        out.writerows(nothing * blank)
    first = f"sep={separator}{line_end}" if has_sep else ""
    path = write(tmp_path_factory.mktemp("set"), ("\ufeff" if has_mark else "") + first + text.getvalue())
    columns = Columns(lists=())
    assert [issue for issue in inspect_testset(path, columns).issues if "duplicate of" not in issue.message] == []
    found = [(row.input["user_query"], row.output["expected_output"]) for row in read_rows(path, columns, "t")]
    assert found == rows


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"{\\"q\\": 1}",x,t\n', "row 1: a quote inside a quoted cell is not doubled"),
        ('q,a,t\n"say "hi"",x,t\n', "row 2: a quote inside a quoted cell is not doubled"),
        ('q,a,t\n"a,x,t\nb,x,t\n', "row 2: the quote opened in line 3 is not closed"),
        ('"a,x,t\nb,x,"t"\n', "row 1: the quote opened in line 2 is not closed, or a quote inside"),
        ("\n\n,,\nq,a,t\nq,a\n", "row 2: 2 cells, the header has 3"),
        ("q,a,t,,\nq,a,t,,more\n", "row 2: 5 cells, the header has 3"),
    ],
)
def test_a_broken_row_is_told_with_its_number_and_its_line(tmp_path, text, problem):
    assert [issue for issue in issues(tmp_path, HEADER + text) if issue.startswith(problem)], issues(
        tmp_path, HEADER + text
    )


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "set.csv", "is empty"),
        (b"\xef\xbb\xbf \r\n,,\r\n", "set.csv", "is empty"),
        (b"", "set.jsonl", "is empty"),
        (b"PK\x03\x04rest", "set.xlsx", "is a spreadsheet or an archive"),
        (b"PK\x03\x04rest", "set.csv", "is a spreadsheet or an archive"),
        (b"\xd0\xcf\x11\xe0rest", "set.xls", "is a spreadsheet from an older Excel version"),
        (b"PAR1rest", "set.parquet", "is a Parquet file"),
        (b"\x1f\x8brest", "set.csv.gz", "is compressed with gzip"),
        (b"u\0s\0e\0r\0", "set.csv", "is in UTF-16"),
        (b"\0u\0s", "set.csv", "is in UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\n", "set.csv", "is a Git LFS pointer, not the file"),
        (b"<!DOCTYPE html><title>Sign in</title>", "set.csv", "is an HTML or XML page"),
        (b"{\\rtf1 user_query}", "set.csv", "is a word processor document"),
        (b'[{"input": {}}]', "set.json", "is JSON, but is not named .jsonl"),
        (b'{"input": {}, "tags": "t"}\n', "set.csv", "is JSON, but is not named .jsonl"),
        (b'[\n  {"input": {}}]', "set.jsonl", "is a JSON array"),
    ],
)
def test_a_file_of_another_kind_is_told_in_one_line(tmp_path, content, name, problem):
    assert issues(tmp_path, content, name) == [problem]


def test_a_header_that_is_nearly_right_is_told_so(tmp_path):
    """Case, spaces, dashes and characters without width."""
    path = write(tmp_path, "User-Query, Expected_Output,tags\u200b\na,b,t\n")
    found = inspect_testset(path, Columns())
    assert [issue.message for issue in found.issues] == [
        "missing column: user_query",
        "missing column: expected_output",
        "missing column: tags",
    ]
    assert found.issues[0].advice == "'User-Query' is not 'user_query': case, spaces and dashes matter."
    assert "'tags\\u200b'" in found.issues[2].advice


def test_a_file_without_any_references_says_how(tmp_path):
    path = write(tmp_path, "user_query,tags\na,t\n")
    [issue] = inspect_testset(path, Columns()).issues
    assert "output_keys = [] under [dataset]" in issue.advice
    assert inspect_testset(path, Columns(outputs=())).issues == ()
    assert [row.output for row in read_rows(path, Columns(outputs=()), "t")] == [{}]


def test_a_separator_that_is_named_is_used(tmp_path):
    path = write(tmp_path, "user_query|expected_output|tags\nq;1|a|t\n")
    assert [row.input for row in read_rows(path, Columns(separator="|"), "t")] == [{"user_query": "q;1"}]


def test_a_separator_in_the_text_is_not_that_of_the_file(tmp_path):
    path = write(tmp_path, 'user_query,expected_output,tags,"a;b;c;d;e"\nq;1,a;b,t,x\n')
    assert [row.output for row in read_rows(path, Columns(), "t")] == [{"expected_output": "a;b"}]


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ('"[""demo"", ""b""]"', "row 1: the tag '[\"demo\", \"b\"]' looks like a list; separate tags with '|'"),
        ('"demo, other"', "row 1: the tag 'demo, other' contains ',';"),
        ("demo;other", "row 1: the tag 'demo;other' contains ';';"),
        ("demo\u200b", "row 1: the tag 'demo' contains the invisible character U+200B"),
        ("demo|Demo", "row 1: the tag 'Demo' looks like 'demo' in row 1, but is a different dataset"),
        ("a b|a\u00a0b", "row 1: the tag 'a\\xa0b' looks like 'a b' in row 1, but is a different dataset"),
        ("doc_search|doc-search", "row 1: the tag 'doc-search' looks like 'doc_search' in row 1"),
    ],
)
def test_a_tag_that_is_probably_not_meant_is_noted(tmp_path, tags, note):
    text = f"{HEADER}q,a,{tags}\nr,a,{tags}\n"
    assert [issue[: len(note)] for issue in issues(tmp_path, text)] == [note]


# --- lists ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "output"),
    [
        ("billing | refunds", ["billing", "refunds"]),
        ("a | b | c", ["a", "b", "c"]),
        ("^foo|bar$", "^foo|bar$"),
        ("a |b", "a |b"),
        ("a| b", "a| b"),
        ("a | ", "a | "),
        (" | ", " | "),
        ("a || b", "a || b"),
    ],
)
def test_a_cell_with_a_delimiter_between_spaces_is_a_list(tmp_path, cell, output):
    """As the documentation of 0.6 writes lists; a bar of a regular expression has no spaces around."""
    path = write(tmp_path, f"{HEADER}x | y,{cell},t\n")
    [row] = read_rows(path, Columns(), "t")
    assert (row.input, row.output) == ({"user_query": "x | y"}, {"expected_output": output})
    [kept] = read_rows(path, Columns(lists=()), "t")
    assert kept.output == {"expected_output": cell}


def test_what_became_a_list_is_told_in_one_line_a_column(tmp_path):
    text = HEADER + "".join(f"q{n},a{' | b' * (n % 2)},t\n" for n in range(1, 20))
    columns = Columns()
    inspection = inspect_testset(write(tmp_path, text), columns)
    assert inspection.issues == ()
    assert list(describe_lists(inspection, columns)) == [
        (
            "expected_output became a list in 10 rows (1, 3, 5, 7, 9, ...), split at ' | '. To confirm, write split_columns = "
            '["expected_output"] under [dataset] in evalwire.toml; to keep the text, write split_columns = [].'
        )
    ]
    assert list(describe_lists(inspect_testset(tmp_path / "set.csv", Columns(lists=())), columns)) == []


def test_rows_with_the_same_note_are_told_together(tmp_path):
    text = HEADER + "q1,,t\nq2,a,\nq3,,t\nq4,a,\n"
    assert list(describe_upload(inspect_testset(write(tmp_path, text), Columns()), Columns())) == [
        "2 rows (1, 3): empty expected output in column 'expected_output'",
        "row 2: empty tag in column 'tags', left out",
        "row 4: empty tag in column 'tags', left out",
    ]


# --- ids of Phoenix ------------------------------------------------------------------------------------


class Holding:
    """A store whose one dataset has no examples."""

    def find(self, name: str) -> StoredDataset | None:
        return None


@pytest.mark.parametrize("kind", ["DatasetExample", "Example", "ExperimentRun"])
def test_ids_of_an_export_are_noted_and_refused_before_anything_is_sent(tmp_path, kind):
    """Phoenix takes them for its own examples, and refuses all rows where the dataset has not got these."""
    name = base64.b64encode(f"{kind}:212".encode()).decode()
    path = write(tmp_path, f"id,user_query,expected_output,tags\n{name},q,a,t\n{name[:-2]}xx,r,b,t\n")
    assert issues(tmp_path, path.read_text()) == [f"row 1: its ID {name!r} was assigned by Phoenix, as in an export"]
    with pytest.raises(TestsetError, match='id_column = ""'):
        prepare_upload(Holding(), "t", lambda: read_rows(path, Columns(), "t"), on_exist="skip")


@given(st.text(max_size=20) | st.uuids().map(str) | st.integers().map(str))
def test_other_ids_are_the_authors(tmp_path_factory, name):
    text = json.dumps({"id": name, "input": {"q": 1}, "output": {"a": "x"}, "tags": ["t"]}) + "\n"
    path = write(tmp_path_factory.mktemp("set"), text, "set.jsonl")
    assert [issue for issue in inspect_testset(path, Columns()).issues if "assigned by Phoenix" in issue.message] == []
