"""Render failures for the code quality report of a GitLab merge request, at their lines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from evalwire.reports.places import annotations_of
from evalwire.reports.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Report
    from evalwire.reports.places import Annotation, Level

_SEVERITIES: Mapping[Level, str] = {"error": "major", "warning": "minor", "notice": "info"}
_NO_FILE = "evalwire.toml"  # GitLab ignores entries without a file
_LONGEST = 800


def pieces(report: Report) -> list[str]:
    """Return a JSON list with an entry for each annotation."""
    seen: Counter[tuple[str, str]] = Counter()
    return [json.dumps([_entry(annotation, seen) for annotation in annotations_of(report)], indent=1), "\n"]


def _entry(annotation: Annotation, seen: Counter[tuple[str, str]]) -> dict[str, Any]:
    """Return an entry of the list.

    GitLab compares the fingerprints of two branches. They are made without the message, whose numbers change.
    """
    name, path = plain(annotation.title), plain(annotation.file) or _NO_FILE
    seen[name, path] += 1
    key = "\n".join((name, path, str(seen[name, path])))
    return {
        "description": cut(f"{name}: {plain(annotation.message)}", _LONGEST),
        "check_name": name,
        "fingerprint": hashlib.sha256(key.encode()).hexdigest(),
        "severity": _SEVERITIES[annotation.level],
        "location": {"path": path, "lines": {"begin": annotation.line or 1}},
    }
