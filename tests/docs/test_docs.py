"""What the documents say is what the program does."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

from evalwire.cli import app as cli
from evalwire.cli.app import check, list_, run, upload
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


def test_the_defaults_in_the_help_are_the_programs():
    """A default that a flag's help names in brackets is that of its setting."""
    defaults = {option.flag: option.default for option in OPTIONS if option.flag}
    told = {}
    for command in (run, check, list_, upload):
        for hint in typing.get_type_hints(command, vars(cli), include_extras=True).values():
            for info in getattr(hint, "__metadata__", ()):
                # in an annotation, Typer keeps the first name of a flag where a default would be
                flag = next((name for name in (info.default, *info.param_decls) if name in defaults), None)
                said = re.search(r"\(([^)]+)\)\.$", info.help)
                if flag and said:
                    told[flag] = said[1]
    assert len(told) >= 9
    assert told == {flag: as_text(defaults[flag]) for flag in told}


def as_text(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)
