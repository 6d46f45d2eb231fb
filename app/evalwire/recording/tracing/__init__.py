"""Tracing of each call of user code, in the project of its experiment."""

from evalwire.recording.tracing.spans import CallSpan
from evalwire.recording.tracing.tracing import Tracing

__all__ = ["CallSpan", "Tracing"]
