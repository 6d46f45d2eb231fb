"""Declare the command line: the commands that run a job, and their own flags. Flags of settings are generated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalwire.cli import commands, project_commands, record_commands
from evalwire.cli.flags import (
    FETCHING,
    SELECTION,
    AcceptChanges,
    AllowPartial,
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
    UseLocal,
    Watch,
    Whole,
    repeated_arguments,
    takes,
)
from evalwire.cli.process import execute
from evalwire.settings import CONFIG_FILE, SCOPE

app = typer.Typer(
    name="evalwire",
    cls=Group,
    help="Evaluate LLM applications with Arize Phoenix, and fail the CI job if a gate fails.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_BUDGET = ("max_cost_usd", "max_tokens", "max_seconds")
_CALLS = ("concurrency", "task_concurrency", "timeout_seconds", "retries", "max_failures", *_BUDGET)
_SYNC = ("sync", "csv_path")
_RECORD = ("prefix", "repetitions", "split", "dataset_version")


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Declare --version for the help; `entry` handles it without importing Typer."""
    del version


@app.command(cls=Command)
@takes(
    *(
        *SELECTION,
        *_RECORD,
        *_SYNC,
        "shard",
        "plan",
        "keep_local",
        *_CALLS,
        *FETCHING,
        "gate",
        "baseline",
        "stop_early",
        "report_dir",
    ),
    has_loudness=True,
    has_names=True,
    has_examples=True,
)
def run(
    given: Given,
    *,
    dry_run: DryRun = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Use a local Phoenix, which is started if necessary, and upload the testset to it.",
            rich_help_panel=SCOPE,
        ),
    ] = False,
    fresh: Fresh = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
    allow_partial: AllowPartial = False,
    watch: Watch = False,
    context: typer.Context,
) -> None:
    """Run experiments, score and record the results, and apply the gates.

    The exit code is 0 only if every experiment and every gate passed.
    """
    if dry_run is not None and dry_run < 1:
        raise typer.BadParameter("must be at least 1. Omit --dry-run to run all examples", param_hint="--dry-run")
    if watch:
        arguments = repeated_arguments(context, without=("names", "experiment_names", "watch"))
        execute(
            lambda invocation: commands.watch.watch(
                invocation,
                arguments=arguments,
                settings_files=[given.around["config"] or Path(CONFIG_FILE), given.around["env_file"] or Path(".env")],
                uploads=local,
                is_dry_run=dry_run is not None,
            ),
            given.with_fail_fast(is_on=fail_fast),
            **given.around,
        )
    execute(
        lambda invocation: commands.run.run(
            invocation,
            examples=given.examples,
            dry_run=dry_run,
            local=local,
            fresh=fresh,
            accept_changes=accept_changes,
            allow_partial=allow_partial,
        ),
        given.with_fail_fast(is_on=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*SELECTION, *_RECORD, *_SYNC, *FETCHING, *_BUDGET, has_loudness=True, has_names=True)
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
@takes(
    *(*SELECTION, "prefix", "keep_local", *_CALLS, *FETCHING, "gate", "baseline", "report_dir"),
    has_loudness=True,
    has_names=True,
)
def score(
    given: Given,
    *,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Score the outputs of this Phoenix experiment: an ID, `last~1`, or another name that `compare` "
            "accepts (repeatable; default: last).",
            rich_help_panel=SCOPE,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Score the outputs in this journal or results.json instead.",
            rich_help_panel=SCOPE,
        ),
    ] = None,
    local: UseLocal = False,
    fail_fast: FailFast = False,
    allow_partial: AllowPartial = False,
) -> None:
    """Score recorded outputs again, without calling tasks: record the new scores, and apply the gates.

    The exit code is the same as from `evalwire run`. The new experiment is never a baseline.
    """
    if experiment and source is not None:
        raise typer.BadParameter(
            "cannot be combined with --from. Omit --experiment or --from", param_hint="--experiment"
        )
    execute(
        lambda invocation: commands.score.score(
            invocation, experiments=experiment or (), path=source, local=local, allow_partial=allow_partial
        ),
        given.with_fail_fast(is_on=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*SELECTION, "keep_local", *_CALLS, *FETCHING, "gate", "baseline", "report_dir", has_loudness=True)
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
    local: UseLocal = False,
    accept_changes: AcceptChanges = False,
    fail_fast: FailFast = False,
    allow_partial: AllowPartial = False,
    whole: Whole = False,
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
            allow_partial=allow_partial,
            whole=whole,
        ),
        given.with_fail_fast(is_on=fail_fast),
        **given.around,
    )


@app.command(cls=Command)
@takes(*SELECTION, *_RECORD, "plan", "gate", "baseline", has_loudness=True, has_local=True)
def gate(
    given: Given,
    *,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Apply the gates to this Phoenix experiment: an ID, `last`, or another name that `compare` accepts "
            "(repeatable).",
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
@takes(
    *(*SELECTION, *_RECORD, *_SYNC, "keep_local", *_CALLS, *FETCHING, "gate", "report_dir"),
    has_loudness=True,
    has_names=True,
    has_local=True,
)
def noise(
    given: Given,
    *,
    runs: Annotated[
        int,
        typer.Option(
            "--runs",
            metavar="N",
            min=0,
            help="First run the experiments N more times. These runs are never baselines (default: 0).",
            show_default=False,
            rich_help_panel=SCOPE,
        ),
    ] = 0,
    judges: Annotated[
        bool,
        typer.Option(
            "--judges",
            help="First score the newest outputs again, to show the part of the noise that is the judge's.",
            rich_help_panel=SCOPE,
        ),
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Format: text, markdown or html (default: by the name of the file, else text).",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Show how many scores change between runs of the same code, and the drops that the gates find.

    Without --runs and --judges, the recorded experiments show it, and no model is called.
    """
    execute(
        lambda invocation: commands.noise.noise(
            invocation,
            runs=runs,
            judges=judges,
            local=given.around.get("local", False),
            format_=format_ or "",
            output=output,
        ),
        given.flags,
        **given.around,
        error_code=None if runs or judges else 2,
    )


app.add_typer(record_commands.app)
app.add_typer(project_commands.app)
