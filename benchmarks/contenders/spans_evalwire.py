"""Processor time to send spans, by the route of evalwire, of Phoenix's client, and of OpenTelemetry's exporter.

A transport in this process answers the requests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from _contender import arguments, report
from opentelemetry import trace as trace_api
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as encode_as_exporter
from opentelemetry.sdk import trace as trace_sdk
from phoenix.client import Client

from evalwire.recording.tracing.encoding import encode_spans

BATCH_SIZE = 256
ROUNDS = 5


def made(count: int) -> list[trace_sdk.Span]:
    """Return ended spans like the spans of tasks, with half a kilobyte of input and of output."""
    tracer = trace_sdk.TracerProvider().get_tracer("bench")
    spans = []
    for n in range(count):
        span = tracer.start_span("task", attributes={"openinference.span.kind": "CHAIN"})
        span.set_attribute("input.value", json.dumps({"n": n, "text": "x" * 500}))
        span.set_attribute("input.mime_type", "application/json")
        span.set_attribute("output.value", "y" * 500)
        span.end()
        spans.append(span)
    return spans


def row(span: trace_sdk.Span) -> dict[str, Any]:
    """Return a span in the form of `log_spans`."""
    identity, attributes = span.get_span_context(), dict(span.attributes or {})
    return {
        "name": span.name,
        "context": {
            "trace_id": trace_api.format_trace_id(identity.trace_id),
            "span_id": trace_api.format_span_id(identity.span_id),
        },
        "span_kind": attributes.pop("openinference.span.kind"),
        "parent_id": None,
        "start_time": datetime.fromtimestamp((span.start_time or 0) / 1e9, tz=UTC).isoformat(),
        "end_time": datetime.fromtimestamp((span.end_time or 0) / 1e9, tz=UTC).isoformat(),
        "status_code": span.status.status_code.name,
        "status_message": "",
        "attributes": attributes,
        "events": [],
    }


def timed(send: Callable[[Sequence[trace_sdk.Span]], object], spans: Sequence[trace_sdk.Span]) -> float:
    """Return the least processor time of several rounds, in microseconds for each span."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for start in range(0, len(spans), BATCH_SIZE):
            send(spans[start : start + BATCH_SIZE])
        found.append(time.process_time() - began)
    return min(found) / len(spans) * 1e6


def main() -> None:
    """Send the same spans by each route."""
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"total_received": 0, "total_queued": 0}))
    http = httpx.Client(base_url="http://bench", transport=answer)
    client = Client(http_client=http)
    spans = made(arguments()["spans"])
    routes: dict[str, Callable[[Sequence[trace_sdk.Span]], object]] = {
        "evalwire": lambda batch: http.post("v1/traces", content=encode_spans([("p", span) for span in batch])),
        "client": lambda batch: client.spans.log_spans(project_identifier="p", spans=list(map(row, batch)), timeout=9),
        "exporter": lambda batch: http.post("v1/traces", content=encode_as_exporter(batch).SerializeToString()),
    }
    report("evalwire", **{name: timed(send, spans) for name, send in routes.items()})


main()
