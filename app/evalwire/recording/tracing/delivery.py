"""Delivery of spans in batches, on a thread."""

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

from evalwire.errors import PhoenixUnreachable
from evalwire.recording.tracing.spans import SPAN_KIND

log = logging.getLogger("evalwire.tracing")

_JSON_TEXT_ATTRIBUTES = ("document.metadata", "llm.prompt_template.variables", "metadata", "tool.parameters")

_QUEUE_LIMIT = 20_000  # spans; beyond this limit, the oldest are dropped and counted

_BATCH_SIZE = 256

_BATCH_SECONDS = 15.0  # a span costs Phoenix as much as a record, so batches are large and rare

_TRIES = 5

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.25, 5.0

Deliver = Callable[[str, Sequence[Mapping[str, Any]]], int]


class Delivery:
    """A bounded queue and a thread that empties it in batches; delivery errors never affect the job.

    Args:
        deliver: a function that sends spans to a project and returns the number of rejected spans. If it raises
            `PhoenixUnreachable`, the spans wait until Phoenix is reachable.
    """

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
        """Queue a span for a project; drop the oldest span if the queue is full."""
        if len(self._queue) >= _QUEUE_LIMIT:
            self._queue.popleft()
            self.lost += 1
        self._queue.append((project, span))
        if len(self._queue) == _BATCH_SIZE:
            with self._wake:
                self._wake.notify()

    def close(self, flush_seconds: Callable[[], float]) -> None:
        """Deliver the queued spans until `flush_seconds`, which is called repeatedly, have passed; drop the rest."""
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
        tries = 0  # attempts to send the current spans
        while True:
            with self._wake:
                if self._closing_at is None and len(self._queue) < _BATCH_SIZE and not tries:
                    self._wake.wait(_BATCH_SECONDS)
            batch: defaultdict[str, list[trace_sdk.ReadableSpan]] = defaultdict(list)
            for _ in range(min(len(self._queue), _BATCH_SIZE)):
                project, span = self._queue.popleft()
                batch[project].append(span)
            kept = [(project, span) for project, spans in batch.items() for span in self._send(project, spans, tries)]
            self._put_back(kept)
            tries = tries + 1 if kept else 0
            if self._closing_at is not None and (not self._queue or (kept and not self._may_wait())):
                return
            if kept:
                self._pause(tries)

    def _put_back(self, kept: Sequence[tuple[str, trace_sdk.ReadableSpan]]) -> None:
        """Return unsent spans to the front of the queue; drop the oldest if there is no room."""
        room = max(0, _QUEUE_LIMIT - len(self._queue))
        self.lost += max(0, len(kept) - room)
        self._queue.extendleft(reversed(kept[len(kept) - room :] if room < len(kept) else kept))

    def _may_wait(self) -> bool:
        return (self._closing_at or math.inf) > clocks.monotonic() + _FIRST_WAIT_SECONDS

    def _pause(self, tries: int) -> None:
        """Wait before the next attempt; at the end of the job, wait only briefly, because little time is left."""
        with self._wake:
            if self._closing_at is None:
                self._wake.wait(min(_FIRST_WAIT_SECONDS * 2 ** min(tries, 10), _LONGEST_WAIT_SECONDS))
        if self._closing_at is not None:
            time.sleep(_FIRST_WAIT_SECONDS)

    def _send(
        self, project: str, spans: Sequence[trace_sdk.ReadableSpan], tries: int
    ) -> Sequence[trace_sdk.ReadableSpan]:
        """Send spans; return the spans that should be sent again.

        While Phoenix is unreachable, spans wait, as records do. After an error response, they are sent a few times.
        """
        readable, rows = [], []
        for span in spans:
            try:
                rows.append(span_row(span))
                readable.append(span)
            except Exception as error:  # a span that user code created
                self.lost += 1
                log.debug("a span cannot be read (%s: %s)", type(error).__name__, error)
        try:
            self.lost += self._deliver(project, rows)
        except Exception as error:
            is_away = isinstance(error, PhoenixUnreachable)
            if is_away or tries < _TRIES - 1:
                return readable
            if not self._complained:
                self._complained = True
                log.warning("spans could not be delivered (%s: %s); the job continues", type(error).__name__, error)
            self.lost += len(rows)
        return ()


def span_row(span: trace_sdk.ReadableSpan) -> dict[str, Any]:
    """Convert a span to the JSON form that the Phoenix client accepts.

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
    """Convert an attribute to JSON; parse the OpenInference attributes that have JSON as text."""
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
