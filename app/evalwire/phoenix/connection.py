"""Connect to a Phoenix server, and run operations on it within the retry policies."""

from __future__ import annotations

import importlib.machinery
import logging
import pkgutil
import sys
import types
import weakref
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from evalwire.errors import PhoenixError, PhoenixRefused, PhoenixUnreachable
from evalwire.loading import load
from evalwire.phoenix.request_errors import is_transient, reason, status_of
from evalwire.phoenix.rest import Rest
from evalwire.phoenix.retries import retry

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.phoenix.retry_policy import RetryPolicy


T = TypeVar("T")

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_UPLOAD_SECONDS = 900.0  # of one request of an upload, tries and waits included

_SINGLE_TRY_SECONDS = 10


def connect(*, base_url: str | None = None, api_key: str | None = None) -> Client:
    """Make a client; what is not given is read from the environment by the client's own rules.

    Its connections to the server are closed when the client is no longer used.

    Raises:
        PhoenixError: the endpoint is not an http(s) address.
    """
    _skip_server_imports()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        client: Client = load("phoenix.client").Client(base_url=base_url, api_key=api_key)
    except ValueError as error:  # such as PHOENIX_PORT=tcp://..., which Kubernetes sets for a service of that name
        raise PhoenixError(
            f"Phoenix's address in the environment cannot be used: {error}\n"
            "Set PHOENIX_ENDPOINT to an address such as http://phoenix:6006."
        ) from error
    if not endpoint_of(client).startswith(("http://", "https://")):
        raise PhoenixError(
            "Phoenix's endpoint is not an http:// or https:// address.\n"
            "Set PHOENIX_ENDPOINT to one, such as http://localhost:6006."
        )
    weakref.finalize(client, client._client.close)  # noqa: SLF001 - the client has no public name for it
    return client


def _skip_server_imports() -> None:
    """Keep `import phoenix.client` from importing the whole server where `arize-phoenix` is installed too.

    NOTE: its `phoenix/__init__.py` imports the server application (10 s); the client alone needs 0.5 s. The
    package put in its place finds every submodule, and runs the real `__init__` when a name of it is asked for.
    """
    if "phoenix" in sys.modules:
        return
    spec = importlib.machinery.PathFinder.find_spec("phoenix")
    if spec is None or spec.origin is None or spec.loader is None or not spec.submodule_search_locations:
        return
    loader = spec.loader
    package = types.ModuleType("phoenix")
    package.__spec__, package.__loader__, package.__file__ = spec, loader, spec.origin
    package.__path__ = pkgutil.extend_path(list(spec.submodule_search_locations), "phoenix")

    def load_name(name: str) -> Any:
        if package.__dict__.pop("__getattr__", None):
            loader.exec_module(package)
            return getattr(package, name)
        raise AttributeError(f"module 'phoenix' has no attribute {name!r}")

    package.__dict__["__getattr__"] = load_name
    sys.modules["phoenix"] = package


def endpoint_of(client: Client) -> str:
    """Return the address of the server that a client talks to, without a password."""
    url = client.experiments.get_experiment_url("D", "E")
    address = urlsplit(url.partition("datasets/D/")[0].rstrip("/"))
    host = address.netloc.rpartition("@")[2]  # what comes before may be a password
    return urlunsplit(address._replace(netloc=host))


class Connection:
    """Runs operations on a Phoenix server, each within the retry policy of its kind.

    An operation is a function of a `Rest`. It is retried as a whole, and each try has a time-out for its requests. An
    error names the operation: "Phoenix at http://... did not {what}: ...".

    Args:
        client: a `phoenix.client.Client`.
        fetch: for reads, and for what nobody paid for.
        record: for what was paid for.

    Raises:
        PhoenixError: the client is not a `phoenix.client.Client`.
    """

    def __init__(self, client: Client, *, fetch: RetryPolicy, record: RetryPolicy) -> None:
        # NOTE: the client's connection is not a public name of it; without it, requests that the client has no call
        # for would need an address and credentials of their own.
        http = getattr(client, "_client", None)
        if not isinstance(http, httpx.Client):
            raise PhoenixError(
                f"evalwire cannot use a client of type {type(client).__name__}: it has no HTTP connection.\n"
                "Pass a phoenix.client.Client (not an AsyncClient); tests can give it an "
                "httpx.Client(transport=httpx.MockTransport(...))."
            )
        self._client = client
        self._http = http
        self._fetch = fetch
        self._record = record
        self._gave_up = False

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return endpoint_of(self._client)

    @property
    def gave_up(self) -> bool:
        """True once a record was given up for an outage."""
        return self._gave_up

    def experiment_url(self, dataset_id: str, experiment_id: str) -> str:
        """Return the address of an experiment's page, as the client has it."""
        return self._client.experiments.get_experiment_url(dataset_id=dataset_id, experiment_id=experiment_id)

    def fetch(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation within the policy for reads.

        Raises:
            PhoenixError: Phoenix refused, or gave no usable answer within the policy.
        """
        return self._run(what, operation, self._fetch)

    def download(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run a read of which one request may take as long as all tries together.

        Raises:
            PhoenixError: Phoenix refused, or gave no usable answer within the policy.
        """
        return self._run(what, operation, replace(self._fetch, longest_try_seconds=self._fetch.total_seconds))

    def upload(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation of an upload, whose requests may take many minutes.

        Raises:
            PhoenixError: Phoenix refused, or gave no usable answer within the policy.
        """
        patient = replace(self._fetch, longest_try_seconds=_UPLOAD_SECONDS, total_seconds=_UPLOAD_SECONDS)
        return self._run(what, operation, patient)

    def record(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation within the policy for records.

        After a record was given up for an outage, every operation gets a single try: a job whose Phoenix is gone
        ends soon instead of waiting once for every record.

        Raises:
            PhoenixError: Phoenix refused, or gave no usable answer within the policy.
        """
        try:
            return self._run(what, operation, self._record)
        except PhoenixUnreachable:
            self._gave_up = True
            raise

    def single_try(self) -> Rest:
        """Return requests that are made once, with a short time-out, and raise their errors as they are."""
        return Rest(self._client, self._http, _SINGLE_TRY_SECONDS)

    def _run(self, what: str, operation: Callable[[Rest], T], policy: RetryPolicy) -> T:
        def one_try(seconds: int) -> T:
            return operation(Rest(self._client, self._http, seconds))

        try:
            return retry(one_try, what, policy, give_up=lambda: self._gave_up)
        except PhoenixError:
            raise
        except Exception as error:
            raise self._explain(error, what) from error

    def _explain(self, error: Exception, what: str) -> PhoenixError:
        status = status_of(error)
        server = f"Phoenix at {self.endpoint}"
        if status in _REFUSED:
            return PhoenixRefused(
                f"{server} refused to {what}: it answered {status}, the API key is missing or wrong.\n"
                "Set PHOENIX_API_KEY (or PHOENIX_API_KEY_FILE) to a key of this server, and PHOENIX_ENDPOINT to "
                "the server of this key."
            )
        if is_transient(error) and status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return PhoenixUnreachable(
                f"{server} could not be reached to {what}: {reason(error).rstrip('.?!')}.\n"
                "Is it running there? PHOENIX_ENDPOINT says where it is; `evalwire run --local` starts one."
            )
        return PhoenixError(f"{server} did not {what}: {reason(error)}.")
