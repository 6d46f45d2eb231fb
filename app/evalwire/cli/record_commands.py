"""Declare the commands that read recorded results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalwire.cli import commands
from evalwire.cli.examples import listed
from evalwire.cli.flags import SELECTION, Command, Given, Group, Output, ReportFile, ReportFormat, takes
from evalwire.cli.process import execute
from evalwire.settings import OUTPUT

app = typer.Typer()


@app.command(cls=Command)
@takes(*SELECTION, "prefix", has_local=True)
def runs(
    given: Given,
    *,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            metavar="INTEGER",
            min=1,
            show_default=False,
            help="Maximum number for each directory (default: 10).",
            rich_help_panel=OUTPUT,
        ),
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Show the list as JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """List the recorded experiments, newest first: time, branch, commit, outcome, ID, scores and cost."""
    execute(
        lambda invocation: commands.runs.runs(invocation, limit=limit, as_json=as_json),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes(*SELECTION, "prefix", "gate", has_names=True, has_local=True)
def plan_size(given: Given) -> None:
    """Show the smallest drop that each drop gate finds, also with twice the examples or three repetitions."""
    execute(commands.plan_size.plan_size, given.flags, **given.around, error_code=2)


@app.command(cls=Command)
@takes(*SELECTION, "prefix", has_local=True)
def judge(
    given: Given,
    *,
    evaluation: Annotated[
        str, typer.Argument(metavar="EVALUATION", help="Name of the score to compare with people's labels.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="CSV file of labels (default: judges/labels/EVALUATION.csv, which `evalwire label` writes).",
        ),
    ] = None,
    annotation: Annotated[
        str | None,
        typer.Option(
            "--annotation",
            metavar="NAME",
            help="Use people's annotations of this name on the traces in Phoenix instead of a file "
            "(default without a file: the name of the score).",
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Experiment with the labeled outputs: an ID, `last`, or another name that `compare` accepts "
            "(default: the experiment that the labels name, else last).",
        ),
    ] = None,
    corrected: Annotated[
        str | None,
        typer.Option(
            "--correct",
            metavar="ID",
            help="Also correct the pass rate of this experiment, whose outputs have no labels.",
        ),
    ] = None,
    as_markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Show Markdown with all differences.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Measure how an evaluator agrees with people, and write judges/EVALUATION.json for gates.

    Shows kappa, the passes and failures that it finds, the corrected pass rate, and the outputs on which they differ.

    A label is the result that the evaluator should return: pass for True or 1, also with direction = "minimize".
    """
    if labels is not None and annotation is not None:
        raise typer.BadParameter("cannot be combined with --labels. Omit one of them", param_hint="--annotation")
    execute(
        lambda invocation: commands.judge.judge(
            invocation,
            evaluation=evaluation,
            labels=labels,
            annotation=annotation,
            experiment=experiment,
            corrected=corrected,
            form="markdown" if as_markdown else "text",
        ),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes(*SELECTION, has_local=True)
def compare(
    given: Given,
    *,
    before: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Baseline: an ID or its unique start, last, last~1, branch:NAME, tag:NAME or file:PATH.",
        ),
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
@takes(*SELECTION, has_local=True)
def report(
    given: Given,
    *,
    results: ReportFile = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Show this Phoenix experiment instead of a file, as Markdown: an ID, `last`, or another name that "
            "`compare` accepts.",
        ),
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
            else commands.report.report_experiment(invocation, name=experiment, output=output)
        ),
        given.flags,
        **given.around,
        error_code=2,
    )


@app.command(cls=Command)
@takes(*SELECTION, "prefix", has_local=True)
def label(
    given: Given,
    *,
    evaluation: Annotated[
        str, typer.Argument(metavar="EVALUATION", help="Score whose evaluator the labels calibrate.")
    ],
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Experiment to label: an ID, or another name that `compare` accepts (default: last).",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="PATH",
            help="File of labels (default: judges/labels/EVALUATION.csv).",
            show_default=False,
        ),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option("--annotator", metavar="NAME", help="Your name (default: your user name).", show_default=False),
    ] = None,
    annotation: Annotated[
        str | None,
        typer.Option(
            "--annotation",
            metavar="NAME",
            help="Name of the annotations in Phoenix (default: EVALUATION).",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Label only the first N outputs of the random order."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=1, max=65535, help="Port of the page (default: any free port)."),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address of the page, but do not open it.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="PATH", help="Write the outputs to this CSV file for a spreadsheet, and end."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="Read the labels from this CSV file, which --csv wrote."),
    ] = None,
) -> None:
    """Label outputs as pass or fail by keyboard, on a page of this machine, without seeing their scores.

    The labels are saved in a CSV file, and in Phoenix as annotations of kind HUMAN.

    A label is the result that the evaluator should return: pass for True or 1, also with direction = "minimize".
    """
    if csv is not None and from_ is not None:
        raise typer.BadParameter("cannot be combined with --csv. Omit --from or --csv", param_hint="--from")
    execute(
        lambda invocation: commands.label.label(
            invocation,
            commands.label.LabelFlags(
                evaluation=evaluation,
                experiment=experiment,
                labels=labels,
                annotator=annotator,
                annotation=annotation,
                limit=limit,
                port=port,
                has_browser=not no_browser,
                sheet=csv,
                filled=from_,
            ),
        ),
        given.flags,
        **given.around,
    )


@app.command(cls=Command)
@takes()
def comment(
    given: Given,
    *,
    summary: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Markdown file to post (default: summary.md in the report directory).",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="TEXT",
            help="Text that identifies the comment, so that other jobs have their own comments "
            "(default: names of job and file).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Write the summary of a job as a comment on its pull request (GitHub) or merge request (GitLab).

    Later jobs update the comment. GitHub needs GITHUB_TOKEN, and GitLab needs GITLAB_TOKEN.
    """
    execute(
        lambda invocation: commands.comment.comment(invocation, file=summary, key=key),
        given.flags,
        **given.around,
    )


@app.command(cls=Command)
@takes(*SELECTION, has_local=True)
def export(
    given: Given,
    *,
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment",
            metavar="ID",
            help="Phoenix experiment to export: an ID, `last`, or another name that `compare` accepts.",
        ),
    ],
    format_: Annotated[
        str,
        typer.Option("--format", metavar="csv|json", help="Format of the file (default: csv).", show_default=False),
    ] = "csv",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="PATH", help="Write to this file (default: the ID if given, else the name in Phoenix)."
        ),
    ] = None,
) -> None:
    """Export a recorded experiment to a CSV or JSON file, with one entry per run."""
    execute(
        lambda invocation: commands.export.export(invocation, name=experiment, format_=format_, output=output),
        given.flags,
        **given.around,
        error_code=2,
    )


baseline_app = typer.Typer(cls=Group, help="Manage baselines in Phoenix.", no_args_is_help=True)

app.add_typer(baseline_app, name="baseline")


@baseline_app.command(cls=Command)
@takes(*SELECTION, has_local=True)
def pin(
    given: Given,
    *,
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Phoenix experiment to tag: an ID, `last`, or another name that `compare` accepts."
        ),
    ],
    tag: Annotated[str, typer.Option("--tag", metavar="NAME", help="Tag to set, for example release.")],
) -> None:
    """Tag an experiment for use with --baseline tag:NAME.

    A tag marks a single experiment per dataset: the tag is removed from the experiment that had it before.
    """
    execute(
        lambda invocation: commands.baseline.pin(invocation, name=experiment, tag=tag),
        given.flags,
        **given.around,
    )


@baseline_app.command(name="list", cls=Command, epilog=listed("evalwire baseline list"))
@takes(*SELECTION, has_local=True)
def list_(given: Given) -> None:
    """List the tags of the project's datasets, each with its experiment."""
    execute(commands.baseline.list_, given.flags, **given.around, error_code=2)


@baseline_app.command(cls=Command)
@takes(*SELECTION, has_local=True)
def unpin(
    given: Given,
    *,
    tag: Annotated[str, typer.Option("--tag", metavar="NAME", help="Tag to remove, for example release.")],
) -> None:
    """Remove a tag from the project's experiments. The experiments themselves remain."""
    execute(lambda invocation: commands.baseline.unpin(invocation, tag=tag), given.flags, **given.around, error_code=2)
