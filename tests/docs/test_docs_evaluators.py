"""The examples of docs/evaluators.md run, and score what the page says they do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from evalwire import evaluators
from evalwire.experiments.discovery import importable, load_experiments

PAGE = (Path(__file__).parents[2] / "docs/evaluators.md").read_text()
BLOCKS = {  # the file that each example is, and its text
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
}


def test_there_is_an_example_of_each_factory():
    factories = {name for name in evaluators.__all__ if name.startswith("make_")}
    used = {name for block in BLOCKS.values() for name in re.findall(r"\bmake_\w+_evaluator\b", block)}
    assert used == factories
    assert factories <= set(re.findall(r"`(make_\w+)`", PAGE))


@pytest.mark.parametrize("file", BLOCKS)
def test_an_example_is_an_evaluator_file_whose_scores_are_as_stated(file, tmp_path):
    """Its `assert` lines hold, and evalwire finds the evaluator that the file is named for."""
    root, experiment, name = re.fullmatch(r"(experiments)/(\w+)/(\w+)\.py", file).groups()
    asserted = [line for line in ast.parse(BLOCKS[file]).body if isinstance(line, ast.Assert)]
    assert len(asserted) >= 2
    folder = tmp_path / root / experiment
    folder.mkdir(parents=True)
    (folder / "task.py").write_text("def task(input):\n    return input\n")
    (folder / f"{name}.py").write_text(BLOCKS[file])
    with importable(tmp_path / root):
        (found,) = load_experiments(tmp_path / root).experiments
    assert found.problems == ()
    assert [one.name for one in found.evaluators] == [name]


def test_a_score_that_is_not_as_stated_is_found(tmp_path):
    """The assertions of an example run where its file is imported."""
    folder = tmp_path / "experiments" / "a"
    folder.mkdir(parents=True)
    (folder / "task.py").write_text("def task(input):\n    return input\n")
    (folder / "top_k.py").write_text(BLOCKS["experiments/doc_search/top_k.py"].replace("== 0.9", "== 0.91"))
    with importable(tmp_path / "experiments"):
        (found,) = load_experiments(tmp_path / "experiments").experiments
    assert [one.type for one in found.problems] == ["AssertionError"]


def test_the_links_to_sections_lead_to_sections():
    sections = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= sections
