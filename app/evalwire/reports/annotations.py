"""Render GitHub workflow commands, which show failures on the lines of the user's files in a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalwire.reports.places import Annotation, annotations_of
from evalwire.reports.text import (
    CONTROLS,
    DIRECTIONS,
    LINE_SEPARATORS,
    WHITE_CONTROLS,
    cut,
    replace_unsafe,
    single_line,
)

if TYPE_CHECKING:
    from evalwire.model import Report
    from evalwire.reports.places import Level

_LONGEST_TITLE = 120
_LONGEST_MESSAGE = 800

_UNSAFE = re.compile(f"[{WHITE_CONTROLS}{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}]")
_OTHER_COMMAND = re.compile(r"##(?=\w*\[)")  # `##[...]` and `##vso[...]` are commands anywhere in a line


def pieces(report: Report) -> list[str]:
    """Return the commands, each with a line end."""
    return [f"{line}\n" for line in lines(report)]


def lines(report: Report) -> list[str]:
    """Return the commands."""
    return list(map(_command, annotations_of(report)))


def message(level: Level, text: str) -> str:
    """Return the command that shows a message without a place."""
    return _command(Annotation(level=level, title="evalwire", message=text))


def _command(annotation: Annotation) -> str:
    properties = []
    if annotation.file:
        properties = [f"file={_property(_plain(annotation.file))}", f"line={annotation.line or 1}"]
    properties.append(f"title={_property(cut(_plain(annotation.title), _LONGEST_TITLE))}")
    message = "\n".join([cut(_plain(annotation.message), _LONGEST_MESSAGE), *map(_plain, annotation.details)])
    return f"::{annotation.level} {','.join(properties)}::{_data(message)}"


def _plain(text: str) -> str:
    return _OTHER_COMMAND.sub("## ", single_line(replace_unsafe(_UNSAFE, text)))


def _data(text: str) -> str:
    """Return text escaped for the part after the second `::`."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Return text escaped for the value of `name=value`."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
