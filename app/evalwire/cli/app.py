"""Declare the commands with their own flags; flags of settings are made from the table of settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from evalwire.cli import commands
from evalwire.cli.flags import AcceptChanges, Command, FailFast, Fresh, Given, Group, Output, Project, Workflow, takes
from evalwire.cli.process import execute
from evalwire.settings import SHOWN, WHAT

app = typer.Typer(
    name="evalwire",
    cls=Group,
    help="Run LLM evaluation experiments against Arize Phoenix, and exit honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SELECTION = ("experiments", "names")
_FETCHING = ("fetch_attempts", "fetch_timeout_seconds")
_CALLS = ("concurrency", "task_concurrency", "timeout_seconds", "retries", "max_failures")
_COLUMNS = ("input_keys", "output_keys", "tag_column", "delimiter")
_RECORD = ("prefix", "repetitions", "split", "dataset_version")


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Declare --version for the help; it is handled before Typer, so that it costs no import."""
    del version


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, "shard", "plan", *_CALLS, *_FETCHING, "gate", "baseline", "report_dir", has_loudness=True)
def run(
    given: Given,
    *,
    dry_run: Annotated[
        int | None,
        typer.Option(
            "--dry-run",
            metavar="[N]",
            help="Run only the first N examples of each experiment (1 without N), and record nothing.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="Start a Phoenix for this run, and upload the testset to it.", rich_help_panel=WHAT
        ),
    ] = False,
    fresh: Fresh = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
) -> None:
    """Run the experiments; exit 0 only if every one of them passed."""
    if dry_run is not None and dry_run < 1:
        raise typer.BadParameter("at least 1 example; without --dry-run, all are run", param_hint="--dry-run")
    execute(
        lambda invocation: commands.run.run(
            invocation, dry_run=dry_run, local=local, fresh=fresh, accept_changes=accept_changes
        ),
        _with_fail_fast(given.flags, fail_fast=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, *_FETCHING, has_loudness=True)
def plan(
    given: Given,
    *,
    shards: Annotated[
        int, typer.Option("--shards", metavar="INTEGER", min=1, help="Divide every experiment among this many jobs.")
    ],
    output: Output = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start new experiments instead of those that this pipeline run already has."),
    ] = False,
) -> None:
    """Create the experiments that several jobs will run together, and write the plan for `run --plan`."""
    execute(
        lambda invocation: commands.plan.plan(invocation, shards=shards, output=output, fresh=fresh),
        given.flags,
        **given.around,
    )


@app.command(cls=Command)
@takes(*_SELECTION, *_CALLS, *_FETCHING, "gate", "baseline", "report_dir", has_loudness=True)
def resume(
    given: Given,
    *,
    journal: Annotated[
        Path | None,
        typer.Argument(
            metavar="JOURNAL",
            help="Journal of the job to resume (default: the newest in the report directory).",
            show_default=False,
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment", metavar="ID", help="Complete this experiment of Phoenix instead.", rich_help_panel=WHAT
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Also run again the tasks and evaluators that failed.", rich_help_panel=WHAT
        ),
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Use the local Phoenix of `run --local`.", rich_help_panel=WHAT)
    ] = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
) -> None:
    """Deliver what a journal holds, run what never finished, and end as the run would have."""
    if journal is not None and experiment is not None:
        raise typer.BadParameter("a journal or an experiment, not both", param_hint="--experiment")
    execute(
        lambda invocation: commands.resume.resume(
            invocation,
            path=journal,
            experiment_id=experiment,
            retry_failed=retry_failed,
            local=local,
            accept_changes=accept_changes,
        ),
        _with_fail_fast(given.flags, fail_fast=fail_fast),
        **given.around,
    )


def _with_fail_fast(flags: Mapping[str, Any], *, fail_fast: bool) -> Mapping[str, Any]:
    if fail_fast and flags["max_failures"] is not None:
        raise typer.BadParameter("--fail-fast is --max-failures 1: give one of them", param_hint="--fail-fast")
    return {**flags, "max_failures": "1"} if fail_fast else flags


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, "plan", "gate", "baseline", has_loudness=True)
def gate(
    given: Given,
    *,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment", metavar="ID", help="Judge this experiment of Phoenix; repeatable.", rich_help_panel=WHAT
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="PATH",
            help="Judge this file (default: results.json in the report directory).",
            rich_help_panel=WHAT,
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="INTEGER",
            min=1,
            help="Judge what this many shards of the pipeline run recorded without a plan.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Give it with --shards, if the shards had it.", rich_help_panel=WHAT)
    ] = False,
    report_dir: Annotated[
        str | None,
        typer.Option(
            "--report-dir", metavar="PATH", help="Also write the reports to this directory.", rich_help_panel=SHOWN
        ),
    ] = None,
) -> None:
    """Judge what is recorded by the gates, without running anything; exit as the run would have."""
    named = {"--experiment": experiment, "--results": results, "--plan": given.flags["plan"], "--shards": shards}
    if len(several := [flag for flag, value in named.items() if value]) > 1:
        raise typer.BadParameter(f"one of {', '.join(several)}", param_hint=several[-1])
    execute(
        lambda invocation: commands.gate.gate(
            invocation, experiment_ids=experiment or (), results=results, shards=shards, fresh=fresh
        ),
        {**given.flags, "report_dir": report_dir},
        **given.around,
    )


@app.command(cls=Command)
@takes(*_SELECTION)
def compare(
    given: Given,
    *,
    before: Annotated[
        str, typer.Argument(metavar="A", help="Experiment to compare with: ID, branch:NAME, tag:NAME or file:PATH.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="Experiment to compare, written in the same way.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.", rich_help_panel=SHOWN)] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown.", rich_help_panel=SHOWN)] = False,
) -> None:
    """Show how B differs from A: scores, intervals, and the examples that became better or worse."""
    if as_json and as_markdown:
        raise typer.BadParameter("JSON or Markdown, not both", param_hint="--markdown")
    execute(
        lambda invocation: commands.compare.compare(
            invocation, before=before, after=after, form="json" if as_json else "markdown" if as_markdown else "text"
        ),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes()
def report(
    given: Given,
    *,
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="File to show (default: results.json in the report directory).", show_default=False
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="ID", help="Show this experiment of Phoenix instead, in Markdown."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Show it as console, html, markdown, junit, json or annotations (default: console).",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Show a finished run in another format, or a recorded experiment."""
    if experiment is not None and results is not None:
        raise typer.BadParameter("a file or an experiment, not both", param_hint="--experiment")
    if experiment is not None and format_ not in (None, "markdown"):
        raise typer.BadParameter(
            "an experiment is shown in Markdown; evalwire export writes CSV and JSON", param_hint="--format"
        )
    execute(
        lambda invocation: (
            commands.report.report(invocation, path=results, format_=format_ or "console", output=output)
            if experiment is None
            else commands.report.report_experiment(invocation, experiment_id=experiment, output=output)
        ),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes()
def export(
    given: Given,
    *,
    experiment: Annotated[str, typer.Option("--experiment", metavar="ID", help="Export this experiment of Phoenix.")],
    format_: Annotated[
        str,
        typer.Option("--format", metavar="csv|json", help="Write this format (default: csv).", show_default=False),
    ] = "csv",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="PATH", help="Write to this file (default: ID.csv or ID.json)."),
    ] = None,
) -> None:
    """Write a recorded experiment to a file, a row or an object for each run."""
    execute(
        lambda invocation: commands.export.export(invocation, experiment_id=experiment, format_=format_, output=output),
        given.flags,
        **given.around,
        error_code=2,
    )


baseline_app = typer.Typer(cls=Group, help="Pin fixed points to compare with.", no_args_is_help=True)

app.add_typer(baseline_app, name="baseline")


@baseline_app.command(cls=Command)
@takes()
def pin(
    given: Given,
    *,
    experiment: Annotated[str, typer.Argument(metavar="ID", help="ID of an experiment of Phoenix.")],
    tag: Annotated[str, typer.Option("--tag", metavar="NAME", help="Give it this tag, such as release.")],
) -> None:
    """Give an experiment a tag, for --baseline tag:NAME; another of its dataset that has it loses it."""
    execute(
        lambda invocation: commands.baseline.pin(invocation, experiment_id=experiment, tag=tag),
        given.flags,
        **given.around,
    )


@app.command(name="list", cls=Command)
@takes(*_SELECTION)
def list_(given: Given) -> None:
    """Show the experiments that are found, without Phoenix."""
    execute(commands.list_.list_, given.flags, **given.around)


@app.command(cls=Command)
@takes(*_SELECTION, *_FETCHING, has_loudness=True)
def check(
    given: Given,
    *,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Show each setting and where it came from.", rich_help_panel=SHOWN),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.", rich_help_panel=SHOWN)] = False,
) -> None:
    """Check everything that a run needs, without running it."""
    execute(
        lambda invocation: commands.check.check(invocation, as_json=as_json, show_settings=show_settings),
        given.flags,
        **given.around,
    )


@app.command(cls=Command)
@takes("csv_path", "on_exist", *_COLUMNS, has_loudness=True)
def upload(
    given: Given,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Upload nothing if the testset has any issue.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and upload nothing.")] = False,
) -> None:
    """Upload a testset to Phoenix, one dataset for each tag."""
    execute(
        lambda invocation: commands.upload.upload(invocation, strict=strict, dry_run=dry_run),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes("csv_path", *_COLUMNS)
def validate(given: Given) -> None:
    """Find everything that is wrong with a testset, without Phoenix."""
    execute(commands.validate.validate, given.flags, **given.around, error_code=2)


@app.command(cls=Command)
def init(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Directory of the project; created when missing.", show_default=False),
    ] = Path(),
    template: Project = "basic",
    ci: Workflow = None,
) -> None:
    """Write a small project that runs as it is, to start your own from; change no file that is there."""
    execute(
        lambda invocation: commands.init.init(invocation, directory, template=template, ci=ci),
        {},
        config=None,
        env_file=None,
        error_code=2,
    )


@app.command(cls=Command)
@takes()
def serve(
    given: Given,
    *,
    port: Annotated[
        int | None, typer.Option("--port", metavar="INTEGER", help="Listen on this port of 127.0.0.1 (default: 6006).")
    ] = None,
) -> None:
    """Serve the Phoenix of `run --local`, to look at its results."""
    execute(lambda invocation: commands.serve.serve(invocation, port=port), given.flags, **given.around)
