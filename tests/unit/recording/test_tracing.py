"""Spans around calls, spans of other providers in them, the usage in spans, and OpenTelemetry after a job."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import reporting
from in_process import own_tracer_provider
from opentelemetry import trace as trace_api
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as trace_sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import StatusCode
from recording_seams import evaluator, experiment, opened

from evalwire.model.usage import SpanUsage
from evalwire.recording import Tracing
from evalwire.recording.tracing import spans, tracing
from evalwire.recording.tracing.hooks import as_global_provider, on_each_span_start
from evalwire.recording.tracing.spans import _usage_of

TASK = evaluator("task")
JUDGE = evaluator("judge")
OPENED = opened(experiment=replace(experiment(evaluators=()), task=TASK, evaluators=(JUDGE,)), project_name="P")
VALUES = {"input": {"q": "ü"}, "output": "said", "expected": {"a": 1}, "metadata": {"m": 1}}


@pytest.fixture(autouse=True)
def _no_provider():
    with own_tracer_provider():
        yield


class Sent:
    """The spans that arrive, each with its project."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []

    def deliver(self, request: bytes, count: int) -> int:
        for part in ExportTraceServiceRequest.FromString(request).resource_spans:
            project = part.resource.attributes[0].value.string_value
            self.spans += [(project, span) for scope in part.scope_spans for span in scope.spans]
        return 0

    @property
    def names(self) -> list[tuple[str, str]]:
        return sorted((project, span.name) for project, span in self.spans)

    def attributes(self, name: str) -> dict[str, Any]:
        (span,) = (span for _, span in self.spans if span.name == name)
        return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@contextlib.contextmanager
def traced(sent, **options):
    with Tracing(sent.deliver, mask=lambda text: text.replace("secret", "***"), **options).installed() as found:
        yield found


def test_the_span_of_a_task_has_its_input_and_output_in_the_experiments_project():
    sent = Sent()
    with traced(sent) as tracing, trace_api.get_tracer("t").start_as_current_span("around"):
        call = tracing.trace(OPENED, TASK, VALUES)
        call.finish(output="said")
    ((project, span),) = sent.spans
    assert (project, span.name, span.status.code, span.parent_span_id) == ("P", "task", StatusCode.OK.value, b"")
    assert sent.attributes("task") == {
        "openinference.span.kind": "CHAIN",
        "input.value": '{"q": "ü"}',
        "input.mime_type": "application/json",
        "output.value": "said",
    }
    assert (call.trace_id, call.usage) == (span.trace_id.hex(), ())


def test_the_span_of_an_evaluator_has_the_output_and_what_was_expected():
    sent = Sent()
    with traced(sent, evaluators="all") as tracing:
        tracing.trace(OPENED, JUDGE, VALUES).finish(output=1.0)
    assert sent.names == [("evaluators", "judge")]
    found = sent.attributes("judge")
    assert found["openinference.span.kind"] == "EVALUATOR"
    assert json.loads(found["input.value"]) == {"output": "said", "expected": {"a": 1}}
    assert (found["output.value"], found["output.mime_type"]) == ("1.0", "application/json")


def test_the_span_of_a_failed_call_has_the_failure_without_secrets():
    sent = Sent()
    failure = reporting.failure(type="KeyError", message="the secret", traceback="in secret.py")
    with traced(sent) as tracing:
        tracing.trace(OPENED, TASK, VALUES).finish(failure=failure)
    ((_, span),) = sent.spans
    assert span.status.code == StatusCode.ERROR.value
    assert span.status.message.startswith("KeyError: the ***")
    ((name, attributes),) = ((each.name, each.attributes) for each in span.events)
    assert (name, {each.key: each.value.string_value for each in attributes}) == (
        "exception",
        {"exception.type": "KeyError", "exception.message": "the ***", "exception.stacktrace": "in ***.py"},
    )
    assert "output.value" not in sent.attributes("task")


@dataclass
class Answer:
    text: str


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": Answer("x")}, {"a": {"text": "x"}}),
        (Answer, str(Answer)),
        ([object], ["<class 'object'>"]),
        (None, None),
        (LOOP, "cannot be shown: Circular reference detected"),
        ({(1, 2): 3}, "cannot be shown: keys must be str, int, float, bool or None, not tuple"),
    ],
)
def test_whatever_a_call_receives_is_shown_and_fails_no_run(value, shown):
    sent = Sent()
    with traced(sent) as tracing:
        tracing.trace(OPENED, TASK, {"input": value}).finish(output=value)
    found = sent.attributes("task")
    assert [json.loads(found[name]) for name in ("input.value", "output.value")] == [shown] * 2


def test_calls_of_an_experiment_without_a_project_are_not_sent_and_their_usage_is_not_known():
    sent = Sent()
    with traced(sent) as tracing:
        call = tracing.trace(replace(OPENED, project_name=None), TASK, VALUES)
        call.context.run(model_call)
        call.finish(output=1)
    assert (sent.spans, call.usage) == ([], None)


def test_calls_of_an_experiment_that_is_not_recorded_may_have_a_project():
    sent = Sent()
    with traced(sent, unrecorded_project="local") as tracing:
        call = tracing.trace(replace(OPENED, project_name=None), TASK, VALUES)
        call.context.run(model_call)
        call.finish(output=1)
    assert {project for project, _ in sent.spans} == {"local"}
    assert call.usage is not None


@pytest.mark.parametrize(
    ("name", "value", "is_sent"), [("OTEL_SDK_DISABLED", "true", False), ("OTEL_TRACES_SAMPLER", "always_off", True)]
)
def test_settings_of_opentelemetry(monkeypatch, name, value, is_sent):
    """A disabled SDK has no spans; a sampler of the user's is for the user's own spans."""
    monkeypatch.setenv(name, value)
    sent = Sent()
    with traced(sent) as tracing:
        call = tracing.trace(OPENED, TASK, VALUES)
        call.finish(output=1)
    assert (call.trace_id is not None, len(sent.spans)) == (is_sent, int(is_sent))
    assert call.usage == (() if is_sent else None)


def model_call() -> None:
    with trace_api.get_tracer("library").start_as_current_span("model") as span:
        span.set_attributes({"openinference.span.kind": "LLM", "llm.token_count.total": 7})


def test_the_projects_of_old_traces_are_forgotten(monkeypatch):
    monkeypatch.setattr(tracing, "_REMEMBERED_TRACES", 2)
    sent = Sent()
    with traced(sent) as found:
        calls = [found.trace(replace(OPENED, project_name=f"P{n}"), TASK, VALUES) for n in range(3)]
        for call in calls:
            call.finish(output=1)
    assert sent.names == [("P1", "task"), ("P2", "task")]


def test_spans_of_evaluators_without_content_are_kept_for_a_while(monkeypatch):
    """The newest of them are sent with what code that they left running ends later."""
    monkeypatch.setattr(spans, "_MOST_KEPT", 1)
    sent = Sent()
    with traced(sent) as found:
        calls = [found.trace(OPENED, replace(JUDGE, name=f"judge {n}"), VALUES) for n in range(2)]
        for call in calls:
            call.finish(output=1)
        for call in calls:
            call.context.run(model_call)
    assert sent.names == [("evaluators", "judge 1"), ("evaluators", "model"), ("evaluators", "model")]


# --- spans of other providers --------------------------------------------------------------------------


class Processor(trace_sdk.SpanProcessor):
    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def on_start(self, span, parent_context=None):
        self.told.append(
            ("start", span.name, trace_api.get_current_span(parent_context).name if parent_context else "")
        )

    def _on_ending(self, span):
        self.told.append(("ending", span.name))

    def on_end(self, span):
        self.told.append(("end", span.name, *sorted(span.resource.attributes.values())))


class OfPhoenix(Processor):
    """A processor that would send the span a second time."""


OfPhoenix.__module__ = "phoenix.otel.otel"


@pytest.mark.parametrize("is_single", [False, True])
def test_spans_of_a_users_provider_are_in_the_project_and_reach_its_processors(is_single):
    """Not those of Phoenix, which would send them to another project; spans outside of calls stay as they are."""
    sent, own, phoenixs = Sent(), Processor(), OfPhoenix()
    resource = Resource({"service.name": "mine"})
    provider = trace_sdk.TracerProvider(resource=resource, active_span_processor=own if is_single else None)
    if not is_single:
        for each in (own, phoenixs):
            provider.add_span_processor(each)
    tracer = provider.get_tracer("mine")

    def inside() -> None:
        context = trace_api.set_span_in_context(trace_api.get_current_span())
        tracer.start_span("inside", context=context).end()

    with traced(sent) as tracing:
        tracer.start_span("outside").end()
        call = tracing.trace(OPENED, TASK, VALUES)
        call.context.run(inside)
        call.finish(output=1)
    assert sent.names == [("P", "inside"), ("P", "task")]
    assert own.told == [
        ("start", "outside", ""),
        ("ending", "outside"),
        ("end", "outside", "mine"),
        ("start", "inside", "task"),
        ("ending", "inside"),
        ("end", "inside", "P", "mine"),
    ]
    seen = [] if is_single else ["start", "ending", "end"]
    assert [told[:2] for told in phoenixs.told] == [(what, "outside") for what in seen]
    assert {part.span_id for _, part in sent.spans if part.name == "task"} == {
        part.parent_span_id for _, part in sent.spans if part.name == "inside"
    }
    assert call.usage == ()


# --- usage ---------------------------------------------------------------------------------------------

LLM = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
COUNTS = {"llm.token_count.prompt": 2, "llm.token_count.completion": 3, "llm.token_count.total": 5}


def span(attributes: Any, *events: tuple[str, Any], parent: int | None = 7) -> Any:
    return SimpleNamespace(
        attributes=attributes,
        events=[SimpleNamespace(name=name, attributes=about) for name, about in events],
        parent=parent and SimpleNamespace(span_id=parent),
    )


def used(**fields: Any) -> SpanUsage:
    return SpanUsage(**{"id": 9, "parent_id": 7, "is_llm": True, "model": "m", **fields})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (span(None, parent=None), SpanUsage(id=9)),
        (span({**COUNTS, "openinference.span.kind": "CHAIN"}), SpanUsage(id=9, parent_id=7)),
        (span({"openinference.span.kind": "LLM"}), used(model="")),
        (
            span({**LLM, **COUNTS, "llm.cost.total": 0.5}),
            used(prompt_tokens=2, completion_tokens=3, total_tokens=5, cost_usd=0.5),
        ),
        (span({**LLM, "llm.token_count.total": 5.0, "llm.cost.total": 0}), used(total_tokens=5, cost_usd=0)),
        *[
            (span({**LLM, "llm.token_count.total": wrong, "llm.cost.total": wrong}), used())
            for wrong in (True, "5", -1, math.nan, math.inf, None)
        ],
    ],
)
def test_the_usage_of_a_span_is_that_of_the_conventions(given, expected):
    assert _usage_of(given, 9) == expected


@pytest.mark.parametrize(
    ("event", "is_refused"),
    [
        (("exception", {"exception.type": "openai.RateLimitError"}), True),
        (("exception", {"exception.type": "anthropic.OverloadedError"}), True),
        (("exception", {"exception.type": "openai.APITimeoutError"}), False),
        (("retry", {"exception.type": "openai.RateLimitError"}), False),
        (("exception", {"exception.type": 429}), False),
        (("exception", {}), False),
        (("exception", None), False),
    ],
)
def test_a_call_that_its_provider_refused_used_nothing(event, is_refused):
    assert _usage_of(span(LLM, ("other", None), event), 9) == used(is_refused=is_refused)


# --- OpenTelemetry after a job -------------------------------------------------------------------------


def test_spans_are_seen_before_they_start_by_each_job_that_runs():
    start = trace_sdk.Span.start
    seen: list[tuple[str, str, int | None]] = []
    tracer = trace_sdk.TracerProvider().get_tracer("t")

    def hook(job: str) -> Any:
        return lambda span: seen.append((job, span.name, span.start_time))

    first, second = on_each_span_start(hook("a")), on_each_span_start(hook("b"))
    with first:
        with second:
            tracer.start_span("both", start_time=5)
        child = tracer.start_span("one", start_time=6)
    tracer.start_span("none")
    assert seen == [("a", "both", None), ("b", "both", None), ("a", "one", None)]
    assert child.start_time == 6
    assert trace_sdk.Span.start is start


def provider_of(name: str) -> trace_sdk.TracerProvider:
    return trace_sdk.TracerProvider(resource=Resource({"of": name}), shutdown_on_exit=False)


def of(span: Any) -> str:
    return str(span.resource.attributes["of"]) if span.is_recording() else "none"


def test_tracers_of_the_job_are_those_of_the_user_after_it():
    """Instrumented libraries keep their first tracer."""
    with as_global_provider(provider_of("job")):
        tracer = trace_api.get_tracer_provider().get_tracer("library", "1.0", schema_url="http://schema")
        during = tracer.start_span("s", attributes={"a": 1})
        with tracer.start_as_current_span("s", attributes={"b": 2}) as current:
            assert trace_api.get_current_span() is current
    assert (of(during), dict(during.attributes), dict(current.attributes)) == ("job", {"a": 1}, {"b": 2})
    scope = during.instrumentation_scope
    assert (scope.name, scope.version, scope.schema_url) == ("library", "1.0", "http://schema")
    assert of(tracer.start_span("s")) == "none"
    trace_api.set_tracer_provider(provider_of("user"))
    after = tracer.start_span("s", attributes={"a": 1})
    assert (of(after), after.instrumentation_scope, dict(after.attributes)) == ("user", scope, {"a": 1})


def test_a_provider_that_the_user_sets_is_kept_during_the_job_and_after_it():
    with as_global_provider(provider_of("job")):
        trace_api.set_tracer_provider(user := provider_of("user"))
        assert trace_api.get_tracer_provider() is user
    assert trace_api.get_tracer_provider() is user
    with as_global_provider(provider_of("job")):
        assert trace_api.get_tracer_provider() is user
    assert trace_api.get_tracer_provider() is user


def test_without_a_provider_of_the_user_there_is_none_after_the_job():
    with pytest.raises(KeyError), as_global_provider(provider_of("job")):
        provider = trace_api.get_tracer_provider()
        raise KeyError
    assert trace_api._TRACER_PROVIDER is None
    trace_api._TRACER_PROVIDER = provider  # by code that kept it
    assert of(provider.get_tracer("t").start_span("s")) == "none"
