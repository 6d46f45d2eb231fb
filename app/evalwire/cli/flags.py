"""Make the flags of a command from the settings that it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

import typer
from typer.core import TyperCommand, TyperGroup

from evalwire.cli.project_templates import Template
from evalwire.settings import HOW, OPTIONS, PANELS, SHOWN, WHAT, Option

_OPTIONS = {option.name: option for option in OPTIONS}


class Around(TypedDict):
    """The flags of every command that are not settings; keywords of `process.execute`."""

    config: Path | None
    env_file: Path | None
    quiet: NotRequired[bool]
    verbose: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says.

    Attributes:
        flags: values of flags by setting name, still as text; None where a flag was not given.
        around: the other flags that most commands have.
    """

    flags: Mapping[str, Any]
    around: Around


_FILES = {
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="PATH", help="Read this file instead of ./evalwire.toml.", rich_help_panel=WHAT
        ),
    ],
    "env_file": Annotated[
        Path | None,
        typer.Option("--env-file", metavar="PATH", help="Read this file instead of ./.env.", rich_help_panel=WHAT),
    ],
}

_LOUDNESS = {
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only the result and errors.", rich_help_panel=SHOWN)
    ],
    "verbose": Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show tracebacks and debug logs.", rich_help_panel=SHOWN)
    ],
}


def takes(*settings: str, has_loudness: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of these settings, --config and --env-file, beside its own parameters.

    Args:
        settings: names of settings.
        has_loudness: whether the command has --quiet and --verbose, too.

    The command's first parameter is the `Given`; the others are flags and arguments of its own.
    """
    around: dict[str, Any] = {**_FILES, **(_LOUDNESS if has_loudness else {})}
    generated = {name: _annotation(_OPTIONS[name]) for name in settings} | around

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if name in _LOUDNESS else None,
                annotation=annotation,
            )
            for name, annotation in generated.items()
        ]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = Given(
                flags={name: values.pop(name) for name in settings},
                around=cast("Around", {name: values.pop(name) for name in around}),
            )
            command(given, **values)

        run.__signature__ = inspect.Signature(sorted([*own, *flags], key=_panel))  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return run

    return decorate


def _annotation(option: Option) -> Any:
    """Return the type of a flag's parameter: text, which only the setting's own parser converts."""
    default = f" (default: {option.default_text})" if option.default_text else ""
    flag = typer.Option(
        option.flag,
        metavar=option.metavar,
        help=f"{option.help.removesuffix('.')}{default}.",
        rich_help_panel=option.panel,
    )
    return Annotated[(list[str] if option.is_repeatable else str) | None, flag]


def _panel(parameter: inspect.Parameter) -> int:
    panel = getattr(parameter.annotation.__metadata__[0], "rich_help_panel", None)
    return PANELS.index(panel) if panel in PANELS else -1


class Command(TyperCommand):
    """A command whose help shows no Python type beside a switch or an argument."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the command."""
        return _without_python_types(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose help shows no Python type beside a switch."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the group."""
        return _without_python_types(super().get_params(ctx))


def _without_python_types(params: list[Any]) -> list[Any]:
    """Leave out Typer's `<bool>` and `<path>`: a switch has no value, and the name of an argument says enough."""
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: ""  # noqa: ARG005 - Typer calls it by keyword
        elif param.is_flag:
            param.metavar = ""
    return params


# flags that several commands have, and that are not settings
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Start new experiments instead of continuing an earlier attempt (shards only).",
        rich_help_panel=WHAT,
    ),
]

AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on where code or examples were changed since the experiment began; it is then nobody's baseline.",
        rich_help_panel=WHAT,
    ),
]

FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop after the first failed run: --max-failures 1.", rich_help_panel=HOW)
]

Output = Annotated[
    Path | None, typer.Option("--output", metavar="PATH", help="Write to this file instead of the screen.")
]

Project = Annotated[
    Template,
    typer.Option(
        "--template",
        metavar="NAME",
        help="Write this project: basic, without a model, or a real model's: openai, anthropic, litellm, langchain, "
        "pydantic-ai or rag.",
    ),
]

Workflow = Annotated[
    Literal["github", "gitlab"] | None,
    typer.Option("--ci", metavar="github|gitlab", help="Also write a workflow for this CI system."),
]
