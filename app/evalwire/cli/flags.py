"""The flags that several commands have, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHAT = "What to run"

HOW = "How to run it"

JUDGED = "What passes"

SHOWN = "What is shown"

Experiments = Annotated[
    Path | None,
    typer.Option("--experiments", metavar="DIR", help="Folder of the experiments.", rich_help_panel=WHAT),
]

Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", help="Only this experiment; repeatable.", rich_help_panel=WHAT),
]

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Read this instead of ./evalwire.toml.", rich_help_panel=WHAT),
]

EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="Read this instead of ./.env.", rich_help_panel=WHAT),
]

Prefix = Annotated[
    str | None,
    typer.Option("--prefix", metavar="P", help="First part of the recorded names.", rich_help_panel=WHAT),
]

Repetitions = Annotated[
    int | None,
    typer.Option("--repetitions", metavar="N", help="Runs of each example (1).", rich_help_panel=WHAT),
]

Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Only this split of the datasets.", rich_help_panel=WHAT),
]

DatasetVersion = Annotated[
    str | None,
    typer.Option("--dataset-version", metavar="ID", help="Not the newest version.", rich_help_panel=WHAT),
]

PlanFile = Annotated[
    str | None,
    typer.Option("--plan", metavar="FILE", help="What `evalwire plan` wrote, of all shards.", rich_help_panel=WHAT),
]

FetchAttempts = Annotated[
    int | None,
    typer.Option("--fetch-attempts", metavar="N", help="Tries to fetch or create (5).", rich_help_panel=HOW),
]

FetchTimeout = Annotated[
    float | None,
    typer.Option("--fetch-timeout", metavar="SECONDS", help="For all those tries (120).", rich_help_panel=HOW),
]

Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", help="Experiments in parallel (1).", rich_help_panel=HOW),
]

TaskConcurrency = Annotated[
    str | None,
    typer.Option(
        "--task-concurrency",
        metavar="N|auto",
        help="Examples in flight (10); auto: as many as the provider bears.",
        rich_help_panel=HOW,
    ),
]

Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", help="For one call of your code (300).", rich_help_panel=HOW),
]

Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        help="Further calls after rate limits, time-outs, connection errors.",
        rich_help_panel=HOW,
    ),
]

MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures", metavar="N|P%", help="Stop after so many failures, or such a share.", rich_help_panel=HOW
    ),
]

FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop after the first failure.", rich_help_panel=HOW)]

Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="LIMIT",
        help="Such as 'top_k >= 0.8', 'top_k drop <= 0.02'; repeatable.",
        rich_help_panel=JUDGED,
    ),
]

BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="WHICH",
        help="auto, none, branch:NAME, tag:NAME, file:PATH or an experiment's id.",
        rich_help_panel=JUDGED,
    ),
]

Testset = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="The testset: CSV, or .jsonl with lines of JSON.")
]

InputKeys = Annotated[
    str | None, typer.Option("--input-keys", metavar="A,B", help="Columns of the input (user_query).")
]

OutputKeys = Annotated[
    str | None, typer.Option("--output-keys", metavar="A,B", help="Expected output (expected_output).")
]

TagColumn = Annotated[
    str | None, typer.Option("--tag-column", metavar="NAME", help="Names the datasets of a row (tags).")
]

Delimiter = Annotated[str | None, typer.Option("--delimiter", metavar="C", help="Separates tags in a cell (|).")]

ReportDir = Annotated[
    Path | None,
    typer.Option("--report-dir", metavar="DIR", help="Folder for the reports and the journal.", rich_help_panel=SHOWN),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the result and errors.", rich_help_panel=SHOWN)]

Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also tracebacks and debug logs.", rich_help_panel=SHOWN)
]
