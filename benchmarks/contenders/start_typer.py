"""A Typer app that does nothing, as a reference for the start of a command."""

import typer

app = typer.Typer()


@app.command()
def main() -> None:
    """Do nothing."""


app()
