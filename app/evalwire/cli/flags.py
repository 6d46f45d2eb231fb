"""Generate the flags of a command from its settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict, cast

import typer
from typer.core import TyperCommand, TyperGroup

from evalwire.cli.example_flags import EXAMPLE_FLAGS
from evalwire.cli.examples import EXAMPLES, epilog
from evalwire.cli.project_templates import CI, Template
from evalwire.jobs import ExampleRequest
from evalwire.settings import GATING, LIMITS, OPTIONS, OUTPUT, PANELS, SCOPE, Option

SELECTION = ("experiments", "names", "variants")  # settings of several commands
FETCHING = ("fetch_attempts", "fetch_timeout_seconds")

_OPTIONS = {option.name: option for option in OPTIONS}

_FILES_PANEL = "Settings files"
_PANELS = (*PANELS, _FILES_PANEL)


class Around(TypedDict):
    """The flags of every command that are not settings, as keywords of `process.execute`."""

    config: Path | None
    env_file: Path | None
    local: NotRequired[bool]
    quiet: NotRequired[bool]
    verbose: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Given:
    """The values on the command line.

    Attributes:
        flags: unparsed values by setting name; None for a flag that was not given.
        around: values of the flags that are not settings.
        examples: the examples that the flags select.
    """

    flags: Mapping[str, Any]
    around: Around
    examples: ExampleRequest = field(default_factory=ExampleRequest)

    def with_fail_fast(self, *, is_on: bool) -> Mapping[str, Any]:
        """Return the flags, with a limit of one failed run if --fail-fast was given.

        Raises:
            typer.BadParameter: --max-failures was given, too.
        """
        if is_on and self.flags["max_failures"] is not None:
            raise typer.BadParameter(
                "cannot be combined with --max-failures. Omit --fail-fast or --max-failures", param_hint="--fail-fast"
            )
        return {**self.flags, "max_failures": "1"} if is_on else self.flags


_FILES = {
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="PATH", help="Read this file instead of ./evalwire.toml.", rich_help_panel=_FILES_PANEL
        ),
    ],
    "env_file": Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="PATH", help="Read this file instead of ./.env.", rich_help_panel=_FILES_PANEL
        ),
    ],
}

_LOUDNESS = {
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only the result and errors.", rich_help_panel=OUTPUT)
    ],
    "verbose": Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show tracebacks and debug logs.", rich_help_panel=OUTPUT)
    ],
}


_NAMES_ARGUMENT = {
    "experiment_names": Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Experiments to select, as with --name (default: all experiments).",
            show_default=False,
        ),
    ]
}

UseLocal = Annotated[
    bool, typer.Option("--local", help="Use the local Phoenix of `run --local`.", rich_help_panel=SCOPE)
]
_LOCAL = {"local": UseLocal}


def takes(
    *settings: str,
    has_loudness: bool = False,
    has_names: bool = False,
    has_examples: bool = False,
    has_local: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add to a command the flags of these settings, --config and --env-file.

    Args:
        settings: names of settings.
        has_loudness: whether to add --quiet and --verbose.
        has_names: whether the arguments of the command are names of experiments, in addition to --name.
        has_examples: whether to add the flags that select examples.
        has_local: whether to add --local, with which `process.execute` connects to the local Phoenix.

    The command receives a `Given` as its first parameter. Its other parameters are its own flags and arguments.
    """
    switches = {**(_LOUDNESS if has_loudness else {}), **(_LOCAL if has_local else {})}
    around: dict[str, Any] = {**_FILES, **switches}
    generated = {name: _annotation(_OPTIONS[name]) for name in settings} | around
    names = _NAMES_ARGUMENT if has_names else {}
    examples = EXAMPLE_FLAGS if has_examples else {}
    generated |= {**names, **examples}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if name in (*switches, "failing") else None,
                annotation=annotation,
            )
            for name, annotation in generated.items()
        ]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            arguments = [name for own in names for name in values.pop(own) or ()]
            flags = {name: values.pop(name) for name in settings}
            if arguments:
                flags["names"] = [*arguments, *(flags["names"] or ())]
            given = Given(
                flags=flags,
                around=cast("Around", {name: values.pop(name) for name in around}),
                examples=ExampleRequest(**{name: values.pop(name) for name in examples}),
            )
            command(given, **values)

        run.__signature__ = inspect.Signature(sorted([*own, *flags], key=_panel))  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return run

    return decorate


def _annotation(option: Option) -> Any:
    """Return the annotation of a flag whose text the parser of the setting converts."""
    default = f" (default: {option.default_text})" if option.default_text else ""
    flag = typer.Option(
        f"{option.flag}/--no-{(option.flag or '').removeprefix('--')}" if option.is_switch else option.flag,
        metavar=option.metavar,
        help=f"{option.help.removesuffix('.')}{default}.",
        rich_help_panel=option.panel,
    )
    kind: Any = bool if option.is_switch else list[str] if option.is_repeatable else str
    return Annotated[kind | None, flag]


def repeated_arguments(context: typer.Context, *, without: Collection[str]) -> list[str]:
    """Return the flags of a command as they were given, for another process.

    Args:
        context: the context of the command.
        without: names of parameters to leave out.
    """
    found = [context.info_name or ""]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value is False and parameter.secondary_opts and parameter.name not in without:
            found.append(parameter.secondary_opts[0])
        if parameter.name in without or value in (None, False, [], ()):
            continue
        flag = next((flag for flag in parameter.opts if flag.startswith("--")), parameter.opts[0])
        values = value if isinstance(value, list | tuple) else [value]
        found += [flag] if value is True else [part for each in values for part in (flag, str(each))]
    return found


def _panel(parameter: inspect.Parameter) -> int:
    panel = getattr(next(iter(getattr(parameter.annotation, "__metadata__", ())), None), "rich_help_panel", None)
    return _PANELS.index(panel) if panel in _PANELS else -1


class Command(TyperCommand):
    """A command with examples in its help, and without Python types for switches and arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.epilog = self.epilog or epilog(self.name)

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the command."""
        return _without_python_types(super().get_params(ctx))


class Group(TyperGroup):
    """A group that lists its commands in the order of use, and shows no Python types for switches."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        order = list(EXAMPLES)
        self.commands = dict(sorted(self.commands.items(), key=lambda item: order.index(item[0])))
        self.epilog = epilog(self.name)

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the group."""
        return _without_python_types(super().get_params(ctx))


def _without_python_types(params: list[Any]) -> list[Any]:
    """Remove `<bool>`, `<path>`, `[x>=1]` and the braces of `{NAME}` from the help, where names and texts say more."""
    for param in params:
        param._get_number_range_help_str = lambda: None  # noqa: SLF001 - Typer has no public setting for it
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: ""  # noqa: ARG005 - Typer calls it by keyword
            if param.required:
                param._usage_display_name = functools.partial(str, param.display_name_raw)  # noqa: SLF001 - the same
        elif param.is_flag:
            param.metavar = ""
    return params


# Flags of several commands that are not settings
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Start new experiments instead of continuing an earlier attempt (only with --shard).",
        rich_help_panel=SCOPE,
    ),
]

AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Continue even if code or examples changed since the experiment started. "
        "Never use the experiment as a baseline afterwards.",
        rich_help_panel=SCOPE,
    ),
]

DryRun = Annotated[
    int | None,
    typer.Option(
        "--dry-run",
        metavar="[N]",
        help="Run only the first N examples of each experiment (1 without N) and record nothing.",
        rich_help_panel=SCOPE,
    ),
]

FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast", "-x", help="Stop after the first failed run. Same as --max-failures 1.", rich_help_panel=LIMITS
    ),
]

Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Run again when a file changes that the experiments read. Every run calls the task again.",
        rich_help_panel=SCOPE,
    ),
]

AllowPartial = Annotated[
    bool,
    typer.Option(
        "--allow-partial",
        help="Let a partial run pass in CI, although gates are configured and not applied to it.",
        rich_help_panel=GATING,
    ),
]

Whole = Annotated[
    bool,
    typer.Option(
        "--whole",
        help="Run the remaining examples of an experiment that ended early, and apply the gates to all examples.",
        rich_help_panel=GATING,
    ),
]

Output = Annotated[
    Path | None, typer.Option("--output", metavar="PATH", help="Write to this file instead of standard output.")
]

# Parameters of a single command
JournalPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="JOURNAL",
        help="Journal of the job to resume (default: the newest journal in the report directory).",
        show_default=False,
    ),
]

GateResults = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="PATH",
        help="Apply the gates to the results in this file (default: results.json in the report directory).",
        rich_help_panel=SCOPE,
    ),
]

GateReportDir = Annotated[
    str | None,
    typer.Option(
        "--report-dir",
        metavar="PATH",
        help="Write the reports to this directory (default: no reports).",
        rich_help_panel=OUTPUT,
    ),
]

GateShards = Annotated[
    int | None,
    typer.Option(
        "--shards",
        metavar="INTEGER",
        min=1,
        help="Number of shards to merge first, if they ran without --plan.",
        rich_help_panel=SCOPE,
    ),
]

ReportFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="Results file to show (default: results.json in the report directory).",
        show_default=False,
    ),
]

ReportFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format: console, html, markdown, junit, json, annotations (of GitHub), or metrics or codequality "
        "(of GitLab) (default: console).",
    ),
]

ExperimentTemplate = Annotated[
    Template,
    typer.Option(
        "--template",
        metavar="NAME",
        help="Task and evaluators to write: basic (calls no model), openai, anthropic, litellm, langchain, "
        "pydantic-ai or rag (default: basic).",
        show_default=False,
    ),
]

Project = Annotated[
    Template,
    typer.Option(
        "--template",
        metavar="NAME",
        help="Project to create: basic (calls no model), openai, anthropic, litellm, langchain, pydantic-ai or rag "
        "(default: basic).",
        show_default=False,
    ),
]

Workflow = Annotated[
    CI | None,
    typer.Option(
        "--ci",
        metavar="github|gitlab",
        help="Also write a pipeline for this CI system; in an existing project, only the pipeline.",
    ),
]
