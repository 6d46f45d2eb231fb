"""A Typer app that does nothing: what any command of Typer's takes to start."""

import typer

app = typer.Typer()


@app.command()
def main() -> None:
    """Do nothing."""


app()
