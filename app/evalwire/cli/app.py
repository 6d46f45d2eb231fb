"""Declare the commands and their own flags; the flags of settings are generated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalwire.cli import commands
from evalwire.cli.flags import (
    AcceptChanges,
    Command,
    DryRun,
    FailFast,
    Fresh,
    GateReportDir,
    GateResults,
    GateShards,
    Given,
    Group,
    JournalPath,
    Output,
    Project,
    ReportFile,
    ReportFormat,
    Workflow,
    takes,
)
from evalwire.cli.process import execute
from evalwire.settings import OUTPUT, SCOPE

app = typer.Typer(
    name="evalwire",
    cls=Group,
    help="Evaluate LLM applications with Arize Phoenix, and fail the CI job if a gate fails.",
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
    """Declare --version for the help; `entry` handles it without importing Typer."""
    del version


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, "shard", "plan", *_CALLS, *_FETCHING, "gate", "baseline", "report_dir", has_loudness=True)
def run(
    given: Given,
    *,
    dry_run: DryRun = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Start a local Phoenix for this job and upload the testset to it.",
            rich_help_panel=SCOPE,
        ),
    ] = False,
    fresh: Fresh = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
) -> None:
    """Run experiments, score and record the results, and apply the gates.

    The exit code is 0 only if every experiment and every gate passed.
    """
    if dry_run is not None and dry_run < 1:
        raise typer.BadParameter("must be at least 1. Omit --dry-run to run all examples", param_hint="--dry-run")
    execute(
        lambda invocation: commands.run.run(
            invocation, dry_run=dry_run, local=local, fresh=fresh, accept_changes=accept_changes
        ),
        given.with_fail_fast(is_on=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, *_FETCHING, has_loudness=True)
def plan(
    given: Given,
    *,
    shards: Annotated[
        int,
        typer.Option("--shards", metavar="INTEGER", min=1, help="Number of shards to divide every experiment into."),
    ],
    output: Output = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Create new experiments instead of reusing the experiments of an earlier attempt."
        ),
    ] = False,
) -> None:
    """Create the experiments of a sharded job, and write the plan for `run --plan`."""
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
    journal: JournalPath = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Resume this Phoenix experiment, without a journal.",
            rich_help_panel=SCOPE,
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also retry failed tasks and evaluators.", rich_help_panel=SCOPE),
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Use the local Phoenix of `run --local`.", rich_help_panel=SCOPE)
    ] = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
) -> None:
    """Resume an interrupted job: record pending results, run the remaining examples, and apply the gates.

    The exit code is the same as that of an uninterrupted job.
    """
    if journal is not None and experiment is not None:
        raise typer.BadParameter(
            "cannot be combined with the argument JOURNAL. Omit --experiment or JOURNAL", param_hint="--experiment"
        )
    execute(
        lambda invocation: commands.resume.resume(
            invocation,
            path=journal,
            experiment_id=experiment,
            retry_failed=retry_failed,
            local=local,
            accept_changes=accept_changes,
        ),
        given.with_fail_fast(is_on=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*_SELECTION, *_RECORD, "plan", "gate", "baseline", has_loudness=True)
def gate(
    given: Given,
    *,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Apply the gates to this Phoenix experiment (repeatable).",
            rich_help_panel=SCOPE,
        ),
    ] = None,
    results: GateResults = None,
    shards: GateShards = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Merge shards that ran with --fresh (only with --shards).", rich_help_panel=SCOPE),
    ] = False,
    report_dir: GateReportDir = None,
) -> None:
    """Apply the gates to recorded results, without running an experiment.

    The exit code is the same as from `evalwire run`.
    """
    named = {"--experiment": experiment, "--results": results, "--plan": given.flags["plan"], "--shards": shards}
    if len(several := [flag for flag, value in named.items() if value]) > 1:
        raise typer.BadParameter(
            f"{', '.join(several)} cannot be combined. Use a single option", param_hint=several[-1]
        )
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
        str, typer.Argument(metavar="A", help="Baseline: experiment ID, branch:NAME, tag:NAME or file:PATH.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="Experiment to compare with A, in the same notation.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Show the comparison as JSON.", rich_help_panel=OUTPUT)
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Show the comparison as Markdown.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Compare experiment B with baseline A: scores, confidence intervals, regressions and improvements."""
    if as_json and as_markdown:
        raise typer.BadParameter("cannot be combined with --json. Omit --markdown or --json", param_hint="--markdown")
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
    results: ReportFile = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="ID", help="Show this Phoenix experiment instead of a file, as Markdown."),
    ] = None,
    format_: ReportFormat = None,
    output: Output = None,
) -> None:
    """Show the report of a finished job or a recorded experiment, in a format of your choice."""
    if experiment is not None and results is not None:
        raise typer.BadParameter(
            "cannot be combined with the argument FILE. Omit --experiment or FILE", param_hint="--experiment"
        )
    if experiment is not None and format_ not in (None, "markdown"):
        raise typer.BadParameter(
            "must be markdown for an experiment. To write CSV or JSON, use `evalwire export`", param_hint="--format"
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
    experiment: Annotated[
        str, typer.Option("--experiment", metavar="ID", help="ID of the Phoenix experiment to export.")
    ],
    format_: Annotated[
        str,
        typer.Option("--format", metavar="csv|json", help="Format of the file (default: csv).", show_default=False),
    ] = "csv",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="PATH", help="Write to this file (default: ID.csv or ID.json).")
    ] = None,
) -> None:
    """Export a recorded experiment to a CSV or JSON file, with one entry per run."""
    execute(
        lambda invocation: commands.export.export(invocation, experiment_id=experiment, format_=format_, output=output),
        given.flags,
        **given.around,
        error_code=2,
    )


baseline_app = typer.Typer(cls=Group, help="Manage baselines in Phoenix.", no_args_is_help=True)

app.add_typer(baseline_app, name="baseline")


@baseline_app.command(cls=Command)
@takes()
def pin(
    given: Given,
    *,
    experiment: Annotated[str, typer.Argument(metavar="ID", help="ID of the Phoenix experiment to tag.")],
    tag: Annotated[str, typer.Option("--tag", metavar="NAME", help="Tag to set, for example release.")],
) -> None:
    """Tag an experiment for use with --baseline tag:NAME.

    A tag marks a single experiment per dataset: the tag is removed from the experiment that had it before.
    """
    execute(
        lambda invocation: commands.baseline.pin(invocation, experiment_id=experiment, tag=tag),
        given.flags,
        **given.around,
    )


@app.command(name="list", cls=Command)
@takes(*_SELECTION)
def list_(given: Given) -> None:
    """List the experiments in the experiments directory, without contacting Phoenix."""
    execute(commands.list_.list_, given.flags, **given.around)


@app.command(cls=Command)
@takes(*_SELECTION, *_FETCHING, has_loudness=True)
def check(
    given: Given,
    *,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Show each setting and its source.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Show the result as JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Check settings, code, datasets, gates and access to Phoenix, without running an experiment."""
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
) -> None:
    """Create a small project that runs without changes. Keep existing files."""
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
        int | None,
        typer.Option("--port", metavar="INTEGER", help="Port to use on 127.0.0.1 (default: 6006, or a free port)."),
    ] = None,
) -> None:
    """Start the local Phoenix of `run --local` again, to view the results."""
    execute(lambda invocation: commands.serve.serve(invocation, port=port), given.flags, **given.around)
