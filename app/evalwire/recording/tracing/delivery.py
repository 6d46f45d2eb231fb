"""Delivery of spans in batches, on a thread."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evalwire import clocks

if TYPE_CHECKING:
    from opentelemetry.sdk import trace as trace_sdk

from evalwire.errors import PhoenixUnreachable
from evalwire.recording.tracing.encoding import encode_spans

log = logging.getLogger("evalwire.tracing")

_QUEUE_LIMIT = 20_000  # spans; beyond this limit, the oldest are dropped and counted

_BATCH_SIZE = 256

_BATCH_SECONDS = 15.0  # a span costs Phoenix as much as a record, so batches are large and rare

_TRIES = 5

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.25, 5.0

Deliver = Callable[[bytes, int], int]

_Queued = tuple[str, "trace_sdk.ReadableSpan"]


class Delivery:
    """A bounded queue and a thread that empties it in batches; delivery errors never affect the job.

    Args:
        deliver: a function that sends an OTLP request with a number of spans, and returns the number of rejected spans.
            If it raises `PhoenixUnreachable`, the spans wait until Phoenix is reachable.
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
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_SIZE))]
            kept = self._send(batch, tries)
            self._put_back(kept)
            tries = tries + 1 if kept else 0
            if self._closing_at is not None and (not self._queue or (kept and not self._may_wait())):
                return
            if kept:
                self._pause(tries)

    def _put_back(self, kept: Sequence[_Queued]) -> None:
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

    def _send(self, batch: Sequence[_Queued], tries: int) -> Sequence[_Queued]:
        """Send spans; return the spans that should be sent again.

        While Phoenix is unreachable, spans wait, as records do. After an error response, they are sent a few times.
        """
        readable, request = self._encoded(batch)
        try:
            self.lost += self._deliver(request, len(readable)) if readable else 0
        except Exception as error:
            is_away = isinstance(error, PhoenixUnreachable)
            if is_away or tries < _TRIES - 1:
                return readable
            if not self._complained:
                self._complained = True
                log.warning("spans could not be delivered (%s: %s); the job continues", type(error).__name__, error)
            self.lost += len(readable)
        return ()

    def _encoded(self, batch: Sequence[_Queued]) -> tuple[Sequence[_Queued], bytes]:
        """Return the spans of a batch that can be encoded, and their request; count the other spans as lost."""
        try:
            return batch, encode_spans(batch)
        except Exception:  # a span that user code created
            readable = [entry for entry in batch if self._is_readable(entry)]
            return readable, encode_spans(readable)

    def _is_readable(self, entry: _Queued) -> bool:
        try:
            encode_spans([entry])
        except Exception as error:
            self.lost += 1
            log.debug("a span cannot be read (%s: %s)", type(error).__name__, error)
            return False
        return True
