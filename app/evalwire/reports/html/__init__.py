"""Render `report.html`: a single page that works offline."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from evalwire.model import count
from evalwire.reports import text
from evalwire.reports.digest import Digest
from evalwire.reports.highlights import link
from evalwire.reports.html import markup, numbers, summary
from evalwire.reports.html.pictures import pictures
from evalwire.reports.html.section import TEMPLATE_NAMES, Section
from evalwire.reports.html.trend_plot import trend_figures

if TYPE_CHECKING:
    import jinja2

    from evalwire.model import Report


def pieces(report: Report) -> Iterator[str]:
    """Yield the report as an HTML page in pieces: each run is a piece, to limit the memory for a large page.

    The page loads nothing and sends nothing: the content security policy allows only the page's script and style, by
    hash. The page is complete without the script, which is needed only to sort and filter.
    """
    digest = Digest.of(report)
    sections = [Section.of(report, number) for number in range(len(report.results))]
    style = "".join([_own("style.css"), _own("trend.css"), *(section.style for section in sections)])
    script = _own("script.js")
    page = _page().generate(
        report=report,
        sections=sections,
        anchors={section.result.name: section.anchor for section in sections},
        names=", ".join(result.name for result in report.results)[:200] or "evalwire",
        word=digest.word,
        tolerated=summary.tolerated(digest),
        reason=summary.reason(report, digest),
        size=summary.size(report, digest),
        has_runs=any(result.runs for result in report.results),
        has_pending_runs=any(result.not_run for result in report.results if result.opened),
        has_tokens=any(section.token_count for section in sections),
        values=markup.Values(),
        style=Markup(style),  # noqa: S704 - evalwire's own
        script=Markup(script),  # noqa: S704 - evalwire's own
        policy=_policy(style=style, script=script),
    )
    yield from map(str.__str__, page)  # as str, because Markup would escape text that is joined to it


def compile_templates() -> None:
    """Compile the page's templates before the first report, so their bytecode is cached."""
    templates = _page().environment
    for name in templates.list_templates(extensions=["html"]):
        templates.get_template(name)


@cache
def _page() -> jinja2.Template:
    return markup.environment(
        **TEMPLATE_NAMES,
        amount=summary.amount,
        anchor=markup.anchor,
        count=count,
        cut=text.cut,
        cut_middle=text.cut_middle,
        duration=numbers.duration,
        grouped=numbers.grouped,
        isolated=markup.isolated,
        link=link,
        number=numbers.number,
        p_value=numbers.p_value,
        percent=numbers.percent,
        pictures=pictures,
        points=numbers.points,
        relative=text.relative,
        signed=numbers.signed,
        trend_figures=trend_figures,
    ).get_template("page.html")


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(*, style: str, script: str) -> str:
    """Return the content security policy of the page, which allows only this script and this style."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
