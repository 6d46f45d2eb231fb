"""mkdocs hooks that generate the settings and the commands in the pages from the program."""  # noqa: INP001

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from typer.main import get_command

from evalwire.cli.app import app
from evalwire.settings import OPTIONS, Option

# <!-- generated: NAME --> text for readers of the Markdown source <!-- /generated -->
_PLACE = re.compile(r"<!-- generated: (\w+) -->.*?<!-- /generated -->", re.DOTALL)
_MESSAGES = "troubleshooting.md"  # the page whose text blocks are messages, which wrap
# The repository has no public address, so links to files outside docs/ become plain text.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill the generated parts of a page."""
    filled = _PLACE.sub(lambda place: GENERATED[place[1]](), markdown)
    if page.file.src_uri == _MESSAGES:
        filled = filled.replace("```text\n", "``` { .text .message }\n")
    return _OUTSIDE.sub(r"\1", filled)


# --- settings ------------------------------------------------------------------------------------------

_SECTIONS = {
    "": "Flags and variables only",
    "experiments": "[experiments]",
    "gates": "[gates]",
    "phoenix": "[phoenix]",
    "reports": "[reports]",
    "masking": "[masking]",
    "local": "[local]",
    "dataset": "[dataset]",
}


def settings() -> str:
    """Return a table for each section of evalwire.toml."""
    parts = []
    sections = dict.fromkeys([*_SECTIONS, *(option.section for option in OPTIONS)])
    for section in sections:
        rows = [_setting(option) for option in OPTIONS if option.section == section]
        title = _SECTIONS.get(section, f"[{section}]")
        heading = f"`{title}`" if section else title
        anchor = f"section-{section or 'none'}"
        table = ["| setting | default | description |", "|---|---|---|", *rows]
        parts += [f"### {heading} {{ #{anchor} }}", _named("settings", "\n".join(table))]
    return "\n\n".join(parts)


def _named(name: str, table: str) -> str:
    """Return a table in a div with this class, for its style."""
    return f'<div class="{name}" markdown>\n\n{table}\n\n</div>'


def _setting(option: Option) -> str:
    key = option.key.partition(".")[2] if option.key else None
    names = [f"`{name}`" for name in (key, option.flag, option.variable) if name]
    return f"| {'<br>'.join(names)} | {_default(option)} | {_cell(_prose(_sentence(option.help)))} |"


def _default(option: Option) -> str:
    return f"`{_cell(option.default_text)}`" if option.default_text else "none"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# --- commands ------------------------------------------------------------------------------------------

_STRICT = "0 for success, 1 for any failure, 2 for invalid usage"
_LENIENT = "0 for success, 2 for any error"
_MORE = {"validate": "1 if the file has an issue"}


def commands() -> str:
    """Return each command with help, arguments, flags by panel, and exit codes."""
    return "\n\n".join(part for path, command in leaves(get_command(app)) for part in _command(path, command))


def leaves(command: Any, path: tuple[str, ...] = ("evalwire",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command without subcommands, with the words that call it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from leaves(child, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    name = " ".join(path)
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    usage = " ".join([name, "[OPTIONS]", *map(_argument, arguments)])
    yield f"## {name} {{ #{'-'.join(path[1:])} }}"
    yield _sentence(_prose(command.help))
    yield f"```text\n{usage}\n```"
    yield "```text\n" + (command.epilog or "").replace("\n\n", "\n") + "\n```"
    if arguments:
        yield _table("argument", [(f"`{_cell(argument.metavar)}`", argument.help) for argument in arguments])
    panels = dict.fromkeys(getattr(option, "rich_help_panel", None) for option in options)
    for panel in panels:
        rows = [
            (_flags(option), option.help) for option in options if getattr(option, "rich_help_panel", None) == panel
        ]
        yield _table((panel or "flag").lower(), rows)
    yield f"Exit codes: {_exit_codes(path[-1], command)}."


def _argument(argument: Any) -> str:
    return str(argument.metavar) if argument.required else f"[{argument.metavar}]"


def _flags(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*sorted(option.opts, key=len, reverse=True), *option.secondary_opts])
    return f"{names} `{_cell(option.metavar)}`" if option.metavar and not option.is_flag else names


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {names} | {_cell(_prose(text))} |" for names, text in rows]
    return _named("flags", "\n".join([f"| {title} | |", "|---|---|", *lines]))


def _prose(text: str) -> str:
    """Return a help text as Markdown, in which `*` and `<` are not markup."""
    return " ".join(text.replace("*", "\\*").replace("<", "\\<").split())


def _exit_codes(name: str, command: Any) -> str:
    source = inspect.getsource(command.callback)
    codes = _LENIENT if re.search(r"\berror_code=2\b", source) else _STRICT
    return f"{codes}, {_MORE[name]}" if name in _MORE else codes


GENERATED: dict[str, Callable[[], str]] = {"settings": settings, "commands": commands}
