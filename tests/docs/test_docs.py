"""What the documents say is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evalwire.settings import OPTIONS, Option

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def row(option: Option) -> str:
    """The line of the README's table for one setting."""
    default = option.default_text.replace("|", chr(92) + "|")
    shown = f"`{default}`" if default else ""
    section, _, key = (option.key or "").partition(".")
    place = f"`[{section}] {key}`" if option.key else ""
    flag = f"`{option.flag}`" if option.flag else ""
    return f"| {place} | {flag} | `{option.variable}` | {shown} | {option.help} |"


def test_the_readmes_settings_are_the_programs():
    table = re.search(r"<!-- settings:.*?-->\n\n\| in evalwire.toml .*?\n\|[-|]+\n(.*?)\n\n", README, re.DOTALL)
    expected = "\n".join(row(option) for option in OPTIONS)
    assert table is not None, expected
    assert table[1] == expected, f"\n{expected}"


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md")]))
def test_links_within_the_repository_lead_somewhere(document):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_the_readme_names_every_make_target_and_command_that_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


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
