"""`setup_observability`, which makes Phoenix the tracer provider of a script or an application."""

from __future__ import annotations

import os
import threading
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from opentelemetry import trace

from evalwire import phoenix
from evalwire.errors import UsageError
from evalwire.loading import load
from evalwire.settings import api_key_from_file, phoenix_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace import TracerProvider

_OPENINFERENCE = "openinference_instrumentor"  # the entry point group of OpenInference instrumentors
_GRPC_PORT = "4317"

_setup_lock = threading.Lock()  # plain tasks may call `setup_observability` from many threads


def setup_observability(instrumentors: Iterable[Any] | None = None, *, auto_instrument: bool = True) -> TracerProvider:
    """Send traces to Phoenix, and instrument libraries to produce them.

        setup_observability([OpenAIInstrumentor()])

    Traces go to the same server as with `phoenix.client.Client()`, with the same credentials, to the project in
    PHOENIX_PROJECT_NAME. While evalwire runs a task, its traces go to the experiment's project instead.

    The function can be called repeatedly. If Phoenix is already the tracer provider, through this function or
    `phoenix.otel.register`, that provider is kept.

    Args:
        instrumentors: OpenInference or OpenTelemetry instrumentors, as objects or classes. Instrumentors that are
            already active do not change.
        auto_instrument: whether to also use every installed OpenInference instrumentor.

    Returns:
        The tracer provider.

    Raises:
        ImportError: arize-phoenix-otel is not installed.
        UsageError: (a ValueError) an item is not an instrumentor, or Phoenix's address, key or headers in the
            environment are invalid.
    """
    given = [_object(instrumentor) for instrumentor in instrumentors or ()]
    with _setup_lock:
        return _set_up(given, auto_instrument=auto_instrument)


def _set_up(given: list[Any], *, auto_instrument: bool) -> TracerProvider:
    provider: TracerProvider | None = _provider_of_phoenix()
    if provider is None:
        provider = _Registered.provider = _register(auto_instrument=auto_instrument)
    elif auto_instrument:
        given = [*(found.load()() for found in entry_points(group=_OPENINFERENCE)), *given]
    for instrumentor in given:
        # `is True`: mocks and proxies have any attribute
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False) is not True:
            instrumentor.instrument(tracer_provider=provider)
    return provider


class _Registered:
    """The provider that this module registered; OpenTelemetry may return another provider."""

    provider: ClassVar[TracerProvider | None] = None


def _object(instrumentor: Any) -> Any:
    if not callable(getattr(instrumentor, "instrument", None)):
        raise UsageError(
            f"{instrumentor!r} is not an instrumentor: it has no `instrument` method. "
            "Pass a list of instrumentors, such as [OpenAIInstrumentor()]."
        )
    return instrumentor() if isinstance(instrumentor, type) else instrumentor


def _provider_of_phoenix() -> Any:
    """Return the provider that `phoenix.otel.register` or this module registered, or None."""
    for provider in (trace.get_tracer_provider(), _Registered.provider):
        if type(provider).__module__.startswith("phoenix.otel"):
            return provider
    return None


def _register(*, auto_instrument: bool) -> Any:
    # NOTE: `register` reads fewer address variables than the client, and treats some addresses as gRPC.
    variables = phoenix_variables(os.environ)
    access = phoenix.read_access(variables, api_key=api_key_from_file(variables))
    phoenix.connect(access)  # checks certificates and proxy, and keeps `phoenix.otel` from importing the server
    try:
        otel = load("phoenix.otel")
    except ImportError as error:
        raise ImportError(
            "setup_observability needs arize-phoenix-otel, which is not installed.\n"
            "Install it with: pip install 'evalwire[otel]'"
        ) from error
    address = access.address.rstrip("/")
    is_grpc = str(urlsplit(address).port) == (os.environ.get("PHOENIX_GRPC_PORT") or _GRPC_PORT)
    return otel.register(
        endpoint=address if is_grpc else f"{address}/v1/traces",
        headers=dict(access.headers),
        auto_instrument=auto_instrument,
        verbose=False,  # otherwise it prints to stdout, which scripts use for results
    )
