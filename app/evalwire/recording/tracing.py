"""Spans: one trace for each call of the user's code, in its experiment's project, delivered in batches."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import json
import logging
import math
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as trace_sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from evalwire.model import SpanUsage, Usage, usage_of_spans

if TYPE_CHECKING:
    from evalwire.model import Callee, Failure


log = logging.getLogger("evalwire.recording.tracing")

# Names of the OpenInference semantic conventions, and of OpenTelemetry's for exceptions.
_PROJECT_NAME = "openinference.project.name"

_SPAN_KIND = "openinference.span.kind"

_JSON_TEXT_ATTRIBUTES = ("document.metadata", "llm.prompt_template.variables", "metadata", "tool.parameters")

_QUEUE_LIMIT = 20_000  # spans; beyond it the oldest are dropped and counted

_BATCH_SIZE = 256

_BATCH_SECONDS = 15.0  # Phoenix inserts a span at the cost of a record, so many at once and seldom

_TRIES = 5

_REMEMBERED_TRACES = 50_000  # a span that ends more than this many traces after its own is not routed

Deliver = Callable[[str, Sequence[Mapping[str, Any]]], int]


class Tracing:
    """Traces the job's calls, and delivers every span made under them, whoever's tracer made it.

    Phoenix files a trace under the project of whichever of its spans arrives first. A user's own tracer
    provider (`phoenix.otel.register()` in a task, say) would send its spans to a project of its own and take
    the trace along. So, while a job runs, each SDK span of a trace that the job began has the experiment's
    project as its resource and is delivered here. Its own provider's processors see it too, except those of
    `phoenix.otel`, which would only send it a second time.
    """

    def __init__(self, deliver: Deliver, *, mask: Callable[[str], str] = str) -> None:
        self._delivery = _Delivery(deliver)
        self._mask = mask
        self._projects: OrderedDict[int, str] = OrderedDict()
        self._spans: dict[int, list[SpanUsage]] = {}  # of the calls that run, by trace
        self._resource = Resource({})
        self._provider = trace_sdk.TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        self._processor = _Processor(self._project_of, self._delivery, self._spans)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("evalwire")

    @property
    def lost(self) -> int:
        """How many spans could not be delivered so far."""
        return self._delivery.lost

    @contextlib.contextmanager
    def installed(self, *, flush_seconds: Callable[[], float] = lambda: 10.0) -> Iterator[Tracing]:
        """Route spans to the experiments' projects; afterwards everything is as it was, and delivered.

        Args:
            flush_seconds: asked at the end, as long as it lasts, how long the delivery of what is left may take.
        """
        with _on_each_span_start(self._adopt), _as_global_provider(self._provider):
            self._delivery.start()
            try:
                yield self
            finally:
                self._delivery.close(flush_seconds)

    def trace(self, *, project: str | None, kind: str, callee: Callee, values: Mapping[str, Any]) -> CallSpan:
        """Begin a trace in `project` around one call; spans made in its context are part of it."""
        span = self._tracer.start_span(callee.name, context=Context(), attributes={_SPAN_KIND: kind})
        identity = span.get_span_context()
        if project is not None and identity.is_valid:
            self._projects[identity.trace_id] = project
            if len(self._projects) > _REMEMBERED_TRACES:
                self._projects.popitem(last=False)
            self._spans[identity.trace_id] = []
        given = values["input"] if kind == "CHAIN" else {key: values[key] for key in ("output", "expected")}
        return CallSpan(span, given=given, mask=self._mask, spans=self._spans)

    def _project_of(self, trace_id: int) -> str | None:
        return self._projects.get(trace_id)

    def _adopt(self, span: trace_sdk.Span) -> None:
        """Give a span of another provider the project of the job's trace that it belongs to."""
        if span.resource is self._resource or (identity := span.get_span_context()) is None:
            return
        project = self._project_of(identity.trace_id)
        if project is None:
            return
        own = span._span_processor  # noqa: SLF001 - no public way to add a processor to one span
        parts = getattr(own, "_span_processors", (own,))
        others = [part for part in parts if not type(part).__module__.startswith("phoenix.otel")]
        span._resource = span.resource.merge(Resource({_PROJECT_NAME: project}))  # noqa: SLF001
        span._span_processor = _Fan([self._processor, *others])  # noqa: SLF001


class CallSpan:
    """The span around one call of the user's code.

    Attributes:
        usage: what its LLM spans used, those that ended before the call did; known once it is finished.
    """

    def __init__(
        self,
        span: trace_api.Span,
        *,
        given: Any,
        mask: Callable[[str], str],
        spans: dict[int, list[SpanUsage]] | None = None,
    ) -> None:
        self.usage: Usage | None = None
        self._spans = spans if spans is not None else {}
        identity = span.get_span_context()
        self.trace_id = trace_api.format_trace_id(identity.trace_id) if identity.is_valid else None
        self.context = contextvars.copy_context()
        self.context.run(context_api.attach, trace_api.set_span_in_context(span))
        self._span = span
        self._mask = mask
        self._set_value("input", given)

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """End it with what the call returned, or why it failed."""
        if failure is None:
            self._set_value("output", output)
            self._span.set_status(trace_api.StatusCode.OK)
        else:
            self._span.set_status(trace_api.StatusCode.ERROR, self._mask(str(failure)))
            self._span.add_event(
                "exception",
                {
                    "exception.type": failure.type,
                    "exception.message": self._mask(failure.message),
                    "exception.stacktrace": self._mask(failure.traceback),
                },
            )
        self._span.end()
        seen = self._spans.pop(self._span.get_span_context().trace_id, None)
        self.usage = usage_of_spans(seen) if seen is not None else None

    def _set_value(self, side: str, value: Any) -> None:
        if not self._span.is_recording():
            return
        if isinstance(value, str):
            self._span.set_attribute(f"{side}.value", value)
            return
        try:
            text = json.dumps(value, ensure_ascii=False, default=_to_jsonable)
        except (TypeError, ValueError, RecursionError) as error:  # a span is not worth a run
            text = json.dumps(f"it cannot be shown: {error}")
        self._span.set_attribute(f"{side}.value", text)
        self._span.set_attribute(f"{side}.mime_type", "application/json")


def _to_jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


class _Processor(trace_sdk.SpanProcessor):
    """Queues each ended span of the job's traces."""

    def __init__(
        self,
        project_of: Callable[[int], str | None],
        delivery: _Delivery,
        spans: Mapping[int, list[SpanUsage]],
    ) -> None:
        self._project_of = project_of
        self._delivery = delivery
        self._spans = spans

    def on_end(self, span: trace_sdk.ReadableSpan) -> None:
        identity = span.get_span_context()
        if identity is not None and (project := self._project_of(identity.trace_id)) is not None:
            self._delivery.put(project, span)
            if (seen := self._spans.get(identity.trace_id)) is not None:
                seen.append(_usage_of(span, identity.span_id))


def _usage_of(span: trace_sdk.ReadableSpan, span_id: int) -> SpanUsage:
    """What a span says of tokens and cost, by the OpenInference semantic conventions."""
    attributes, parent_id = span.attributes or {}, span.parent.span_id if span.parent else None
    if attributes.get(_SPAN_KIND) != "LLM":
        return SpanUsage(id=span_id, parent_id=parent_id)

    def number(name: str) -> float | None:
        value = attributes.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number and math.isfinite(value) and value >= 0 else None  # type: ignore[arg-type,operator,return-value]

    def count(name: str) -> int | None:
        value = number(f"llm.token_count.{name}")
        return None if value is None else int(value)

    return SpanUsage(
        id=span_id,
        parent_id=parent_id,
        is_llm=True,
        model=str(attributes.get("llm.model_name") or ""),
        prompt_tokens=count("prompt"),
        completion_tokens=count("completion"),
        total_tokens=count("total"),
        cost_usd=number("llm.cost.total"),
    )


class _Fan(trace_sdk.SpanProcessor):
    """Hands one span to several processors."""

    def __init__(self, processors: Sequence[trace_sdk.SpanProcessor]) -> None:
        self._processors = processors

    def on_start(self, span: trace_sdk.Span, parent_context: Context | None = None) -> None:
        for processor in self._processors:
            processor.on_start(span, parent_context)

    def _on_ending(self, span: trace_sdk.Span) -> None:
        for processor in self._processors:
            processor._on_ending(span)  # noqa: SLF001 - part of the SDK's processor protocol, not yet public

    def on_end(self, span: trace_sdk.ReadableSpan) -> None:
        for processor in self._processors:
            processor.on_end(span)


class _Delivery:
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
        self._thread = threading.Thread(target=self._work, name="evalwire-spans", daemon=True)
        self._thread.start()

    def put(self, project: str, span: trace_sdk.ReadableSpan) -> None:
        if len(self._queue) >= _QUEUE_LIMIT:
            self._queue.popleft()
            self.lost += 1
        self._queue.append((project, span))
        if len(self._queue) == _BATCH_SIZE:
            with self._wake:
                self._wake.notify()

    def close(self, flush_seconds: Callable[[], float]) -> None:
        """Deliver what is queued, for as long as `flush_seconds` says, asked again and again; the rest is lost."""
        began = time.monotonic()
        with self._wake:
            self._closing_at = began + flush_seconds()
            self._wake.notify()
        while self._thread is not None and self._thread.is_alive():
            self._closing_at = began + flush_seconds()
            left = self._closing_at - time.monotonic()
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
                rows.append(_to_row(span))
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
                if attempt == _TRIES - 1 or (self._closing_at or math.inf) < time.monotonic() + pause:
                    break
                time.sleep(pause)
            else:
                return
        self.lost += len(rows)


def _to_row(span: trace_sdk.ReadableSpan) -> dict[str, Any]:
    """A span in the JSON form that the Phoenix client takes."""
    identity, parent = span.get_span_context(), span.parent
    if identity is None:
        raise AssertionError("a span that ended has a context")
    attributes = {key: _to_value(key, value) for key, value in (span.attributes or {}).items()}
    return {
        "name": span.name,
        "context": {
            "trace_id": trace_api.format_trace_id(identity.trace_id),
            "span_id": trace_api.format_span_id(identity.span_id),
        },
        "span_kind": str(attributes.pop(_SPAN_KIND, "UNKNOWN")),
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


_hooks_lock = threading.Lock()

_hooks: list[Callable[[trace_sdk.Span], None]] = []

_start_of_the_sdk = trace_sdk.Span.start


def _start(span: trace_sdk.Span, start_time: int | None = None, parent_context: Context | None = None) -> None:
    for hook in tuple(_hooks):
        hook(span)
    _start_of_the_sdk(span, start_time, parent_context)


@contextlib.contextmanager
def _on_each_span_start(hook: Callable[[trace_sdk.Span], None]) -> Iterator[None]:
    """Call `hook` with each span of any SDK provider before it starts.

    NOTE: providers that exist already and are not the global one can be reached in no public way; the Phoenix
    client's own experiments patch the same class.
    """
    with _hooks_lock:
        _hooks.append(hook)
        trace_sdk.Span.start = _start  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        with _hooks_lock:
            _hooks.remove(hook)
            if not _hooks:
                trace_sdk.Span.start = _start_of_the_sdk  # type: ignore[method-assign]


@contextlib.contextmanager
def _as_global_provider(provider: trace_api.TracerProvider) -> Iterator[None]:
    """Be the global provider for as long as nobody else is.

    Set past `set_tracer_provider`, which works once in a process: the user's own call of it, now or after the
    job, must find its place free.
    """
    job_provider = _JobProvider(provider)
    if trace_api._TRACER_PROVIDER is None:  # noqa: SLF001
        trace_api._TRACER_PROVIDER = job_provider  # noqa: SLF001
    try:
        yield
    finally:
        job_provider.active = False
        if trace_api._TRACER_PROVIDER is job_provider:  # noqa: SLF001
            trace_api._TRACER_PROVIDER = None  # noqa: SLF001


class _JobProvider(trace_api.TracerProvider):
    """The job's provider while it runs; afterwards its tracers are whatever the global provider gives."""

    def __init__(self, provider: trace_api.TracerProvider) -> None:
        self._provider = provider
        self.active = True

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace_api.Tracer:
        return _JobTracer(self, args, kwargs)

    def real_tracer(self, args: Any, kwargs: Any) -> trace_api.Tracer:
        if self.active:
            return self._provider.get_tracer(*args, **kwargs)
        provider = trace_api.get_tracer_provider()
        if provider is self:
            provider = trace_api.NoOpTracerProvider()
        return provider.get_tracer(*args, **kwargs)


class _JobTracer(trace_api.Tracer):
    """Asks anew for each span: instrumented libraries keep their first tracer for ever."""

    def __init__(self, provider: _JobProvider, args: Any, kwargs: Any) -> None:
        self._provider = provider
        self._arguments = (args, kwargs)

    def start_span(self, *args: Any, **kwargs: Any) -> trace_api.Span:
        return self._provider.real_tracer(*self._arguments).start_span(*args, **kwargs)

    @contextlib.contextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[trace_api.Span]:  # type: ignore[override]
        with self._provider.real_tracer(*self._arguments).start_as_current_span(*args, **kwargs) as span:
            yield span
