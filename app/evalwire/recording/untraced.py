"""Tracing without effect, for dry runs, which write nothing to Phoenix."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model import Callee, Failure, OpenExperiment, Usage


class NoTracing:
    """Starts traces that are not delivered."""

    lost = 0

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> NoTrace:
        """Start a trace that is not delivered."""
        del opened, callee, values
        return NoTrace()


class NoTrace:
    """The trace of an untraced call: it has a context but not an ID."""

    def __init__(self) -> None:
        self.trace_id: str | None = None
        self.context = contextvars.copy_context()
        self.usage: Usage | None = None

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """Do nothing."""
