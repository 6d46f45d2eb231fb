"""Write test suites as JUnit XML."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from evalwire.reports.text import CONTROLS, DIRECTIONS, NOT_XML, cut, in_one_line, whole

Kind = Literal["passed", "failure", "error", "skipped"]

# GitLab takes no file above 30 MB: texts are shortened, and left out where a large job's file has enough of them.
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 500
_MOST_RED_TEXT = 8_000_000
_MOST_OTHER_TEXT = 6_000_000

_UNSAFE = re.compile(f"[{CONTROLS}{DIRECTIONS}{NOT_XML}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case; its texts are made when they are written."""

    group: str
    name: str
    kind: Kind = "passed"
    type: str = ""
    message: str = ""
    body: Callable[[], str] | None = None
    said: Callable[[], str] | None = None
    file: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The cases of one experiment."""

    name: str
    seconds: float
    cases: Callable[[], Iterator[Case]]
    properties: dict[str, str] = field(default_factory=dict)


def write_suites(
    suites: Sequence[Suite], tallies: Sequence[Counter[Kind]], *, seconds: float, started_at: datetime
) -> Iterator[str]:
    """Return suites as XML, case by case; a tally counts the cases of its suite by their kinds."""
    total = sum(tallies, Counter[Kind]())
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield (
        f'<testsuites name="evalwire" tests="{total.total()}" failures="{total["failure"]}" '
        f'errors="{total["error"]}" time="{seconds:.3f}">\n'
    )
    writer = _Writer()
    began = started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for suite, tally in zip(suites, tallies, strict=True):
        yield (
            f'  <testsuite name="{_attribute(suite.name)}" tests="{tally.total()}" failures="{tally["failure"]}" '
            f'errors="{tally["error"]}" skipped="{tally["skipped"]}" time="{suite.seconds:.3f}" timestamp="{began}">\n'
        )
        if suite.properties:
            yield "    <properties>\n"
            for name, value in suite.properties.items():
                yield f'      <property name="{_attribute(name)}" value="{_attribute(value)}"/>\n'
            yield "    </properties>\n"
        for case in suite.cases():
            yield writer.text(suite, case)
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


class _Writer:
    """Writes cases, each under a name of its own, with as much text as there is room for."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], int] = {}  # and how often each was asked for
        self._red_left = _MOST_RED_TEXT
        self._other_left = _MOST_OTHER_TEXT

    def text(self, suite: Suite, case: Case) -> str:
        """Return a case as XML."""
        classname = _attribute(f"{suite.name}.{case.group}", _LONGEST_NAME)
        attributes = f'classname="{classname}" name="{self._own_name(classname, case.name)}"'
        if case.file:
            attributes += f' file="{_attribute(case.file)}"'
        attributes += f' time="{max(case.seconds, 0):.3f}"'
        inner = ""
        if case.kind != "passed":
            body = self._text_for_red(case.body) if case.body else ""
            kind = f' type="{_attribute(case.type)}"' if case.type else ""
            start = f'      <{case.kind}{kind} message="{_attribute(case.message)}"'
            inner += f"{start}>{body}</{case.kind}>\n" if body else f"{start}/>\n"
        if case.said and self._other_left > 0 and (said := _element(case.said())):
            self._other_left -= len(said)
            inner += f"      <system-out>{said}</system-out>\n"
        return f"    <testcase {attributes}>\n{inner}    </testcase>\n" if inner else f"    <testcase {attributes}/>\n"

    def _own_name(self, classname: str, name: str) -> str:
        plain = own = _attribute(name, _LONGEST_NAME)
        while number := self._names.get((classname, own), 0):
            self._names[classname, own] = number + 1
            own = f"{plain} ({number + 1})"
        self._names[classname, own] = 1
        return own

    def _text_for_red(self, body: Callable[[], str]) -> str:
        if self._red_left <= 0:
            return "More is in results.json."
        text = _element(body())
        self._red_left -= len(text)
        return text


def _element(text: str) -> str:
    """Return text as an element's content."""
    return html.escape(_fit(text.replace("\r\n", "\n").replace("\r", "\n")), quote=False)


def _attribute(text: str, length: int = _LONGEST_MESSAGE) -> str:
    """Return text as an attribute's value, on one line."""
    return html.escape(cut(_fit(in_one_line(text)), length))


def _fit(text: str) -> str:
    return _UNSAFE.sub("\ufffd", whole(text))
