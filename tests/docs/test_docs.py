"""What the documents say is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evalwire.settings import OPTIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md")]))
def test_links_within_the_repository_lead_somewhere(document):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_the_inputs_of_the_action_are_settings():
    """An input that is named like a setting sets it, and the Action sets no variable that evalwire does not know."""
    variables = {option.name.replace("_", "-"): option.variable for option in OPTIONS}
    script = (ROOT / "action" / "run.sh").read_text()
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    for name in inputs.keys() & variables.keys():
        assert f"INPUT_{name.upper().replace('-', '_')}" in script, name
        assert variables[name] in script, name
    assert len(inputs.keys() & variables.keys()) >= 8
    set_there = set(re.findall(r"(?:setting |export |^ *)(EVALWIRE_[A-Z_]+)", script, re.MULTILINE))
    assert set_there - {"EVALWIRE_REQUIREMENTS"} <= set(variables.values())
    assert {option.variable for option in OPTIONS if option.name in ("gate", "names", "shard")} <= set_there


def test_the_index_of_decisions_has_each():
    """In order, by its title."""
    folder = ROOT / "docs/decisions"
    files = sorted(folder.glob("[0-9]*.md"))
    listed = re.findall(r"- \[(.+)\]\((.+)\)", (folder / "index.md").read_text())
    assert listed == [(path.read_text().splitlines()[0].removeprefix("# "), path.name) for path in files]
