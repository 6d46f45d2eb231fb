"""Render the noise of experiments as text, as Markdown for a comment, or as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from evalwire.model import ExperimentNoise

FORMATS: Mapping[str, str] = {
    "text": "noise.text",
    "markdown": "noise.markdown",
    "html": "html.noise_page",
}
"""The formats, each with its module in `evalwire.reports`, whose `pieces` renders the noise."""

_SUFFIXES = {".md": "markdown", ".html": "html", ".htm": "html"}


def format_of(output: Path | None) -> str:
    """Return the format of a file by its suffix; text for other files and for standard output."""
    return _SUFFIXES.get(output.suffix.lower(), "text") if output is not None else "text"


def pieces(measured: Sequence[ExperimentNoise], format_: str, *, width: int | None = None) -> Iterable[str]:
    """Return the noise of experiments in a format of `FORMATS`, as pieces of text.

    Args:
        measured: the noise of each experiment.
        format_: the name of the format.
        width: the number of columns of the terminal; None without a terminal.
    """
    rendered: Iterable[str] = load(f"evalwire.reports.{FORMATS[format_]}").pieces(measured, width=width)
    return rendered
