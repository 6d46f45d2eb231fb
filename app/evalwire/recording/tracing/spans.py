"""The span around a call, and the collection of its descendants."""

from __future__ import annotations

import contextvars
import dataclasses
import json
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as trace_sdk

from evalwire.model import SpanUsage, Usage, usage_of_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context

    from evalwire.model import Failure
    from evalwire.recording.tracing.delivery import Delivery

SPAN_KIND = "openinference.span.kind"

_MOST_KEPT = 1_000  # dispensable spans, whose call may have left code running

_REFUSALS = (  # of providers' clients, for HTTP 4xx, 503 and 529
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ResourceExhausted",
    "ServiceUnavailableError",
    "TooManyRequests",
    "UnprocessableEntityError",
)


@dataclasses.dataclass(slots=True)
class OpenTrace:
    """The trace of a running call.

    Attributes:
        ended: the usage in the spans that ended so far.
        has_children: whether a span started in the trace after the span around the call.
        is_dispensable: whether the span around the call holds nothing, so that it waits for a later child.
    """

    ended: list[SpanUsage] = dataclasses.field(default_factory=list)
    has_children: bool = False
    is_dispensable: bool = False


class CallSpan:
    """The span around a call of the user's code.

    Attributes:
        usage: the usage of the LLM spans that ended before the call; set when the call is finished.
        trace_id: the ID of the trace; None without a trace, and after a call whose span is not sent.

    Args:
        span: the span.
        given: the input of the call.
        mask: replaces secrets in failures.
        open_traces: the traces of running calls, by ID.
        is_optional: whether to send the span only if it holds something: other spans, or a failure.
    """

    def __init__(
        self,
        span: trace_api.Span,
        *,
        given: Any,
        mask: Callable[[str], str],
        open_traces: dict[int, OpenTrace],
        is_optional: bool,
    ) -> None:
        self.usage: Usage | None = None
        self._open_traces = open_traces
        self._is_optional = is_optional
        identity = span.get_span_context()
        self.trace_id = trace_api.format_trace_id(identity.trace_id) if identity.is_valid else None
        self.context = contextvars.copy_context()
        self.context.run(context_api.attach, trace_api.set_span_in_context(span))
        self._span = span
        self._mask = mask
        self._set_value("input", given)

    def finish(self, *, output: Any = None, failure: Failure | None = None) -> None:
        """End the span with the output of the call, or with its failure."""
        number = self._span.get_span_context().trace_id
        trace = self._open_traces.get(number)
        if trace is not None and self._is_optional and failure is None and not trace.has_children:
            trace.is_dispensable = True
            self.trace_id = None
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
        self._open_traces.pop(number, None)
        self.usage = usage_of_spans(trace.ended) if trace is not None else None

    def _set_value(self, side: str, value: Any) -> None:
        if not self._span.is_recording():
            return
        if isinstance(value, str):
            self._span.set_attribute(f"{side}.value", value)
            return
        try:
            text = json.dumps(value, ensure_ascii=False, default=_to_jsonable)
        except (TypeError, ValueError, RecursionError) as error:  # a span must not fail a run
            text = json.dumps(f"cannot be shown: {error}")
        self._span.set_attribute(f"{side}.value", text)
        self._span.set_attribute(f"{side}.mime_type", "application/json")


def _to_jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


class SpanCollector(trace_sdk.SpanProcessor):
    """Queues each ended span of the job's traces, except dispensable spans.

    A dispensable span is kept for a while. It is queued if code that a call left running ends a span in its trace.
    """

    def __init__(
        self,
        project_of: Callable[[int], str | None],
        delivery: Delivery,
        open_traces: Mapping[int, OpenTrace],
    ) -> None:
        self._project_of = project_of
        self._delivery = delivery
        self._open_traces = open_traces
        self._kept: OrderedDict[int, trace_sdk.ReadableSpan] = OrderedDict()

    def on_start(self, span: trace_sdk.Span, parent_context: Context | None = None) -> None:
        """Note that a span starts within a call."""
        del parent_context
        identity = span.get_span_context()
        if span.parent is not None and (trace := self._open_traces.get(identity.trace_id)) is not None:
            trace.has_children = True

    def on_end(self, span: trace_sdk.ReadableSpan) -> None:
        """Queue an ended span."""
        identity = span.get_span_context()
        if identity is None or (project := self._project_of(identity.trace_id)) is None:
            return
        trace = self._open_traces.get(identity.trace_id)
        if trace is not None:
            trace.ended.append(_usage_of(span, identity.span_id))
            if trace.is_dispensable:
                self._kept[identity.trace_id] = span
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
                return
        elif (kept := self._kept.pop(identity.trace_id, None)) is not None:
            self._delivery.put(project, kept)
        self._delivery.put(project, span)


def _usage_of(span: trace_sdk.ReadableSpan, span_id: int) -> SpanUsage:
    """Return the tokens and the cost of a span, according to the OpenInference semantic conventions."""
    attributes, parent_id = span.attributes or {}, span.parent.span_id if span.parent else None
    if attributes.get(SPAN_KIND) != "LLM":
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
        is_refused=_is_refused(span),
        model=str(attributes.get("llm.model_name") or ""),
        prompt_tokens=count("prompt"),
        completion_tokens=count("completion"),
        total_tokens=count("total"),
        cost_usd=number("llm.cost.total"),
    )


def _is_refused(span: trace_sdk.ReadableSpan) -> bool:
    """Check whether a call ended with an error by which its provider refuses it."""
    raised = [(event.attributes or {}).get("exception.type") for event in span.events if event.name == "exception"]
    return any(isinstance(type_, str) and type_.endswith(_REFUSALS) for type_ in raised)


class SpanFan(trace_sdk.SpanProcessor):
    """Passes spans to several processors."""

    def __init__(self, processors: Sequence[trace_sdk.SpanProcessor]) -> None:
        self._processors = processors

    def on_start(self, span: trace_sdk.Span, parent_context: Context | None = None) -> None:
        """Pass the span to each processor."""
        for processor in self._processors:
            processor.on_start(span, parent_context)

    def _on_ending(self, span: trace_sdk.Span) -> None:
        for processor in self._processors:
            processor._on_ending(span)  # noqa: SLF001 - part of the SDK's processor protocol, not yet public

    def on_end(self, span: trace_sdk.ReadableSpan) -> None:
        """Pass the span to each processor."""
        for processor in self._processors:
            processor.on_end(span)
