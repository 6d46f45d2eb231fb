"""Trace each call of the user's code in its experiment's project."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk import trace as trace_sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalwire.model import Callee, OpenExperiment, SpanUsage
from evalwire.recording.tracing.delivery import Deliver, Delivery
from evalwire.recording.tracing.hooks import as_global_provider, on_each_span_start
from evalwire.recording.tracing.spans import SPAN_KIND, CallSpan, SpanCollector, SpanFan

# Names of the OpenInference semantic conventions, and of OpenTelemetry's for exceptions.
_PROJECT_NAME = "openinference.project.name"

_REMEMBERED_TRACES = 50_000  # a span that ends more than this many traces after its own is not routed


class Tracing:
    """Traces the job's calls, and delivers every span made under them, whoever's tracer made it.

    Phoenix files a trace under the project of whichever of its spans arrives first. A user's own tracer
    provider (`phoenix.otel.register()` in a task, say) would send its spans to a project of its own and take
    the trace along. So, while a job runs, each SDK span of a trace that the job began has the experiment's
    project as its resource and is delivered here. Its own provider's processors see it too, except those of
    `phoenix.otel`, which would only send it a second time.
    """

    def __init__(self, deliver: Deliver, *, mask: Callable[[str], str]) -> None:
        self._delivery = Delivery(deliver)
        self._mask = mask
        self._projects: OrderedDict[int, str] = OrderedDict()
        self._spans: dict[int, list[SpanUsage]] = {}  # of the calls that run, by trace
        self._resource = Resource({})
        self._provider = trace_sdk.TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        self._processor = SpanCollector(self._project_of, self._delivery, self._spans)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("evalwire")

    @property
    def lost(self) -> int:
        """The number of spans that could not be delivered so far."""
        return self._delivery.lost

    @contextlib.contextmanager
    def installed(self, *, flush_seconds: Callable[[], float] = lambda: 10.0) -> Iterator[Tracing]:
        """Route spans to the experiments' projects; afterwards everything is as it was, and delivered.

        Args:
            flush_seconds: asked at the end, as long as it lasts, how long the delivery of what is left may take.
        """
        with on_each_span_start(self._adopt), as_global_provider(self._provider):
            self._delivery.start()
            try:
                yield self
            finally:
                self._delivery.close(flush_seconds)

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> CallSpan:
        """Begin a trace around one call; spans made in its context are part of it.

        A task is traced in the experiment's project, an evaluator in Phoenix's project `evaluators`.
        """
        is_task = callee is opened.experiment.task
        project, kind = (opened.project_name, "CHAIN") if is_task else ("evaluators", "EVALUATOR")
        span = self._tracer.start_span(callee.name, context=Context(), attributes={SPAN_KIND: kind})
        identity = span.get_span_context()
        if project is not None and identity.is_valid:
            self._projects[identity.trace_id] = project
            if len(self._projects) > _REMEMBERED_TRACES:
                self._projects.popitem(last=False)
            self._spans[identity.trace_id] = []
        given = values["input"] if is_task else {key: values[key] for key in ("output", "expected")}
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
        span._span_processor = SpanFan([self._processor, *others])  # noqa: SLF001
