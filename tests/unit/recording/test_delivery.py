"""Spans wait while Phoenix is away, as records do; those of evaluators are sent only if they hold something."""

from __future__ import annotations

import logging
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

from evalwire import clocks
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
    said = f"spans could not be delivered ({type(error).__name__}: {error}); the job continues"
    assert caplog.messages == [said]


def test_each_batch_has_as_many_tries_and_the_job_is_told_once(caplog):
    """Also the first, and the one after a batch that arrived."""
    server = Server(ValueError("no"), for_ever=True)
    found = Delivery(server.deliver)
    for span in SPANS:
        found.put("p", span)
    found.start()
    found.close(lambda: 5.0)
    assert (found.lost, server.tries, len(caplog.messages)) == (600, 15, 1)

    def deliver(request: bytes, count: int) -> int:
        if server.tries:
            server.errors = [ValueError("no")]
        return server.deliver(request, count)

    server = Server(for_ever=True)
    found = Delivery(deliver)
    for span in SPANS[:300]:
        found.put("p", span)
    found.start()
    found.close(lambda: 5.0)
    assert (found.lost, server.tries, len(server.taken)) == (44, 6, 256)


def test_full_batches_are_sent_at_once_and_others_later(monkeypatch):
    monkeypatch.setattr(delivery, "_BATCH_SECONDS", 30)
    server = Server()
    found = Delivery(server.deliver)
    for span in SPANS[:512]:
        found.put("p", span)
    found.start()
    assert found._thread.daemon
    wait_until(lambda: len(server.taken) == 512)
    for span in SPANS[:256]:
        found.put("p", span)
    wait_until(lambda: len(server.taken) == 768)
    for span in SPANS[:3]:
        found.put("p", span)
        time.sleep(0.02)  # the thread would have the time to send it alone
    found.close(lambda: 5.0)
    assert (server.tries, len(server.taken), found.lost) == (4, 771, 0)


def wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_thread_without_spans_waits(monkeypatch):
    monkeypatch.setattr(delivery, "_BATCH_SECONDS", 30)
    rounds: list[int] = []
    found = Delivery(Server().deliver)
    monkeypatch.setattr(found, "_send", lambda batch, tries: rounds.append(tries) or ())
    found.start()
    time.sleep(0.02)
    found.close(lambda: 5.0)
    assert len(rounds) <= 2


def test_rejected_spans_and_spans_without_a_thread_are_lost():
    found = Delivery(lambda request, count: 2)
    found.start()
    for span in SPANS[:3]:
        found.put("p", span)
    found.close(lambda: 5.0)
    assert found.lost == 2
    never = Delivery(lambda request, count: 0)
    never.put("p", SPANS[0])
    never.close(lambda: 5.0)
    assert never.lost == 1


@pytest.mark.parametrize(("takes", "flush", "is_lost"), [(0.1, 0.9, False), (60, 0.05, True)])
def test_a_request_that_takes_long_is_waited_for_until_the_end(monkeypatch, takes, flush, is_lost):
    """Of spans that wait behind one that never ends, the number is known."""
    monkeypatch.setattr(delivery, "_BATCH_SIZE", 2)
    over, sent = threading.Event(), []

    def deliver(request: bytes, count: int) -> int:
        over.wait(takes)
        sent.append(count)
        return 0

    found = Delivery(deliver)
    for span in SPANS[:3]:
        found.put("p", span)
    found.start()
    began = time.monotonic()
    found.close(lambda: flush)
    assert time.monotonic() - began < 2
    assert (sent, found.lost) == (([], 1) if is_lost else ([2, 1], 0))
    over.set()


def queue_of(found: Delivery) -> str:
    return "".join(project for project, _ in found._queue)


@pytest.mark.parametrize(
    ("waiting", "kept", "queue", "lost"),
    [
        ("", "ab", "ab", 0),
        ("xy", "ab", "abxy", 0),
        ("xyz", "ab", "bxyz", 1),
        ("wxyz", "ab", "wxyz", 2),
        ("xy", "", "xy", 0),
    ],
)
def test_spans_that_could_not_be_sent_are_first_again_and_the_oldest_go_first(monkeypatch, waiting, kept, queue, lost):
    monkeypatch.setattr(delivery, "_QUEUE_LIMIT", 4)
    found = Delivery(Server().deliver)
    for project in waiting:
        found.put(project, SPANS[0])
    found._put_back([(project, SPANS[0]) for project in kept])
    assert (queue_of(found), found.lost) == (queue, lost)
    for project in "1234":
        found.put(project, SPANS[0])
    assert (queue_of(found), found.lost) == ("1234", lost + len(queue))


def test_waits_are_twice_the_last_until_the_job_ends(monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST_WAIT_SECONDS", 0.25)
    monkeypatch.setattr(delivery, "_LONGEST_WAIT_SECONDS", 5.0)
    waits: list[float] = []
    slept: list[float] = []
    found = Delivery(Server().deliver)
    monkeypatch.setattr(found._wake, "wait", waits.append)
    monkeypatch.setattr(delivery.time, "sleep", slept.append)
    assert found._may_wait()
    for tries in (1, 2, 3, 4, 5, 9_999):
        found._pause(tries)
    assert (waits, slept) == ([0.5, 1.0, 2.0, 4.0, 5.0, 5.0], [])
    for left, may_wait in ((10.0, True), (0.3, True), (0.2, False), (-1.0, False)):
        found._closing_at = clocks.monotonic() + left
        assert found._may_wait() is may_wait
    found._pause(3)
    assert (len(waits), slept) == (6, [0.25])


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
    found.put("p", None)
    found.put("q", SPANS[1])
    caplog.set_level(logging.DEBUG)
    found.close(lambda: 5.0)
    assert (found.lost, server.taken) == (2, ["p s0", "q s1"])
    assert set(caplog.messages) == {
        "a span cannot be read (AttributeError: 'NoneType' object has no attribute 'get_span_context')"
    }
    found = Delivery(server.deliver)
    found.start()
    found.put("p", None)
    found.close(lambda: 5.0)
    assert (found.lost, server.tries) == (1, 1)


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
        (2**63, "string_value", str(2**63)),
        (2**63 - 1, "int_value", 2**63 - 1),
        (-(2**63), "int_value", -(2**63)),
        (-(2**63) - 1, "string_value", str(-(2**63) - 1)),
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


def test_a_span_arrives_with_everything_that_it_has():
    tracer = trace_sdk.TracerProvider().get_tracer("t")
    parent = tracer.start_span("parent", start_time=1)
    span = tracer.start_span("child", context=trace_api.set_span_in_context(parent), start_time=2)
    span.add_event("event", {"a": "b"}, timestamp=3)
    span.set_status(StatusCode.ERROR, "why")
    span.end(end_time=4)
    span._attributes = {"nested": {"a": [1, "x", None]}, "none": None}  # as an instrumentation may have it
    [(_, of_parent), (_, found)] = decoded(encode_spans([("p", parent), ("p", span)]))
    identity = span.get_span_context()
    assert int.from_bytes(found.trace_id) == int.from_bytes(of_parent.trace_id) == identity.trace_id
    assert (len(found.trace_id), len(found.span_id), len(found.parent_span_id)) == (16, 8, 8)
    assert int.from_bytes(found.span_id) == identity.span_id
    assert (of_parent.parent_span_id, found.parent_span_id) == (b"", of_parent.span_id)
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (2, 4)
    assert (of_parent.start_time_unix_nano, of_parent.end_time_unix_nano) == (1, 0), "it has not ended"
    assert (found.status.code, found.status.message) == (StatusCode.ERROR.value, "why")
    ((name, at, attributes),) = ((each.name, each.time_unix_nano, each.attributes) for each in found.events)
    assert (name, at, [(each.key, each.value.string_value) for each in attributes]) == ("event", 3, [("a", "b")])
    nested, none = (each.value for each in found.attributes)
    ((key, value),) = ((each.key, each.value) for each in nested.kvlist_value.values)
    one, text, nothing = value.array_value.values
    assert (key, one.int_value, text.string_value) == ("a", 1, "x")
    assert [each.WhichOneof("value") for each in (nothing, none)] == [None, None]


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
