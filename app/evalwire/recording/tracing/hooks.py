"""Hooks into OpenTelemetry for the time in which a job runs."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as trace_sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.context import Context

_hooks_lock = threading.Lock()

_hooks: list[Callable[[trace_sdk.Span], None]] = []

_start_of_the_sdk = trace_sdk.Span.start


def _start(span: trace_sdk.Span, start_time: int | None = None, parent_context: Context | None = None) -> None:
    for hook in tuple(_hooks):
        hook(span)
    _start_of_the_sdk(span, start_time, parent_context)


@contextlib.contextmanager
def on_each_span_start(hook: Callable[[trace_sdk.Span], None]) -> Iterator[None]:
    """Call `hook` with each span of any SDK provider before it starts.

    NOTE: there is no public way to reach existing providers other than the global provider. The Phoenix client's own
    experiments patch the same class.
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
def as_global_provider(provider: trace_api.TracerProvider) -> Iterator[None]:
    """Use `provider` as the global provider, unless another provider is already set.

    This bypasses `set_tracer_provider`, which works only once in a process. The user's own call of it must still work,
    during the job and after it.
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
    """The job's provider while the job runs; afterwards, its tracers delegate to the global provider."""

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
    """Gets the real tracer for each span, because instrumented libraries keep their first tracer forever."""

    def __init__(self, provider: _JobProvider, args: Any, kwargs: Any) -> None:
        self._provider = provider
        self._arguments = (args, kwargs)

    def start_span(self, *args: Any, **kwargs: Any) -> trace_api.Span:
        return self._provider.real_tracer(*self._arguments).start_span(*args, **kwargs)

    @contextlib.contextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[trace_api.Span]:  # type: ignore[override]
        with self._provider.real_tracer(*self._arguments).start_as_current_span(*args, **kwargs) as span:
            yield span
