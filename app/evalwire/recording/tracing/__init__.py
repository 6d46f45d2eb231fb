"""Trace each call of the user's code in its experiment's project."""

from evalwire.recording.tracing.spans import CallSpan
from evalwire.recording.tracing.tracing import Tracing

__all__ = ["CallSpan", "Tracing"]
