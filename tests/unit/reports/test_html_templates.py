"""Templates of the page are compiled once for all processes, where their bytecode can be kept."""

from __future__ import annotations

import shutil
import sys

import jinja2
import pytest

from evalwire.reports import html
from evalwire.reports.html import markup


@pytest.fixture
def compiled(monkeypatch):
    """The names of the templates that are compiled in this test."""
    names: list[str | None] = []
    compile_one = jinja2.Environment.compile

    def counted(self, source, name=None, *arguments, **keywords):
        names.append(name)
        return compile_one(self, source, name, *arguments, **keywords)

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return names


def shown(templates):
    return markup.environment(templates).get_template("a.html").render()


def test_a_template_is_compiled_once(tmp_path, compiled):
    (tmp_path / "a.html").write_text("<b>1</b>")
    assert [shown(tmp_path), shown(tmp_path)] == ["<b>1</b>"] * 2
    assert compiled == ["a.html"]
    (tmp_path / "a.html").write_text("<b>2</b>")
    assert shown(tmp_path) == "<b>2</b>"


def test_another_version_compiles_it_again(tmp_path, compiled, monkeypatch):
    (tmp_path / "a.html").write_text("1")
    shown(tmp_path)
    monkeypatch.setattr(markup, "__version__", "another")
    shown(tmp_path)
    assert len(compiled) == 2


def test_bytecode_that_was_made_elsewhere_is_used(tmp_path, compiled):
    built, installed = tmp_path / "built", tmp_path / "installed"
    built.mkdir()
    (built / "a.html").write_text("1")
    shown(built)
    built.rename(installed)
    shown(installed)
    assert len(compiled) == 1


@pytest.mark.parametrize(
    ("why", "size"),
    [
        ("no bytecode is wanted", None),
        ("the folder cannot be written", None),
        ("the bytecode is cut", -20),
        ("the bytecode is cut", 30),
        ("the bytecode is cut", 0),
    ],
)
def test_a_page_needs_no_bytecode(tmp_path, compiled, monkeypatch, why, size):
    (tmp_path / "a.html").write_text("1")
    if why == "no bytecode is wanted":
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
    elif why == "the folder cannot be written":
        (tmp_path / "__pycache__").write_text("a file")
    else:
        shown(tmp_path)
        for file in (tmp_path / "__pycache__").iterdir():
            file.write_bytes(file.read_bytes()[:size])
    assert [shown(tmp_path), shown(tmp_path)] == ["1", "1"]
    assert compiled


def test_all_templates_can_be_compiled_ahead(tmp_path, compiled, monkeypatch):
    """As the image does, where nothing is written later. Other tests write next to the originals at the same time."""
    templates = shutil.copytree(markup._TEMPLATES, tmp_path / "templates", ignore=shutil.ignore_patterns("__pycache__"))
    make = markup.environment
    monkeypatch.setattr(markup, "environment", lambda **names: make(templates, **names))
    html._page.cache_clear()
    html.compile_templates()
    assert "experiment.html" in compiled
    html._page.cache_clear()
    compiled.clear()
    html.compile_templates()
    assert compiled == []
    html._page.cache_clear()
