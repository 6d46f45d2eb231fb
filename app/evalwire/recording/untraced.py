"""Trace nothing: a dry run writes nothing to Phoenix."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Callee, Failure, OpenExperiment, Usage


class NoTracing:
    """Begins traces that are delivered nowhere."""

    lost = 0

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> NoTrace:
        """Begin a trace that is delivered nowhere."""
        del opened, callee, values
        return NoTrace()


class NoTrace:
    """The trace of a call that is not traced: it has a context and no ID."""

    def __init__(self) -> None:
        self.trace_id: str | None = None
        self.context = contextvars.copy_context()
        self.usage: Usage | None = None

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """Do nothing."""
