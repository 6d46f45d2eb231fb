"""Render `report.html`: a single page that works offline."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from evalwire.model import cost_text, count
from evalwire.reports import text
from evalwire.reports.amounts import limit_text, prices_date
from evalwire.reports.budget_text import resume_command
from evalwire.reports.ci_links import commit_link, pull_request_link
from evalwire.reports.digest import Digest
from evalwire.reports.highlights import comparison_link, link
from evalwire.reports.html import markup, numbers, runs, summary, tree
from evalwire.reports.html.pictures import pictures
from evalwire.reports.html.section import TEMPLATE_NAMES, Section
from evalwire.reports.html.trend_plot import trend_figures
from evalwire.reports.html.values import Values
from evalwire.reports.reachable import with_reachable_pages
from evalwire.reports.variant_table import variant_tables
from evalwire.reports.word_changes import changed_words, excerpt

if TYPE_CHECKING:
    import jinja2

    from evalwire.model import Report


_LONGEST_EXCERPT = 260  # characters of an output in a list of examples


def pieces(report: Report) -> Iterator[str]:
    """Yield the report as an HTML page in pieces of about a hundred runs, to limit the memory for a large page.

    The page loads nothing and sends nothing: the content security policy allows only the page's script and style, by
    hash. The runs are compressed in it, and the script unpacks them. Without the script, the worst runs are shown.
    """
    report = with_reachable_pages(report)
    digest = Digest.of(report)
    sections = [Section.of(report, number) for number in range(len(report.results))]
    style = "".join([own_file("style.css"), own_file("trend.css"), *(section.style for section in sections)])
    script = own_file("script.js")
    sections.sort(key=lambda section: section.state == "passed")  # failed experiments first
    has_runs = any(result.runs for result in report.results)
    page = _page().generate(
        report=report,
        sections=sections,
        anchors={section.result.name: section.anchor for section in sections},
        names=", ".join(result.name for result in report.results)[:200] or "evalwire",
        word=digest.word,
        tolerated=summary.tolerated(digest),
        reason=summary.reason(report, digest),
        size=summary.size(report, digest),
        prices_date=prices_date(report),
        has_runs=has_runs,
        resume_command=resume_command(report),
        has_pending_runs=any(result.not_run or result.is_out_of_budget for result in report.results if result.opened),
        has_tokens=any(section.token_count for section in sections),
        rows=runs.static_rows(sections),
        most=runs.MOST_WITHOUT_SCRIPT,
        book=runs.book(sections) if has_runs else None,
        values=Values(),
        style=Markup(style),  # noqa: S704 - evalwire's own
        script=Markup(script),  # noqa: S704 - evalwire's own
        policy=content_policy(style=style, script=script),
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
        author_id=runs.author_id,
        blocks=runs.blocks,
        commit_link=commit_link,
        cost_text=cost_text,
        comparison_link=comparison_link,
        count=count,
        cut=text.cut,
        cut_middle=text.cut_middle,
        duration=numbers.duration,
        end_of_interval=summary.end_of_interval,
        grouped=numbers.grouped,
        isolated=markup.isolated,
        limit_text=limit_text,
        link=link,
        marked=_marked,
        number=numbers.number,
        p_value=numbers.p_value,
        percent=numbers.percent,
        pictures=pictures,
        points=numbers.points,
        pull_request_link=pull_request_link,
        relative=text.relative,
        render=tree.render,
        signed=numbers.signed,
        trend_figures=trend_figures,
        title=runs.title,
        variant_tables=variant_tables,
    ).get_template("page.html")


def _marked(before: str, after: str) -> list[Markup]:
    """Return excerpts of two outputs, in which the words that differ are marked."""
    sides = zip(("del", "ins"), changed_words(before, after), strict=True)
    return [
        Markup().join(
            tree.render(tree.cleaned([mark, "", piece] if is_changed else piece))
            for piece, is_changed in excerpt(words, _LONGEST_EXCERPT)
        )
        for mark, words in sides
    ]


def own_file(name: str) -> str:
    """Return the text of a style or script of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def content_policy(*, style: str, script: str = "") -> str:
    """Return the content security policy of a page, which allows only this script and this style."""
    allowed = f"'{_hash(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
