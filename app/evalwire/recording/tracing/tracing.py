"""Tracing of each call of user code, in the project of its experiment."""

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

    from evalwire.model import Callee, OpenExperiment
    from evalwire.recording.protocols import EvaluatorTraces
from evalwire.recording.tracing.delivery import Deliver, Delivery
from evalwire.recording.tracing.encoding import PROJECT_NAME
from evalwire.recording.tracing.hooks import as_global_provider, on_each_span_start
from evalwire.recording.tracing.spans import SPAN_KIND, CallSpan, OpenTrace, SpanCollector, SpanFan

_REMEMBERED_TRACES = 50_000  # spans that end more than this many traces after their own are not routed


class Tracing:
    """Traces the job's calls, and delivers all spans created in them, by any tracer.

    Phoenix assigns a trace to the project of the first span that arrives. A user's own tracer provider, for example
    from `phoenix.otel.register()` in a task, sends spans to another project, to which the whole trace might move.
    While a job runs, SDK spans of the job's traces therefore get the experiment's project as a resource and are
    delivered here. The processors of the span's own provider receive it, too. The exceptions are processors of
    `phoenix.otel`, which would send the span twice.

    Args:
        deliver: sends spans, as in `Delivery`.
        mask: replaces secrets in failures.
        evaluators: whether to send the spans of all evaluators, or with `auto` only spans that hold something: a model
            call or another span, or a failure. The other spans have nothing that the evaluation does not have.
        unrecorded_project: the project of experiments that are not recorded; None to trace nothing of them.
    """

    def __init__(
        self,
        deliver: Deliver,
        *,
        mask: Callable[[str], str],
        evaluators: EvaluatorTraces = "auto",
        unrecorded_project: str | None = None,
    ) -> None:
        self._delivery = Delivery(deliver)
        self._mask = mask
        self._projects: OrderedDict[int, str] = OrderedDict()
        self._open_traces: dict[int, OpenTrace] = {}
        self._evaluators = evaluators
        self._unrecorded_project = unrecorded_project
        self._resource = Resource({})
        self._provider = trace_sdk.TracerProvider(sampler=ALWAYS_ON, resource=self._resource, shutdown_on_exit=False)
        self._processor = SpanCollector(self._project_of, self._delivery, self._open_traces)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("evalwire")

    @property
    def lost(self) -> int:
        """The number of spans that could not be delivered so far."""
        return self._delivery.lost

    @contextlib.contextmanager
    def installed(self, *, flush_seconds: Callable[[], float] = lambda: 10.0) -> Iterator[Tracing]:
        """Route spans to the experiments' projects; at the end, restore OpenTelemetry and deliver queued spans.

        Args:
            flush_seconds: a function that returns the time limit for the final delivery, in seconds. It is called
                repeatedly during the delivery.
        """
        with on_each_span_start(self._adopt), as_global_provider(self._provider):
            self._delivery.start()
            try:
                yield self
            finally:
                self._delivery.close(flush_seconds)

    def trace(self, opened: OpenExperiment, callee: Callee, values: Mapping[str, Any]) -> CallSpan:
        """Start a trace around a call; spans created in its context are part of it.

        Tasks are traced in the experiment's project, evaluators in Phoenix's project `evaluators`. The span of an
        evaluator is sent only if it holds something, unless all of them are requested.
        """
        is_task = callee is opened.experiment.task
        own_project = opened.project_name or self._unrecorded_project
        project, kind = (own_project, "CHAIN") if is_task else ("evaluators", "EVALUATOR")
        span = self._tracer.start_span(callee.name, context=Context(), attributes={SPAN_KIND: kind})
        identity = span.get_span_context()
        if project is not None and identity.is_valid:
            self._projects[identity.trace_id] = project
            if len(self._projects) > _REMEMBERED_TRACES:
                self._projects.popitem(last=False)
            self._open_traces[identity.trace_id] = OpenTrace()
        given = values["input"] if is_task else {key: values[key] for key in ("output", "expected")}
        return CallSpan(
            span,
            given=given,
            mask=self._mask,
            open_traces=self._open_traces,
            is_optional=not is_task and self._evaluators == "auto",
        )

    def _project_of(self, trace_id: int) -> str | None:
        return self._projects.get(trace_id)

    def _adopt(self, span: trace_sdk.Span) -> None:
        """Assign a span of another provider to the project of its trace, if the job started the trace."""
        if span.resource is self._resource or (identity := span.get_span_context()) is None:
            return
        project = self._project_of(identity.trace_id)
        if project is None:
            return
        own = span._span_processor  # noqa: SLF001 - no public way to add a processor to a span
        parts = getattr(own, "_span_processors", (own,))
        others = [part for part in parts if not type(part).__module__.startswith("phoenix.otel")]
        span._resource = span.resource.merge(Resource({PROJECT_NAME: project}))  # noqa: SLF001
        span._span_processor = SpanFan([self._processor, *others])  # noqa: SLF001
