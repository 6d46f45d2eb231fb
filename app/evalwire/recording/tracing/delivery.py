"""Deliver spans in batches, on a thread."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api

from evalwire import clocks

if TYPE_CHECKING:
    from opentelemetry.sdk import trace as trace_sdk

from evalwire.recording.tracing.spans import SPAN_KIND

log = logging.getLogger("evalwire.tracing")

_JSON_TEXT_ATTRIBUTES = ("document.metadata", "llm.prompt_template.variables", "metadata", "tool.parameters")

_QUEUE_LIMIT = 20_000  # spans; beyond it the oldest are dropped and counted

_BATCH_SIZE = 256

_BATCH_SECONDS = 15.0  # Phoenix inserts a span at the cost of a record, so many at once and seldom

_TRIES = 5

Deliver = Callable[[str, Sequence[Mapping[str, Any]]], int]


class Delivery:
    """A bounded queue and a thread that empties it in batches; its troubles never reach the job."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._queue: deque[tuple[str, trace_sdk.ReadableSpan]] = deque()
        self._wake = threading.Condition()
        self._closing_at: float | None = None
        self._thread: threading.Thread | None = None
        self._complained = False
        self.lost = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="evalwire-spans", daemon=True)
        self._thread.start()

    def put(self, project: str, span: trace_sdk.ReadableSpan) -> None:
        """Queue a span for a project; drop the oldest when the queue is full."""
        if len(self._queue) >= _QUEUE_LIMIT:
            self._queue.popleft()
            self.lost += 1
        self._queue.append((project, span))
        if len(self._queue) == _BATCH_SIZE:
            with self._wake:
                self._wake.notify()

    def close(self, flush_seconds: Callable[[], float]) -> None:
        """Deliver what is queued, for as long as `flush_seconds` says, asked again and again; the rest is lost."""
        began = clocks.monotonic()
        with self._wake:
            self._closing_at = began + flush_seconds()
            self._wake.notify()
        while self._thread is not None and self._thread.is_alive():
            self._closing_at = began + flush_seconds()
            left = self._closing_at - clocks.monotonic()
            if left <= 0:
                break
            self._thread.join(min(left, 0.1))
        self.lost += len(self._queue)
        self._queue.clear()

    def _work(self) -> None:
        while True:
            with self._wake:
                if self._closing_at is None and len(self._queue) < _BATCH_SIZE:
                    self._wake.wait(_BATCH_SECONDS)
            batch: defaultdict[str, list[trace_sdk.ReadableSpan]] = defaultdict(list)
            for _ in range(min(len(self._queue), _BATCH_SIZE)):
                project, span = self._queue.popleft()
                batch[project].append(span)
            for project, spans in batch.items():
                self._send(project, spans)
            if self._closing_at is not None and not self._queue:
                return

    def _send(self, project: str, spans: Sequence[trace_sdk.ReadableSpan]) -> None:
        rows = []
        for span in spans:
            try:
                rows.append(span_row(span))
            except Exception as error:  # a span of the user's own making
                self.lost += 1
                log.debug("a span cannot be read (%s: %s)", type(error).__name__, error)
        for attempt in range(_TRIES):
            try:
                self.lost += self._deliver(project, rows)
            except Exception as error:
                if not self._complained:
                    self._complained = True
                    log.warning("spans could not be delivered (%s: %s); the run goes on", type(error).__name__, error)
                pause = 0.25 * 2**attempt
                if attempt == _TRIES - 1 or (self._closing_at or math.inf) < clocks.monotonic() + pause:
                    break
                time.sleep(pause)
            else:
                return
        self.lost += len(rows)


def span_row(span: trace_sdk.ReadableSpan) -> dict[str, Any]:
    """Return a span in the JSON form that the Phoenix client takes.

    Raises:
        ValueError: the span has no context.
    """
    identity, parent = span.get_span_context(), span.parent
    if identity is None:
        raise ValueError("the span has no context")
    attributes = {key: _to_value(key, value) for key, value in (span.attributes or {}).items()}
    return {
        "name": span.name,
        "context": {
            "trace_id": trace_api.format_trace_id(identity.trace_id),
            "span_id": trace_api.format_span_id(identity.span_id),
        },
        "span_kind": str(attributes.pop(SPAN_KIND, "UNKNOWN")),
        "parent_id": trace_api.format_span_id(parent.span_id) if parent else None,
        "start_time": _to_time(span.start_time),
        "end_time": _to_time(span.end_time),
        "status_code": span.status.status_code.name,
        "status_message": span.status.description or "",
        "attributes": attributes,
        "events": [
            {
                "name": event.name,
                "timestamp": _to_time(event.timestamp),
                "attributes": {key: _to_value(key, value) for key, value in (event.attributes or {}).items()},
            }
            for event in span.events
        ],
    }


def _to_value(key: str, value: Any) -> Any:
    """An attribute as JSON; some OpenInference attributes are JSON written as text, and are read here."""
    if isinstance(value, str):
        text = value.encode(errors="replace").decode()
        if key.endswith(_JSON_TEXT_ATTRIBUTES) and text[:1] == "{":
            with contextlib.suppress(ValueError):
                return json.loads(text)
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return {str(name): _to_value(str(name), item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_to_value(key, item) for item in value]
    return value


def _to_time(nanoseconds: int | None) -> str:
    return datetime.fromtimestamp((nanoseconds or 0) / 1e9, tz=UTC).isoformat()
