"""The span around a call, and the collection of its descendants."""

from __future__ import annotations

import contextvars
import dataclasses
import json
import math
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


class CallSpan:
    """The span around a call of the user's code.

    Attributes:
        usage: the usage of the LLM spans that ended before the call; set when the call is finished.
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
        """End the span with the output of the call, or with its failure."""
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
        except (TypeError, ValueError, RecursionError) as error:  # a span must not fail a run
            text = json.dumps(f"cannot be shown: {error}")
        self._span.set_attribute(f"{side}.value", text)
        self._span.set_attribute(f"{side}.mime_type", "application/json")


def _to_jsonable(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


class SpanCollector(trace_sdk.SpanProcessor):
    """Queues each ended span of the job's traces."""

    def __init__(
        self,
        project_of: Callable[[int], str | None],
        delivery: Delivery,
        spans: Mapping[int, list[SpanUsage]],
    ) -> None:
        self._project_of = project_of
        self._delivery = delivery
        self._spans = spans

    def on_end(self, span: trace_sdk.ReadableSpan) -> None:
        """Queue an ended span."""
        identity = span.get_span_context()
        if identity is not None and (project := self._project_of(identity.trace_id)) is not None:
            self._delivery.put(project, span)
            if (seen := self._spans.get(identity.trace_id)) is not None:
                seen.append(_usage_of(span, identity.span_id))


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
