"""Render the noise of experiments as a single page that works offline, in the style of `report.html`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from evalwire._version import __version__
from evalwire.reports.html import content_policy, markup, own_file
from evalwire.reports.html.noise_plots import noise_figures
from evalwire.reports.noise import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import jinja2

    from evalwire.model import ExperimentNoise


def pieces(measured: Sequence[ExperimentNoise], *, width: int | None = None) -> Iterator[str]:
    """Yield the page, in pieces. It loads nothing and sends nothing, and has no script."""
    del width
    style = "".join(map(own_file, ("style.css", "noise.css")))
    page = _page().generate(
        measured=measured,
        version=__version__,
        style=Markup(style),  # noqa: S704 - evalwire's own
        policy=content_policy(style=style),
    )
    yield from map(str.__str__, page)  # as str, because Markup would escape text that is joined to it


@cache
def _page() -> jinja2.Template:
    return markup.environment(noise_figures=noise_figures, words=words, capital=_capital).get_template("noise.html")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
