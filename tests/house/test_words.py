"""The lint of words finds words that are out, docstrings that start badly, and names; `make lint` runs it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import words

LIST = tomllib.loads(words.LIST.read_text())
SOURCE = '''
"""A module."""

def count(told):
    """What is left of the runs."""
    # begin anew; `anew` in backquotes is code
    raise ValueError(f"the gate {told} held, as those of the others")
'''


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Return the findings in a file."""
    monkeypatch.setattr(words, "ROOT", tmp_path)

    def find(name: str, text: str, texts_of) -> list[str]:
        path: Path = tmp_path / name
        path.write_text(text)
        lines = list(words.findings(LIST, texts_of(path)))
        return lines + (list(words.named_badly(LIST, path)) if name.endswith(".py") else [])

    return find


def test_python_has_findings_in_docstrings_comments_messages_and_names(found):
    lines = found("a.py", SOURCE, words.texts_of_python)
    assert [line.split(" -> ")[0] for line in lines] == [
        "a.py:6: 'anew'",
        "a.py:5: docstring starts with 'What'",
        "a.py:7: 'those of'",
        "a.py:7: 'held'",
        "a.py:4: name 'told'",
    ]


def test_markdown_has_findings_outside_of_code(found):
    page = "Gates\nthat are broken gates.\n\n```sh\nanew\n```\n\n- a folder, `folder`\n\n    held\n"
    lines = found("a.md", page, words.texts_of_markdown)
    assert [line.split(" -> ")[0] for line in lines] == ["a.md:2: 'broken gates'", "a.md:8: 'folder'"]


def test_comments_of_scripts_have_findings(found):
    lines = found("a.yml", "a: b # on this folder\nfolder: x\ndescription: Beside it.\n", words.texts_of_script)
    assert [line.split(" -> ")[0] for line in lines] == ["a.yml:1: 'folder'", "a.yml:3: 'Beside'"]


def test_counts_are_per_thousand_words(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("What is it? " + "One two three four five six seven. " + "Word " + "word " * 25 + "end.\n")
    count, sentences, long, what, one = words.counted(words.texts_of_markdown(path))
    assert (count, sentences, long) == (37, 3, 1)
    assert (what, one) == (pytest.approx(1000 / 37), pytest.approx(1000 / 37))


def test_a_count_above_its_limit_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app/a.py").write_text(SOURCE)
    (tmp_path / "README.md").write_text("What is one?\n")
    none = dict.fromkeys(("long", "what", "one"), -1.0)
    lines = list(words.over_the_limits({"docs": -1, "pages": none, "code": none}))
    assert [line.partition(":")[0] for line in lines] == ["docs"] + ["pages"] * 3 + ["code"] * 3


def test_a_wide_line_of_prose_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (path := tmp_path / "a.md").write_text(f"{'word ' * 21}\n\n| {'cell ' * 21}|\n\n```sh\n{'code ' * 21}\n```\n")
    assert list(words.wide_lines(path)) == ["a.md:1: 105 columns, at most 100"]
