"""Encoding of spans as OTLP, the protocol of OpenTelemetry, in protobuf.

The messages are OpenTelemetry's own. Filling them here takes a quarter of the time of its exporter, which creates each
message separately, and encodes values that its exporter drops.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalwire.loading import load

if TYPE_CHECKING:
    from opentelemetry.sdk import trace as trace_sdk

PROJECT_NAME = "openinference.project.name"  # of the resource, from the OpenInference semantic conventions


def encode_spans(spans: Sequence[tuple[str, trace_sdk.ReadableSpan]]) -> bytes:
    """Return an OTLP request with spans, each with the name of its project.

    Raises:
        Exception: a span that user code created cannot be read.
    """
    request = _new_request()()
    by_project: dict[str, Any] = {}
    for project, span in spans:
        if project not in by_project:
            of_project = request.resource_spans.add()
            _put_attributes(of_project.resource.attributes, {PROJECT_NAME: project})
            by_project[project] = of_project.scope_spans.add().spans
        _add_span(by_project[project], span)
    body: bytes = request.SerializeToString()
    return body


@functools.cache
def _new_request() -> Callable[[], Any]:
    """Return the class of requests; importing it takes 0.1 s, which a job spends on the thread of the delivery."""
    found: Callable[[], Any]
    found = load("opentelemetry.proto.collector.trace.v1.trace_service_pb2").ExportTraceServiceRequest
    return found


def _add_span(spans: Any, span: trace_sdk.ReadableSpan) -> None:
    identity, parent, status = span.get_span_context(), span.parent, span.status
    if identity is None:
        raise ValueError("the span has no context")
    added = spans.add(
        trace_id=identity.trace_id.to_bytes(16),
        span_id=identity.span_id.to_bytes(8),
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
    )
    _put_text(added, "name", span.name)
    if parent is not None:
        added.parent_span_id = parent.span_id.to_bytes(8)
    _put_attributes(added.attributes, span.attributes)
    for event in span.events:
        happened = added.events.add(time_unix_nano=event.timestamp)
        _put_text(happened, "name", event.name)
        _put_attributes(happened.attributes, event.attributes)
    added.status.code = status.status_code.value
    if status.description:
        _put_text(added.status, "message", status.description)


def _put_attributes(added: Any, attributes: Mapping[str, Any] | None) -> None:
    for key, value in (attributes or {}).items():
        attribute = added.add()
        _put_text(attribute, "key", key)
        _put_value(attribute.value, value)


def _put_value(message: Any, value: Any) -> None:
    """Set the value of an attribute.

    A value that protobuf or Phoenix's JSON cannot contain becomes a text: bytes, integers of more than 64 bits, NaN and
    infinity.
    """
    if isinstance(value, str):
        _put_text(message, "string_value", value)
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        message.int_value = value
    elif isinstance(value, float) and math.isfinite(value):
        message.double_value = value
    elif isinstance(value, Mapping):
        message.kvlist_value.SetInParent()
        _put_attributes(message.kvlist_value.values, value)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        message.array_value.SetInParent()
        for item in value:
            _put_value(message.array_value.values.add(), item)
    elif value is not None:
        _put_text(message, "string_value", value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _put_text(message: Any, field: str, text: str) -> None:
    """Set a text; halves of surrogate pairs become question marks."""
    try:
        setattr(message, field, text)
    except UnicodeEncodeError:
        setattr(message, field, text.encode(errors="replace").decode())
