"""Declare the flags that select examples; their names are the fields of `ExampleRequest`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from evalwire.settings import SCOPE

EXAMPLE_FLAGS: dict[str, Any] = {
    "text": Annotated[
        str | None,
        typer.Option(
            "-k",
            metavar="TEXT",
            help="Run only the examples whose ID or input contains this text, in any case.",
            rich_help_panel=SCOPE,
        ),
    ],
    "ids": Annotated[
        list[str] | None,
        typer.Option(
            "--example", metavar="ID", help="Run only the example with this ID (repeatable).", rich_help_panel=SCOPE
        ),
    ],
    "failing": Annotated[
        bool,
        typer.Option(
            "--failing",
            help="Run only the examples that failed or became worse in results.json of the report directory.",
            rich_help_panel=SCOPE,
        ),
    ],
    "sample": Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            help="Run only N examples of each experiment, chosen by --seed.",
            rich_help_panel=SCOPE,
        ),
    ],
    "seed": Annotated[
        int | None,
        typer.Option("--seed", metavar="INTEGER", help="Seed of --sample (default: 0).", rich_help_panel=SCOPE),
    ],
}
