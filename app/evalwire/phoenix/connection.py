"""Connect to a Phoenix server, and run operations on it within the retry policies."""

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
from evalwire.phoenix.rest import Rest
from evalwire.phoenix.retries import retry

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.phoenix.retry_policy import RetryPolicy


T = TypeVar("T")

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=10.0)  # where a request says nothing else

_UPLOAD_SECONDS = 900.0  # of one request of an upload, tries and waits included

_SINGLE_TRY_SECONDS = 10


def connect(access: Access | None = None, *, base_url: str | None = None) -> Client:
    """Make a client of a Phoenix, which looks nothing up in the environment any more.

    Its connections to the server are closed when the client is no longer used.

    Args:
        access: how the server is reached; by default what the environment says.
        base_url: another address, where no `access` is given.

    Raises:
        PhoenixMisconfigured: the address, a header, the proxy or a file of certificates cannot be used.
    """
    _skip_server_imports()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if access is None:
        access = read_access(os.environ)
        if base_url is not None:
            access = replace(access, address=check_address(base_url, "base_url"))
    try:
        http = httpx.Client(
            base_url=access.address,
            headers=dict(access.headers),
            timeout=_TIMEOUT,
            verify=_tls(access),
            proxy=_proxy(access),
            trust_env=False,
        )
    except httpx.InvalidURL as error:  # such as a host that is too long, or no internationalized name
        raise PhoenixMisconfigured(f"Phoenix's address {access.address} cannot be used: {error}.") from error
    # NOTE: the client only asks whether an error is a rate limit of `phoenix.evals`, and would import pandas for it
    client: Client = load("phoenix.client", without="phoenix.evals").Client(http_client=http)
    weakref.finalize(client, http.close)
    return client


def _proxy(access: Access) -> httpx.Proxy | None:
    if access.proxy is None:
        return None
    return httpx.Proxy(access.proxy, ssl_context=_tls(access) if _is_https(access.proxy) else None)


def _tls(access: Access) -> ssl.SSLContext:
    """Return what TLS trusts; where none of it is needed, a context that trusts nobody.

    Raises:
        PhoenixMisconfigured: the file or folder that a variable names cannot be used.
    """
    named, variable = access.certificates, access.certificates_variable
    if named is not None:
        context = _trusting(named, variable)
    elif _is_https(access.address) or _is_https(access.proxy):
        context = httpx.create_ssl_context(trust_env=False)
    else:  # reading Mozilla's certificates takes 60 ms
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.keylog_filename = access.key_log  # type: ignore[assignment]  # None is for none; `create_default_context` looked it up
    return context


def _is_https(address: str | None) -> bool:
    return address is not None and address.lower().startswith("https:")


def _trusting(named: str, variable: str) -> ssl.SSLContext:
    is_folder = variable == "SSL_CERT_DIR"
    try:
        if is_folder and not any(Path(folder).is_dir() for folder in named.split(os.pathsep)):
            raise NotADirectoryError(errno.ENOENT, "there is no such folder")
        return ssl.create_default_context(cafile=None if is_folder else named, capath=named if is_folder else None)
    except ssl.SSLError as error:
        why = "it holds no certificate in PEM format"
        cause: OSError = error
    except OSError as error:
        why, cause = error.strerror or str(error), error
    raise PhoenixMisconfigured(
        f"{variable}: Cannot read certificates from {named}: {why}.\n"
        "In a container, mount it, or unset the variable to trust the usual authorities."
    ) from cause


def _skip_server_imports() -> None:
    """Keep `import phoenix.client` from importing the whole server where `arize-phoenix` is installed too.

    NOTE: its `phoenix/__init__.py` imports the server application (10 s); the client alone needs 0.5 s. The
    package put in its place finds every submodule, and runs the real `__init__` when a name of it is asked for.
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
        proxy: the variable that named the proxy on the way; empty without one.

    Raises:
        PhoenixError: the client is not a `phoenix.client.Client`.
    """

    def __init__(self, client: Client, *, fetch: RetryPolicy, record: RetryPolicy, proxy: str = "") -> None:
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
        self._proxy = proxy
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
            raise explain(error, what, server=f"Phoenix at {self.endpoint}", proxy=self._proxy) from error
