"""Write test suites as JUnit XML."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from evalwire.reports.text import CONTROLS, DIRECTIONS, NOT_XML, cut, single_line, whole

Kind = Literal["passed", "failure", "error", "skipped"]

# GitLab rejects files above 30 MB, so texts are shortened, and omitted from the file of a very large job.
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 500
_MOST_FAILURE_TEXT = 8_000_000
_MOST_OTHER_TEXT = 6_000_000

_PLAIN_ELEMENT = re.compile(r"[\n -%'-;=?-~]*")  # ASCII without controls and `&<>`
_PLAIN_ATTRIBUTE = re.compile(r"[!#-%(-;=?-~]*")  # in addition without quotes and spaces
_UNSAFE = re.compile(f"[{CONTROLS}{DIRECTIONS}{NOT_XML}]")


class Case(NamedTuple):
    """A test case; the texts are built when the case is written."""

    group: str
    name: str
    kind: Kind = "passed"
    type: str = ""
    message: str = ""
    body: Callable[[], str] | None = None
    output: Callable[[], str] | None = None
    file: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The cases of an experiment."""

    name: str
    seconds: float
    cases: Callable[[], Iterator[Case]]
    properties: dict[str, str] = field(default_factory=dict)


def write_suites(
    suites: Sequence[Suite], tallies: Sequence[Counter[Kind]], *, seconds: float, started_at: datetime
) -> Iterator[str]:
    """Yield suites as XML, case by case; a tally has the number of cases of a suite by kind."""
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
    """Writes cases with unique names and limits the total size of their texts."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, int]] = {}  # number of cases by class name and name
        self._failure_left = _MOST_FAILURE_TEXT
        self._other_left = _MOST_OTHER_TEXT

    def text(self, suite: Suite, case: Case) -> str:
        """Return a case as XML."""
        classname = _repeated(f"{suite.name}.{case.group}", _LONGEST_NAME)
        attributes = f'classname="{classname}" name="{self._own_name(classname, case.name)}"'
        if case.file:
            attributes += f' file="{_repeated(case.file)}"'
        attributes += f' time="{max(case.seconds, 0):.3f}"'
        inner = ""
        if case.kind != "passed":
            body = self._failure_text(case.body) if case.body else ""
            kind = f' type="{_attribute(case.type)}"' if case.type else ""
            start = f'      <{case.kind}{kind} message="{_attribute(case.message)}"'
            inner += f"{start}>{body}</{case.kind}>\n" if body else f"{start}/>\n"
        if case.output and self._other_left > 0 and (text := _element(case.output())):
            self._other_left -= len(text)
            inner += f"      <system-out>{text}</system-out>\n"
        return f"    <testcase {attributes}>\n{inner}    </testcase>\n" if inner else f"    <testcase {attributes}/>\n"

    def _own_name(self, classname: str, name: str) -> str:
        plain = own = _attribute(name, _LONGEST_NAME)
        names = self._names.setdefault(classname, {})
        while number := names.get(own, 0):
            names[own] = number + 1
            own = f"{plain} ({number + 1})"
        names[own] = 1
        return own

    def _failure_text(self, body: Callable[[], str]) -> str:
        if self._failure_left <= 0:
            return "See results.json for details."
        text = _element(body())
        self._failure_left -= len(text)
        return text


def _element(text: str) -> str:
    """Return text as the content of an element."""
    if _PLAIN_ELEMENT.fullmatch(text):  # most texts
        return text
    return html.escape(_fit(text.replace("\r\n", "\n").replace("\r", "\n")), quote=False)


def _attribute(text: str, length: int = _LONGEST_MESSAGE) -> str:
    """Return text as the value of an attribute, on a single line."""
    if len(text) <= length and _PLAIN_ATTRIBUTE.fullmatch(text):  # most texts
        return text
    return html.escape(cut(_fit(single_line(text)), length))


_repeated = lru_cache(maxsize=256)(_attribute)


def _fit(text: str) -> str:
    return _UNSAFE.sub("\ufffd", whole(text))
