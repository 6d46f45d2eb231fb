"""`report.html`: a page of its own, without a network, for people who would rather look."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from evalwire.reports.html import runs, section, summary
from evalwire.reports.html.markup import Html, html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import Report


def pieces(report: Report) -> Iterator[str]:
    """The report as one HTML page, each run a piece of its own, since a large report is not to be held twice.

    Nothing in it comes from elsewhere or calls out: its policy allows the page's own script and style alone, by their
    hashes. Without scripts all of it can be read; only sorting and filtering need one.
    """
    sections = [section.Section.of(report, number) for number in range(len(report.results))]
    style, script = _own("style.css") + runs.style(sections), _own("script.js")
    names = ", ".join(result.name for result in report.results)
    yield html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="{}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<title>{}: {}</title>\n<style>{}</style>\n</head>\n<body>\n",
        _policy(style=style, script=script),
        summary.word(report),
        names[:200] or "evalwire",
        Html(style),
    )
    if any(result.runs for result in report.results):
        yield '<a class="skip" href="#runs">Skip to all runs</a>\n'
    yield from summary.pieces(report, sections)
    for one in sections:
        yield from section.pieces(one)
    yield from runs.pieces(sections)
    yield html("</main>\n<script>{}</script>\n</body>\n</html>\n", Html(script))


def _own(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _policy(*, style: str, script: str) -> str:
    """What the page may do: run this script and wear this style; no more, whatever a model wrote into it."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
