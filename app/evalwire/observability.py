"""`setup_observability`: Phoenix as the tracer provider of a script or an application."""

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

_OPENINFERENCE = "openinference_instrumentor"  # the entry points of its instrumentors
_GRPC_PORT = "4317"

_one_at_a_time = threading.Lock()  # plain tasks call it from many threads at once


def setup_observability(instrumentors: Iterable[Any] | None = None, *, auto_instrument: bool = True) -> TracerProvider:
    """Send traces to Phoenix, and have libraries instrumented that make them.

        setup_observability([OpenAIInstrumentor()])

    They go to the Phoenix that `phoenix.client.Client()` talks to, with its credentials, in the project that
    PHOENIX_PROJECT_NAME names. What a task does while evalwire runs it is in its experiment's project all the same.

    Call it as often as you like: where Phoenix is the tracer provider already, by this or by `phoenix.otel.register`,
    that one is kept.

    Args:
        instrumentors: OpenInference's or OpenTelemetry's, as objects or classes; one that is in use already is left
            as it is.
        auto_instrument: use each OpenInference instrumentor that is installed, too.

    Returns:
        The tracer provider.

    Raises:
        ImportError: arize-phoenix-otel is not installed.
        UsageError: (a ValueError) something else than an instrumentor; Phoenix's address, key or headers in the
            environment cannot be used.
    """
    given = [_object(one) for one in instrumentors or ()]
    with _one_at_a_time:
        return _set_up(given, auto_instrument=auto_instrument)


def _set_up(given: list[Any], *, auto_instrument: bool) -> TracerProvider:
    provider: TracerProvider | None = _provider_of_phoenix()
    if provider is None:
        provider = _Registered.provider = _register(auto_instrument=auto_instrument)
    elif auto_instrument:
        given = [*(found.load()() for found in entry_points(group=_OPENINFERENCE)), *given]
    for instrumentor in given:
        # `is True`: other objects may answer to any name
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False) is not True:
            instrumentor.instrument(tracer_provider=provider)
    return provider


class _Registered:
    """What was registered here: with another's provider in its place, OpenTelemetry does not give it back."""

    provider: ClassVar[TracerProvider | None] = None


def _object(instrumentor: Any) -> Any:
    if not callable(getattr(instrumentor, "instrument", None)):
        raise UsageError(
            f"{instrumentor!r} is no instrumentor: it has no `instrument`. Give a list of such as OpenAIInstrumentor()."
        )
    return instrumentor() if isinstance(instrumentor, type) else instrumentor


def _provider_of_phoenix() -> Any:
    """Return the provider that `phoenix.otel.register` has set, or this module has made; None for neither."""
    for provider in (trace.get_tracer_provider(), _Registered.provider):
        if type(provider).__module__.startswith("phoenix.otel"):
            return provider
    return None


def _register(*, auto_instrument: bool) -> Any:
    # NOTE: `register` knows fewer names of Phoenix's address than the client, and takes some for gRPC's.
    variables = phoenix_variables(os.environ)
    access = phoenix.read_access(variables, api_key=api_key_from_file(variables))
    phoenix.connect(access)  # checks certificates and proxy, and keeps the server out of the import of `phoenix.otel`
    try:
        otel = load("phoenix.otel")
    except ImportError as error:
        raise ImportError(
            "setup_observability needs arize-phoenix-otel, which is not installed here.\n"
            "Install it with: pip install 'evalwire[otel]'"
        ) from error
    address = access.address.rstrip("/")
    is_grpc = str(urlsplit(address).port) == (os.environ.get("PHOENIX_GRPC_PORT") or _GRPC_PORT)
    return otel.register(
        endpoint=address if is_grpc else f"{address}/v1/traces",
        headers=dict(access.headers),
        auto_instrument=auto_instrument,
        verbose=False,  # it would print where a script's results go
    )
