"""A testset file becomes datasets, with every value as written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evalwire.datasets.rows import Columns, Issue, Row
from evalwire.datasets.testset import Inspection, check_testset, inspect_testset, read_rows
from evalwire.errors import TestsetError
from evalwire.validator import DatasetValidator, ValidationIssue

HEADER = "user_query,expected_output,tags\n"


@dataclass(frozen=True)
class Testset:
    """What a file holds, as a whole."""

    __test__ = False

    datasets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)


def write(folder: Path, text: str | bytes, name: str = "set.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path, columns: Columns) -> Testset:
    inspection = check_testset(path, columns)
    found = {tag: list(read_rows(path, columns, tag)) for tag in inspection.sizes}
    assert {tag: len(its) for tag, its in found.items()} == inspection.sizes
    made = {
        tag: [{"input": dict(row.input), "output": dict(row.output), "metadata": dict(row.metadata)} for row in its]
        for tag, its in found.items()
    }
    return Testset(made, [str(issue) for issue in inspection.issues])


def read_text(folder: Path, text: str | bytes, name: str = "set.csv", **columns: Any) -> Testset:
    """What a file of this text holds."""
    return read(write(folder, text, name), Columns(**columns))


def rows_of(folder: Path, text: str, name: str = "set.csv", **columns: Any) -> list[Row]:
    """The rows of the dataset `t`."""
    return list(read_rows(write(folder, text, name), Columns(**columns), "t"))


def issues_of(folder: Path, text: str | bytes, name: str = "set.csv") -> list[tuple[int | None, str, str]]:
    found = inspect_testset(write(folder, text, name), Columns()).issues
    return [(issue.row, issue.message, issue.severity) for issue in found]


def example(query: str, expected: str) -> dict[str, Any]:
    return {"input": {"user_query": query}, "output": {"expected_output": expected}, "metadata": {}}


def test_a_row_is_in_each_dataset_it_names(tmp_path):
    """Each tag is a dataset, in the order of appearance; a row is in each of its tags, in the file's order."""
    found = read_text(tmp_path, HEADER + "q1,a1,zeta|alpha\nq2,a2,alpha\n")
    assert list(found.datasets) == ["zeta", "alpha"]
    assert found.datasets == {"zeta": [example("q1", "a1")], "alpha": [example("q1", "a1"), example("q2", "a2")]}
    assert found.issues == []


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("007", "007"),
        ("None", "None"),
        ("nan", "nan"),
        ("1e5", "1e5"),
        ("true", "true"),
        ("a| b?", "a| b?"),
        ("^(x|y)$", "^(x|y)$"),
        ("  padded  ", "  padded  "),
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
def test_a_row_without_a_tag_is_listed_and_left_out(tmp_path, cell):
    """A row that is in no dataset is named with its number; the others are read."""
    found = read_text(tmp_path, f"{HEADER}q1,a1,t\nq2,a2,{cell}\nq3,a3,t\n")
    assert found.datasets == {"t": [example("q1", "a1"), example("q3", "a3")]}
    assert found.issues == ["row 2: empty tag in column 'tags'"]


@pytest.mark.parametrize("cell", ["", "  ", "\t"])
def test_a_row_without_an_expected_output_stays_and_is_listed(tmp_path, cell):
    """Evaluators of a schema, of safety, or that are judges, may need none."""
    found = read_text(tmp_path, f"{HEADER}q1,a1,t\nq2,{cell},t\n")
    assert found.datasets == {"t": [example("q1", "a1"), example("q2", cell)]}
    assert found.issues == ["row 2: empty expected output in column 'expected_output'"]


def test_a_row_with_one_of_two_expected_outputs_stays_and_is_listed(tmp_path):
    columns = {"outputs": ["gold", "alt"]}
    found = read_text(tmp_path, "user_query,gold,alt,tags\nq,a,,t\n", **columns)
    assert found.datasets["t"][0]["output"] == {"gold": "a", "alt": ""}
    assert found.issues == ["row 1: empty expected output in column 'alt'"]


def test_an_empty_input_stays_and_is_listed(tmp_path):
    """What an application does with an empty question may be what is tested."""
    found = read_text(tmp_path, f"{HEADER},a,t\n")
    assert found.datasets == {"t": [example("", "a")]}
    assert found.issues == ["row 1: empty input in column 'user_query'"]


def test_strictly_no_issue_is_let_through(tmp_path):
    path = write(tmp_path, f"{HEADER}q1,a1,t\nq2,a2,\n,a3,t\n")
    with pytest.raises(TestsetError) as caught:
        check_testset(path, Columns(), strict=True)
    assert "row 2: empty tag" in str(caught.value)
    assert "row 3: empty input" in str(caught.value)


def test_identical_rows_are_kept_and_listed(tmp_path):
    found = read_text(tmp_path, f"{HEADER}q,a,t\nq,a,t\nq,a,u\n")
    assert found.datasets == {"t": [example("q", "a")] * 2, "u": [example("q", "a")]}
    assert found.issues == ["row 2: duplicate of row 1"]


# --- ids, splits, lists ------------------------------------------------------------------------------------


def test_an_id_column_names_the_examples(tmp_path):
    found = rows_of(tmp_path, "id,user_query,expected_output,tags\n q1 ,q,a,t\n,r,b,t\n")
    assert [row.id for row in found] == ["q1", None]


def test_an_id_twice_in_a_dataset_is_a_broken_file(tmp_path):
    """Phoenix would make one example of two; in another dataset it is another example's."""
    text = "id,user_query,expected_output,tags\nq1,q,a,t\nq1,q,a,u\nq1,r,b,t|u\n"
    assert issues_of(tmp_path, text) == [
        (3, "its ID 'q1' is also the ID of row 1 in the dataset 't'", "file"),
        (3, "its ID 'q1' is also the ID of row 2 in the dataset 'u'", "file"),
    ]


def test_an_id_column_that_is_an_input_is_none(tmp_path):
    """A column has one meaning, and what was named comes first."""
    found = rows_of(tmp_path, "id,expected_output,tags\n1,a,t\n1,b,t\n", inputs=["id"])
    assert [(row.id, row.input) for row in found] == [(None, {"id": "1"})] * 2


def test_the_names_of_those_columns_may_be_others(tmp_path):
    text = "id,key,part,user_query,expected_output,tags\n1,k1,dev,q,a,t\n1,k2,dev|hard,r,b,t\n"
    found = rows_of(tmp_path, text, id="key", split="part")
    assert [(row.id, row.splits) for row in found] == [("k1", ("dev",)), ("k2", ("dev", "hard"))]


def test_without_a_split_column_nothing_is_said_of_splits(tmp_path):
    assert [row.splits for row in rows_of(tmp_path, HEADER + "q,a,t\n")] == [None]
    assert [row.splits for row in rows_of(tmp_path, "split,user_query,expected_output,tags\n,q,a,t\n")] == [()]


def test_an_output_of_several_items_is_a_list_where_asked_for(tmp_path):
    [row] = rows_of(tmp_path, HEADER + "a|b,x | y|x|,t\n", lists=["expected_output"])
    assert (row.input, row.output) == ({"user_query": "a|b"}, {"expected_output": ["x", "y", "x"]})


# --- files that are broken as files ---------------------------------------------------------------------


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
    """A file without rows has no datasets, and says so."""
    assert read_text(tmp_path, HEADER) == Testset(issues=["has no rows"])


@pytest.mark.parametrize(
    ("text", "missing", "says"),
    [
        (
            "query,expected_output,tags\nq,a,t\n",
            ["user_query"],
            "The file's columns are: query, expected_output, tags.",
        ),
        ("a,b\n", ["user_query", "expected_output", "tags"], "The file's columns are: a, b."),
        (b"user_qu\xe9ry,expected_output,tags\n", ["user_query"], "Its header is not UTF-8"),
    ],
)
def test_missing_columns_are_all_named(tmp_path, text, missing, says):
    """Every missing column is named, with what there is instead."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, text)
    assert str(caught.value).splitlines()[1:-1] == [f"  missing column: {name}" for name in missing]
    assert says in str(caught.value)


def test_a_column_twice_is_a_broken_file(tmp_path):
    text = "id,id,tags,user_query,expected_output,tags\n"
    assert issues_of(tmp_path, text)[:2] == [
        (None, "duplicate column: tags", "file"),
        (None, "duplicate column: id", "file"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_told_to_be_one(tmp_path, encoding):
    mark = b"" if encoding == "utf-16" else "\ufeff".encode(encoding)
    [issue] = issues_of(tmp_path, mark + (HEADER + "q,a,t\n").encode(encoding))
    assert issue == (None, "is in UTF-16", "file")


def test_rows_are_looked_at_behind_a_missing_column(tmp_path):
    """Every problem is told at once, as far as the columns that are there go."""
    text = b"user_query,tags\nq,t\nq,\nq\n\nq\xe9,t\n"
    assert issues_of(tmp_path, text) == [
        (None, "missing column: expected_output", "file"),
        (2, "empty tag in column 'tags'", "row"),
        (3, "1 cells, the header has 2", "file"),
        (4, "is not UTF-8; save the file as UTF-8", "file"),
    ]
    assert issues_of(tmp_path, "user_query,expected_output\nq,\n")[1:] == [
        (1, "empty expected output in column 'expected_output'", "note")
    ]
    assert inspect_testset(write(tmp_path, text), Columns()).sizes == {}


def test_a_blank_line_has_no_number(tmp_path):
    assert issues_of(tmp_path, HEADER + "q,a,t\n\n\nx,y,\n") == [(2, "empty tag in column 'tags'", "row")]


def test_a_delimiter_may_be_longer(tmp_path):
    assert list(read_text(tmp_path, HEADER + "q,a,x|y||z\n", delimiter="||").datasets) == ["x|y", "z"]


def test_ids_that_are_none_can_be_left_out(tmp_path):
    text = "id,user_query,expected_output,tags\n1,q,a,t\n1,r,b,t\n"
    with pytest.raises(TestsetError, match='id_column = "" under'):
        read_text(tmp_path, text)
    assert [row.id for row in rows_of(tmp_path, text, id="")] == [None, None]


def test_every_ragged_row_is_named(tmp_path):
    """Rows of another length are all reported, each with its number, and nothing is read past them in silence."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, f"{HEADER}q,a,t\nq,a\nq,a,t\nq,a,t,extra\n")
    assert "row 2: 2 cells, the header has 3" in str(caught.value)
    assert "row 4: 4 cells, the header has 3" in str(caught.value)


def test_many_problems_are_counted(tmp_path):
    """Of very many problems the first hundred are shown and the rest counted; `inspect` has them all."""
    with pytest.raises(TestsetError) as caught:
        read_text(tmp_path, HEADER + "short\n" * 125)
    assert str(caught.value).count("row ") == 100
    assert "and 25 more; `evalwire validate` lists all" in str(caught.value)
    assert len(issues_of(tmp_path, HEADER + "short\n" * 125)) == 125


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ((HEADER + "q,é,t\n").encode("latin-1"), "is not UTF-8"),
        (HEADER + 'q,"unclosed,t\n', "row 1: the quote opened in line 2 is not closed"),
    ],
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


def test_a_large_cell_is_fine(tmp_path):
    text = "x, " * 700_000
    assert read_text(tmp_path, f'{HEADER}"{text}",a,t\n').datasets == {"t": [example(text, "a")]}


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    path = write(tmp_path, HEADER + "q,a,t\n")
    check_testset(path, Columns())
    path.write_text(HEADER + "q,a\n")
    with pytest.raises(TestsetError, match="changed while it was read"):
        list(read_rows(path, Columns(), "t"))


# --- lines of JSON -----------------------------------------------------------------------------------------


def line(**parts: Any) -> str:
    return json.dumps({"input": {"q": 1}, "output": {"a": "x"}, "tags": ["t"], **parts}, ensure_ascii=False) + "\n"


def test_a_line_is_an_example_with_values_of_any_kind(tmp_path):
    text = line(input={"q": [1, None, {"x": 2.5}]}, metadata={"k": True}, tags=["t", "u"], id=7, split="dev|hard")
    [row] = rows_of(tmp_path, text, "set.jsonl")
    assert row == Row(
        number=1,
        tags=("t", "u"),
        id="7",
        input={"q": [1, None, {"x": 2.5}]},
        output={"a": "x"},
        metadata={"k": True},
        splits=("dev", "hard"),
    )


@pytest.mark.parametrize("tags", [["a | b"], "a | b"])
def test_tags_are_a_list_or_a_text_as_in_csv(tmp_path, tags):
    found = inspect_testset(write(tmp_path, line(tags=tags), "set.ndjson"), Columns())
    assert list(found.sizes) == (["a | b"] if isinstance(tags, list) else ["a", "b"])


@pytest.mark.parametrize(
    ("text", "issue", "severity"),
    [
        (line(tags=[]), "empty tag in 'tags'", "row"),
        ('{"input": {"q": 1}, "output": {"a": 1}}\n', "empty tag in 'tags'", "row"),
        (line(output={"a": " "}), "empty expected output in 'output'", "note"),
        (line(output=None), "empty expected output in 'output'", "note"),
        (line(output={"a": "\u200b"}), "empty expected output in 'output'", "note"),
    ],
)
def test_a_line_that_lacks_something_is_listed(tmp_path, text, issue, severity):
    """Without a tag it is in no dataset; without an expected output it stays."""
    assert issues_of(tmp_path, line() + text, "set.jsonl") == [(2, issue, severity)]
    rows = rows_of(tmp_path, line() + text, "set.jsonl")
    assert len(rows) == (1 if severity == "row" else 2)


@pytest.mark.parametrize("output", [{"a": 0}, {"a": False}, {"a": []}])
def test_what_is_false_is_not_empty(tmp_path, output):
    assert issues_of(tmp_path, line(output=output), "set.jsonl") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON (Expecting property name enclosed in double quotes at column 2)"),
        ("[1]", "is not a JSON object"),
        ('{"input": {"q": NaN}, "output": {"a": 1}, "tags": "t"}', "has NaN, which is not valid JSON"),
        ('{"input": {"q": 1e999}, "output": {"a": 1}, "tags": "t"}', "has 1e999, which is not valid JSON"),
        ('{"input": {"q": 1, "q": 2}, "output": {"a": 1}, "tags": "t"}', "has 'q' twice"),
        ('{"input": {"q": "\\ud800"}, "tags": "t"}', "has half of a surrogate pair, which is not valid text"),
        ('{"input": "q", "output": {"a": 1}, "tags": "t"}', "'input' is not a JSON object"),
        ('{"input": [], "output": {"a": 1}, "tags": "t"}', "'input' is not a JSON object"),
        ('{"input": {}, "ouput": {"a": 1}, "tags": "t"}', "unknown key 'ouput'; perhaps 'output'"),
        ('{"input": {}, "output": {"a": 1}, "tags": [1]}', "'tags' is neither a string nor a list of strings"),
        ('{"input": {}, "output": {"a": 1}, "tags": "t", "id": true}', "'id' is not a string"),
        ("[" * 100_000, "is nested too deeply"),
        (
            '{"input": ' + '{"a": ' * 900 + "1" + "}" * 900 + ', "tags": "t"}',
            "has more than 250 levels of lists and dicts, which Phoenix does not store; flatten it",
        ),
        (
            '{"input": {"q": 18446744073709551616}, "output": {"a": 1}, "tags": "t"}',
            "has an integer of more than 64 bits, which Phoenix does not store; convert it to text",
        ),
        (
            '{"input": {"q": "a\\u0000"}, "output": {"a": 1}, "tags": "t"}',
            "has text with a NUL character, which Phoenix does not store on PostgreSQL; remove it",
        ),
    ],
)
def test_a_line_that_is_no_example_is_a_broken_file(tmp_path, text, message):
    """The line after it is looked at all the same."""
    assert issues_of(tmp_path, f"\n{text}\n{{\n", "set.jsonl")[0] == (2, message, "file")
    assert issues_of(tmp_path, f"\n{text}\n{{\n", "set.jsonl")[1][0] == 3


def test_a_line_in_another_encoding_is_named(tmp_path):
    assert issues_of(tmp_path, line().encode() + line(id="é").encode("latin-1"), "set.jsonl") == [
        (2, "is not UTF-8; save the file as UTF-8", "file")
    ]


def test_lines_end_where_json_says(tmp_path):
    """Not at a separator that a text may hold; a byte order mark and Windows line ends do not matter."""
    text = "\ufeff" + (line(id="a\u2028b\x85c") + line(id="d")).replace("\n", "\r\n")
    assert [row.id for row in rows_of(tmp_path, text, "set.jsonl")] == ["a\u2028b\x85c", "d"]


# --- the validator -----------------------------------------------------------------------------------------


def test_the_validator_tells_every_issue_with_its_row(tmp_path):
    path = write(tmp_path, f"{HEADER}q,a,t\nq,, \nq,a\n")
    found = DatasetValidator().validate(path, ["user_query"], ["expected_output"], tag_column="tags")
    assert not found.is_valid
    assert found.issues == [
        ValidationIssue(2, "empty tag in column 'tags'"),
        ValidationIssue(2, "empty expected output in column 'expected_output'"),
        ValidationIssue(3, "2 cells, the header has 3"),
    ]


def test_the_validator_says_which_column_is_missing(tmp_path):
    found = DatasetValidator().validate(str(write(tmp_path, "tags\nt\n")), ["q"], ["a"])
    assert found.issues == [ValidationIssue(None, "missing column: q"), ValidationIssue(None, "missing column: a")]


def test_the_validator_finds_nothing_wrong_with_a_sound_file(tmp_path):
    found = DatasetValidator().validate(write(tmp_path, HEADER + "q,a,t\n"), ["user_query"], ["expected_output"])
    assert (found.is_valid, found.issues) == (True, [])


def test_the_validator_has_its_own_error_for_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        DatasetValidator().validate(tmp_path / "nowhere.csv", ["q"], ["a"])


def test_an_inspection_gives_issues_by_severity():
    found = Inspection(issues=[Issue(1, "a", "note"), Issue(None, "b", "file")])
    assert ([issue.message for issue in found.of("file")], len(found.of())) == (["b"], 2)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": "q_id"}, "missing column: q_id"),
        ({"split": "part"}, "missing column: part"),
        ({"lists": ("expected_outptu",)}, "split_columns has a name that is not an output column: expected_outptu"),
    ],
)
def test_a_column_that_was_named_has_to_be_there(tmp_path, columns, said):
    """An id that is not found would be made up, and each changed row be a new example."""
    with pytest.raises(TestsetError, match=said):
        read_text(tmp_path, "user_query,expected_output,tags,id\nq,a,t,1\n", **columns)


def test_no_column_may_be_the_id(tmp_path):
    (row,) = rows_of(tmp_path, "user_query,expected_output,tags,id\nq,a,t,1\n", id="")
    assert row.id is None
