"""The connection to a Phoenix server, which runs operations within retry policies."""

from __future__ import annotations

import errno
import logging
import os
import pkgutil
import ssl
import sys
import types
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from evalwire.errors import PhoenixError, PhoenixMisconfigured, PhoenixUnreachable
from evalwire.loading import library_spec, load
from evalwire.phoenix.access import Access, check_address, read_access
from evalwire.phoenix.explanations import explain
from evalwire.phoenix.request_retries import retry
from evalwire.phoenix.rest import Rest

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.phoenix.retry_policy import RetryPolicy


T = TypeVar("T")

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=10.0)  # unless a request has another timeout

_UPLOAD_SERVER_ERRORS = 10  # attempts, because uploads at the same time disturb each other

_UPLOAD_SECONDS = 900.0  # for each request of an upload, with all attempts and waits

_SINGLE_TRY_SECONDS = 10

_ONCE_SECONDS = 20.0


def open_connection(access: Access) -> httpx.Client:
    """Return a connection to a Phoenix server that ignores later changes of the environment.

    Raises:
        PhoenixMisconfigured: the address, a header, the proxy or a certificate file is invalid.
    """
    _skip_server_imports()  # also for imports of Phoenix's client by user code
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return httpx.Client(
            base_url=access.address,
            headers=dict(access.headers),
            timeout=_TIMEOUT,
            verify=_tls(access),
            proxy=_proxy(access),
            trust_env=False,
        )
    except httpx.InvalidURL as error:  # such as a host that is too long, or an invalid internationalized name
        raise PhoenixMisconfigured(f"Phoenix's address {access.address} cannot be used: {error}.") from error


def connect(access: Access | None = None, *, base_url: str | None = None) -> Client:
    """Return Phoenix's client for a server, with a connection as of `open_connection`.

    The connections are closed when the client is garbage-collected.

    Args:
        access: the access to the server; read from the environment by default.
        base_url: an address instead of the environment's, if `access` is None.

    Raises:
        PhoenixMisconfigured: the address, a header, the proxy or a certificate file is invalid.
    """
    if access is None:
        access = read_access(os.environ)
        if base_url is not None:
            access = replace(access, address=check_address(base_url, "base_url"))
    http = open_connection(access)
    # NOTE: the client uses `phoenix.evals` only to detect its rate limit errors; the import would load pandas
    client: Client = load("phoenix.client", without="phoenix.evals").Client(http_client=http)
    weakref.finalize(client, http.close)
    return client


def _proxy(access: Access) -> httpx.Proxy | None:
    if access.proxy is None:
        return None
    return httpx.Proxy(access.proxy, ssl_context=_tls(access) if _is_https(access.proxy) else None)


def _tls(access: Access) -> ssl.SSLContext:
    """Return a TLS context; without https, a context with no trusted certificates.

    Raises:
        PhoenixMisconfigured: the certificate file or directory of a variable is invalid.
    """
    named, variable = access.certificates, access.certificates_variable
    if named is not None:
        context = _trusting(named, variable)
    elif _is_https(access.address) or _is_https(access.proxy):
        context = httpx.create_ssl_context(trust_env=False)
    else:  # reading Mozilla's certificates takes 60 ms
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.keylog_filename = access.key_log  # type: ignore[assignment]  # None disables the log; `create_default_context` read the variable
    return context


def _is_https(address: str | None) -> bool:
    return address is not None and address.lower().startswith("https:")


def _trusting(named: str, variable: str) -> ssl.SSLContext:
    is_directory = variable == "SSL_CERT_DIR"
    try:
        if is_directory and not any(Path(directory).is_dir() for directory in named.split(os.pathsep)):
            raise NotADirectoryError(errno.ENOENT, "the directory does not exist")
        return ssl.create_default_context(
            cafile=None if is_directory else named, capath=named if is_directory else None
        )
    except ssl.SSLError as error:
        why = "it has no certificate in PEM format"
        cause: OSError = error
    except OSError as error:
        why, cause = error.strerror or str(error), error
    raise PhoenixMisconfigured(
        f"{variable}: cannot read certificates from {named}: {why}.\n"
        "In a container, mount it, or unset the variable to trust the default authorities."
    ) from cause


def _skip_server_imports() -> None:
    """Prevent `import phoenix.client` from importing the whole server if `arize-phoenix` is also installed.

    NOTE: `phoenix/__init__.py` of the server imports the application (10 s); the client alone needs 0.5 s. The
    replacement package finds every submodule. It runs the real `__init__` when code accesses a name in the package.
    """
    if "phoenix" in sys.modules:
        return
    spec = library_spec("phoenix")
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


def endpoint_of(http: httpx.Client) -> str:
    """Return the address of a connection's server, without a password."""
    address = urlsplit(str(http.base_url).rstrip("/"))
    host = address.netloc.rpartition("@")[2]  # the part before "@" may contain a password
    return urlunsplit(address._replace(netloc=host))


class Connection:
    """Runs operations on a Phoenix server, each within a retry policy.

    An operation is a function of a `Rest`. It is retried as a whole, and each attempt has a timeout for its requests.
    Errors name the operation: "Phoenix at http://... did not {what}: ...".

    Args:
        client: a connection to the server, or a `phoenix.client.Client` with one.
        fetch: the policy for reads, and for writes that are cheap to repeat.
        record: the policy for paid results.
        proxy: the name of the variable with the proxy; empty without a proxy.

    Raises:
        PhoenixError: the client has no connection.
    """

    def __init__(
        self, client: Client | httpx.Client, *, fetch: RetryPolicy, record: RetryPolicy, proxy: str = ""
    ) -> None:
        # NOTE: the client's connection is a private attribute, with the address and the credentials
        http = client if isinstance(client, httpx.Client) else getattr(client, "_client", None)
        if not isinstance(http, httpx.Client):
            raise PhoenixError(
                f"evalwire cannot use a client of type {type(client).__name__}: it has no HTTP connection.\n"
                "Pass a phoenix.client.Client (not an AsyncClient). In tests, give the client an "
                "httpx.Client(transport=httpx.MockTransport(...))."
            )
        self._http = http
        self._client = client  # closes the connection when it is garbage-collected
        if client is http:
            weakref.finalize(self, http.close)
        self._fetch = fetch
        self._record = record
        self._proxy = proxy
        self._gave_up = False

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return endpoint_of(self._http)

    @property
    def gave_up(self) -> bool:
        """True after recording was given up because of an outage."""
        return self._gave_up

    def fetch(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation within the policy for reads.

        Raises:
            PhoenixError: Phoenix refused, or did not send a valid response within the policy.
        """
        return self._run(what, operation, self._fetch)

    def fetch_once(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation without retries, for information that the job does not need.

        Raises:
            PhoenixError: Phoenix refused, or did not send a valid response.
        """
        return self._run(what, operation, replace(self._fetch, attempts=1, longest_try_seconds=_ONCE_SECONDS))

    def download(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run a read in which a single request may use the policy's total time.

        Raises:
            PhoenixError: Phoenix refused, or did not send a valid response within the policy.
        """
        return self._run(what, operation, replace(self._fetch, longest_try_seconds=self._fetch.total_seconds))

    def upload(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation of an upload, in which requests may take many minutes.

        Raises:
            PhoenixError: Phoenix refused, or did not send a valid response within the policy.
        """
        patient = replace(
            self._fetch,
            longest_try_seconds=_UPLOAD_SECONDS,
            total_seconds=_UPLOAD_SECONDS,
            server_error_attempts=_UPLOAD_SERVER_ERRORS,
        )
        return self._run(what, operation, patient)

    def record(self, what: str, operation: Callable[[Rest], T]) -> T:
        """Run an operation within the policy for records.

        After recording was given up because of an outage, every operation gets a single attempt. A job that lost
        Phoenix then ends soon, rather than waiting for every record.

        Raises:
            PhoenixError: Phoenix refused, or did not send a valid response within the policy.
        """
        try:
            return self._run(what, operation, self._record)
        except PhoenixUnreachable:
            self._gave_up = True
            raise

    def single_try(self) -> Rest:
        """Return a `Rest` with a short timeout and without retries, which raises original errors."""
        return Rest(self._http, _SINGLE_TRY_SECONDS)

    def _run(self, what: str, operation: Callable[[Rest], T], policy: RetryPolicy) -> T:
        def attempt(seconds: int) -> T:
            return operation(Rest(self._http, seconds))

        try:
            return retry(attempt, what, policy, give_up=lambda: self._gave_up)
        except PhoenixError:
            raise
        except Exception as error:
            raise explain(error, what, server=f"Phoenix at {self.endpoint}", proxy=self._proxy) from error
