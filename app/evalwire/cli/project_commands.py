"""Declare the commands that create and check a project, and serve its local Phoenix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalwire.cli import commands
from evalwire.cli.flags import FETCHING, SELECTION, Command, ExperimentTemplate, Given, Group, Project, Workflow, takes
from evalwire.cli.process import execute
from evalwire.settings import LIMITS, OUTPUT, SCOPE

app = typer.Typer()
_COST = ("repetitions", "split", "max_cost_usd", "max_tokens")
_COLUMNS = ("input_keys", "output_keys", "tag_column", "delimiter")


@app.command(name="list", cls=Command)
@takes(*SELECTION, has_names=True)
def list_(given: Given) -> None:
    """List the experiments in the experiments directory, without contacting Phoenix."""
    execute(commands.list_.list_, given.flags, **given.around)


@app.command(cls=Command)
@takes(*SELECTION, *FETCHING, *_COST, has_loudness=True, has_names=True, has_local=True)
def check(
    given: Given,
    *,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Show each setting and its source.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Show the result as JSON.", rich_help_panel=OUTPUT)] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Check only settings, code, testset and gates, without Phoenix.",
            rich_help_panel=SCOPE,
        ),
    ] = False,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost",
            help="Also forecast the cost of a job from the newest complete experiments. Fail if the forecast is above "
            "the budget.",
            rich_help_panel=LIMITS,
        ),
    ] = False,
) -> None:
    """Check settings, code, datasets, gates and access to Phoenix, without running an experiment."""
    if offline and cost:
        raise typer.BadParameter("cannot be combined with --offline. Omit --cost or --offline", param_hint="--cost")
    if offline and given.around["local"]:
        raise typer.BadParameter("cannot be combined with --local. Omit --offline or --local", param_hint="--offline")
    execute(
        lambda invocation: commands.check.check(
            invocation, as_json=as_json, show_settings=show_settings, is_offline=offline, has_cost=cost
        ),
        given.flags,
        **given.around,
    )


@app.command(cls=Command)
@takes("csv_path", "on_exist", *_COLUMNS, has_loudness=True, has_local=True)
def upload(
    given: Given,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Upload nothing if `evalwire validate` reports an issue or a note.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without uploading them.")] = False,
) -> None:
    """Upload a testset to Phoenix, as one dataset per tag."""
    execute(
        lambda invocation: commands.upload.upload(invocation, strict=strict, dry_run=dry_run),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes("csv_path", *_COLUMNS)
def validate(given: Given) -> None:
    """Check a testset for errors, without contacting Phoenix."""
    execute(commands.validate.validate, given.flags, **given.around, error_code=2)


@app.command(cls=Command)
def init(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Directory of the project, created if missing (default: current directory).",
            show_default=False,
        ),
    ] = Path(),
    template: Project = "basic",
    ci: Workflow = None,
    server: Annotated[
        bool,
        typer.Option(
            "--server", help="With --ci: use your own Phoenix server instead of a local Phoenix and a kept baseline."
        ),
    ] = False,
) -> None:
    """Create a small project that runs without changes, or with --ci, a pipeline for an existing project.

    Existing files are kept.
    """
    execute(
        lambda invocation: commands.init.init(invocation, directory, template=template, ci=ci, server=server),
        {},
        config=None,
        env_file=None,
        error_code=2,
    )


@app.command(cls=Command)
@takes("experiments")
def new(
    given: Given,
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the experiment, which is also the tag of its rows in the testset."
        ),
    ],
    template: ExperimentTemplate = "basic",
) -> None:
    """Create an experiment with a task and an evaluator in an existing project.

    Existing files and the testset are not changed.
    """
    execute(
        lambda invocation: commands.new.new(invocation, name=name, template=template),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes()
def serve(
    given: Given,
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="INTEGER", help="Port to use on 127.0.0.1 (default: 6006, or a free port)."),
    ] = None,
) -> None:
    """Run the local Phoenix of `run --local` until Ctrl-C, to view the results."""
    execute(lambda invocation: commands.serve.serve(invocation, port=port), given.flags, **given.around)


local_app = typer.Typer(
    cls=Group, help="Show or stop the local Phoenix that `run --local` keeps running.", no_args_is_help=True
)

app.add_typer(local_app, name="local")


@local_app.command(cls=Command)
@takes()
def status(given: Given) -> None:
    """Show whether the local Phoenix is running, its address, and when it stops."""
    execute(commands.local.status, given.flags, **given.around)


@local_app.command(cls=Command)
@takes()
def stop(given: Given) -> None:
    """Stop the local Phoenix, unless a command uses it."""
    execute(commands.local.stop, given.flags, **given.around)
