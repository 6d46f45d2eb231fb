"""A connection to a Phoenix server: the client, and every request within the retry policy."""

from __future__ import annotations

import importlib.machinery
import logging
import pkgutil
import sys
import types
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from evalwire.errors import PhoenixError, PhoenixRefused, PhoenixUnreachable
from evalwire.phoenix.rest import Rest
from evalwire.phoenix.retries import RetryPolicy, is_transient, reason, retry, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from phoenix.client import Client


T = TypeVar("T")

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def connect(*, base_url: str | None = None, api_key: str | None = None) -> Client:
    """Make a client; what is not given is read from the environment by the client's own rules.

    Raises:
        PhoenixError: the endpoint is no http(s) address.
    """
    _skip_server_imports()
    from phoenix.client import Client  # noqa: PLC0415 - 0.5 s that `--help` and an empty folder need not pay

    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        client = Client(base_url=base_url, api_key=api_key)
    except ValueError as error:  # such as PHOENIX_PORT=tcp://..., which Kubernetes sets for a service of that name
        raise PhoenixError(
            f"Phoenix's address in the environment cannot be used: {error}\n"
            "Set PHOENIX_ENDPOINT to an address such as http://phoenix:6006."
        ) from error
    address = endpoint_of(client)
    if not address.startswith(("http://", "https://")):
        raise PhoenixError(
            "Phoenix's endpoint is not an http:// or https:// address.\n"
            "Set PHOENIX_ENDPOINT to one, such as http://localhost:6006."
        )
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

    def load(name: str) -> Any:
        if package.__dict__.pop("__getattr__", None):
            loader.exec_module(package)
            return getattr(package, name)
        raise AttributeError(f"module 'phoenix' has no attribute {name!r}")

    package.__dict__["__getattr__"] = load
    sys.modules["phoenix"] = package


def endpoint_of(client: Client) -> str:
    """The server that a client talks to, by its public API; an empty text when it does not say."""
    try:
        url = str(client.experiments.get_experiment_url("D", "E"))
    except AttributeError:
        return ""
    address = urlsplit(url.partition("datasets/D/")[0].rstrip("/"))
    host = address.netloc.rpartition("@")[2]  # what comes before may be a password
    return urlunsplit(address._replace(netloc=host))


class Connection:
    """A Phoenix server behind a client's public API, with the retry policy around each request.

    Attributes:
        client: Phoenix's.
    """

    def __init__(
        self,
        client: Client,
        *,
        fetch: RetryPolicy | None = None,
        record: RetryPolicy | None = None,
        public_endpoint: str | None = None,
    ) -> None:
        self.client = client
        self._fetch = fetch or RetryPolicy()
        self._record = record or self._fetch
        self._public_endpoint = public_endpoint
        self._gave_up = False

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return endpoint_of(self.client)

    def version(self) -> str:
        """The server's version, from a request that needs no dataset; also shows that credentials are accepted.

        Raises:
            PhoenixError: not reachable, refused, or not a Phoenix.
        """

        def ask(timeout: int) -> Any:
            return self.client.datasets.list(limit=1, timeout=timeout)

        self._retrying(ask, "list the datasets", self._fetch)
        return self._server_version()

    def _server_version(self) -> str:
        import httpx  # noqa: PLC0415 - a quarter of a second that `--help` need not pay

        try:  # not by the client, which has no call for it; open even with authentication
            response = httpx.get(f"{self.endpoint}/arize_phoenix_version", timeout=10)
        except httpx.HTTPError:  # such as a private CA that only the client knows: the server did answer it
            return "unknown"
        return response.text.strip() if response.status_code == HTTPStatus.OK else "unknown"

    def _rest(self) -> Rest | None:
        """Reads that the client has no call for; None when it is a stand-in without a connection."""
        import httpx  # noqa: PLC0415 - a quarter of a second that `--help` need not pay

        # NOTE: the client's connection is no public name of it; without it these reads would need an address and
        # credentials of their own.
        http = getattr(self.client, "_client", None)
        return Rest(http) if isinstance(http, httpx.Client) else None

    def _rest_to(self, what: str) -> Rest:
        """The same for what cannot be done without.

        Raises:
            PhoenixError: the client is a stand-in without a connection.
        """
        rest = self._rest()
        if rest is None:
            raise PhoenixError(f"this client cannot {what}; use a phoenix.client.Client.")
        return rest

    def _retrying(self, request: Callable[[int], T], what: str, policy: RetryPolicy) -> T:
        """Make a request within the policy; a failure is one of evalwire's errors, saying `what` was tried.

        After a record was given up for an outage, every request gets a single try: a job whose Phoenix is gone
        ends soon instead of waiting once for every record.
        """
        try:
            return retry(request, what, policy, give_up=lambda: self._gave_up)
        except PhoenixError:
            raise
        except Exception as error:
            failure = self._explain(error, what)
            if policy is self._record and isinstance(failure, PhoenixUnreachable):
                self._gave_up = True
            raise failure from error

    def _explain(self, error: Exception, what: str) -> PhoenixError:
        status = status_of(error)
        server = f"Phoenix at {self.endpoint}" if self.endpoint else "Phoenix"
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
