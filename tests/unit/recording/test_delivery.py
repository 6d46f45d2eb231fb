"""Spans wait while Phoenix is away, as records do; those of evaluators are sent only if they hold something."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import reporting
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as trace_api
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as trace_sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import StatusCode

from evalwire.errors import PhoenixUnreachable
from evalwire.model import Callee, token_count
from evalwire.recording import Tracing
from evalwire.recording.tracing import delivery
from evalwire.recording.tracing.delivery import Delivery
from evalwire.recording.tracing.encoding import PROJECT_NAME, encode_spans

VALUES = st.text(max_size=5) | st.booleans() | st.integers() | st.floats()
VALUES |= st.lists(st.text(max_size=3), max_size=2) | st.lists(st.floats(), max_size=2)

SPANS = [trace_sdk.TracerProvider().get_tracer("t").start_span(f"s{n}") for n in range(600)]


def decoded(request: bytes) -> list[tuple[str, Any]]:
    """The spans of an OTLP request, each with its project."""
    parsed = ExportTraceServiceRequest.FromString(request)
    return [
        (part.resource.attributes[0].value.string_value, span)
        for part in parsed.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


class Server:
    """Takes spans; raises the errors that it is given first, one a request, and that one for ever where it is alone."""

    def __init__(self, *errors: Exception, for_ever: bool = False) -> None:
        self.errors, self.for_ever = list(errors), for_ever
        self.taken: list[str] = []
        self.tries = 0
        self.came_back = threading.Event()

    def deliver(self, request: bytes, count: int) -> int:
        self.tries += 1
        if self.errors:
            raise self.errors[0] if self.for_ever else self.errors.pop(0)
        found = decoded(request)
        assert len(found) == count
        self.taken += [f"{project} {span.name}" for project, span in found]
        self.came_back.set()
        return 0


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(delivery, "_LONGEST_WAIT_SECONDS", 0.002)
    monkeypatch.setattr(delivery, "_BATCH_SECONDS", 0.01)


def delivered(server: Server, count: int, *, flush: float = 5.0) -> Delivery:
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS[:count]:
        found.put("p", span)
    found.close(lambda: flush)
    return found


@pytest.mark.parametrize("outage", [1, 4, 5, 30])
def test_nothing_is_lost_to_an_outage_however_many_tries_it_takes(outage):
    server = Server(*[PhoenixUnreachable("away")] * outage)
    assert delivered(server, 600).lost == 0
    assert sorted(server.taken) == sorted(f"p s{n}" for n in range(600))
    assert server.taken[:3] == ["p s0", "p s1", "p s2"]


def test_an_outage_in_the_midst_of_a_job_ends_before_the_job_does():
    server = Server(*[PhoenixUnreachable("away")] * 8)
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS[:10]:
        found.put("p", span)
    assert server.came_back.wait(5)
    found.close(lambda: 5.0)
    assert (found.lost, len(server.taken)) == (0, 10)


def test_the_end_of_a_job_does_not_wait_for_ever():
    server = Server(PhoenixUnreachable("away"), for_ever=True)
    began = time.monotonic()
    assert delivered(server, 20, flush=0.05).lost == 20
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("error", [ConnectionError("no"), ValueError("HTTP 500")])
def test_what_is_no_outage_is_tried_a_few_times(error, caplog):
    server = Server(error, for_ever=True)
    assert delivered(server, 20).lost == 20
    assert server.tries == 5
    assert "spans could not be delivered" in caplog.text


def test_the_queue_has_a_limit_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(delivery, "_QUEUE_LIMIT", 300)
    server = Server(PhoenixUnreachable("away"), for_ever=True)
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS:
        found.put("p", span)
    server.errors.clear()
    found.close(lambda: 5.0)
    assert found.lost + len(server.taken) == 600
    assert found.lost >= 300 - 256
    assert server.taken[-1] == "p s599"


def test_a_span_that_cannot_be_read_does_not_cost_the_others(caplog):
    """User code may hand over anything that it calls a span."""
    server = Server()
    found = Delivery(server.deliver)
    found.start()
    found.put("p", SPANS[0])
    found.put("p", None)
    found.put("q", SPANS[1])
    found.close(lambda: 5.0)
    assert (found.lost, server.taken) == (1, ["p s0", "q s1"])


# --- encoding ------------------------------------------------------------------------------------------


def test_each_span_is_in_its_project_whatever_its_resource_says():
    provider = trace_sdk.TracerProvider(resource=Resource({PROJECT_NAME: "elsewhere", "service.name": "mine"}))
    own = provider.get_tracer("t").start_span("own")
    found = decoded(encode_spans([("a", own), ("b", SPANS[0]), ("a", SPANS[1])]))
    assert sorted((project, span.name) for project, span in found) == [("a", "own"), ("a", "s1"), ("b", "s0")]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("half \ud800 of a pair", "string_value", "half ? of a pair"),
        (float("nan"), "string_value", "nan"),
        (float("-inf"), "string_value", "-inf"),
        (2**70, "string_value", str(2**70)),
        (2**62, "int_value", 2**62),
        (True, "bool_value", True),
        (0.5, "double_value", 0.5),
        ("ä", "string_value", "ä"),
        (b"\xff", "string_value", "\ufffd"),
    ],
)
def test_an_attribute_that_protobuf_or_json_cannot_contain_is_a_text(value, kind, text):
    span = trace_sdk.TracerProvider().get_tracer("t").start_span("s")
    span.set_attribute("key", value)
    span.add_event("event", {"key": value})
    [(_, found)] = decoded(encode_spans([("p", span)]))
    for attributes in (found.attributes, found.events[0].attributes):
        assert [(one.key, getattr(one.value, kind)) for one in attributes] == [("key", text)]


@given(st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=3), st.text(max_size=5))
def test_whatever_a_span_has_can_be_encoded(attributes, name):
    span = trace_sdk.TracerProvider().get_tracer("t").start_span(name)
    span.set_attributes(attributes)
    span.set_status(StatusCode.ERROR, name)
    [(_, found)] = decoded(encode_spans([("p", span)]))
    assert len(found.attributes) == len(span.attributes)


# --- spans of evaluators -------------------------------------------------------------------------------


@pytest.fixture
def traced():
    """A function that traces a call of an evaluator, and returns the call's span and the names of the sent spans."""
    experiment = reporting.result("e", [], evaluators=()).opened

    def traced(call=lambda: None, *, failure=None, evaluators="auto", after=lambda: None):
        server = Server()
        tracing = Tracing(server.deliver, mask=str, evaluators=evaluators)
        callee = Callee(name="judge", path=Path("judge.py"), function=print, is_async=False)
        with tracing.installed():
            span = tracing.trace(experiment, callee, {"output": 1, "expected": {}})
            span.context.run(call)
            span.finish(output=1, failure=failure)
            span.context.run(after)
        return span, sorted(server.taken)

    return traced


def child() -> None:
    with trace_api.get_tracer("library").start_as_current_span("model") as span:
        span.set_attributes({"openinference.span.kind": "LLM", "llm.token_count.total": 7})


def test_an_evaluators_span_without_content_is_not_sent(traced):
    span, sent = traced()
    assert (span.trace_id, sent, span.usage) == (None, [], ())


def test_an_evaluators_span_with_a_model_call_is_sent(traced):
    span, sent = traced(child)
    assert sent == ["evaluators judge", "evaluators model"]
    assert span.trace_id is not None
    assert token_count(span.usage) == 7


def test_a_failed_evaluators_span_is_sent(traced):
    span, sent = traced(failure=reporting.failure(stage="evaluator"))
    assert sent == ["evaluators judge"]
    assert span.trace_id is not None


def test_all_spans_of_evaluators_are_sent_on_request(traced):
    span, sent = traced(evaluators="all")
    assert sent == ["evaluators judge"]
    assert span.trace_id is not None


def test_a_span_that_ends_after_its_evaluator_brings_the_evaluators_span_along(traced):
    """Code that the evaluator left running: the trace would have no root."""
    _, sent = traced(after=child)
    assert sent == ["evaluators judge", "evaluators model"]


def test_a_span_that_is_open_when_its_evaluator_returns_makes_the_evaluators_span_needed(traced):
    spans = []

    def left_open() -> None:
        spans.append(trace_api.get_tracer("library").start_span("slow"))

    def ended() -> None:
        spans[0].end()

    span, sent = traced(left_open, after=ended)
    assert sent == ["evaluators judge", "evaluators slow"]
    assert span.trace_id is not None
