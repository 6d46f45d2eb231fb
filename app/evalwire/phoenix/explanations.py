"""Explanations of failed requests to Phoenix, with remedies."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from evalwire.errors import PhoenixError, PhoenixRefused, PhoenixUnreachable
from evalwire.phoenix.request_errors import (
    detail_of,
    is_refused_by_proxy,
    is_transient,
    reason,
    response_of,
    status_of,
    tls_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CERTIFICATE_REMEDY = (
    "If a private authority issued its certificate, set SSL_CERT_FILE to the certificate of that authority."
)
_OTHER_TLS = "The server, or a proxy in front of it, requires TLS settings that evalwire does not offer."
_TLS_REMEDIES: Mapping[str, str] = {
    "CERTIFICATE_VERIFY_FAILED": _CERTIFICATE_REMEDY,
    "WRONG_VERSION_NUMBER": "The server does not use TLS at this address. Check whether the address starts with http://.",
    "RECORD_LAYER_FAILURE": "The server does not use TLS at this address. Check whether the address starts with http://.",
}
_TO_HTTPS = ("plain http request was sent to https", "client sent an http request to an https")


def explain(error: Exception, what: str, *, server: str, proxy: str = "") -> PhoenixError:
    """Return an error that explains to a user why an operation failed.

    Args:
        error: the error of the last attempt.
        what: operation, such as "list the datasets".
        server: the server, such as "Phoenix at http://phoenix:6006".
        proxy: the name of the variable with the proxy; empty without a proxy.
    """
    status = status_of(error)
    if status in _REFUSED:
        return PhoenixRefused(
            f"{server} refused to {what}: HTTP {status}, the API key is missing or invalid.\n"
            "Set PHOENIX_API_KEY (or PHOENIX_API_KEY_FILE) to a key for this server, and check PHOENIX_ENDPOINT."
        )
    if remedy := _remedy(error, status, proxy):
        return PhoenixError(f"{server} did not {what}: {reason(error).rstrip('.?!')}.\n{remedy}")
    if is_transient(error) and status != HTTPStatus.INTERNAL_SERVER_ERROR:
        way = f" through the proxy in {proxy}" if proxy else ""
        return PhoenixUnreachable(
            f"{server} could not be reached{way} to {what}: {reason(error).rstrip('.?!')}.\n"
            "Check that Phoenix is running and that PHOENIX_ENDPOINT is its address; `evalwire run --local` starts a "
            "local Phoenix."
        )
    return PhoenixError(f"{server} did not {what}: {reason(error)}.")


def _remedy(error: Exception, status: int | None, proxy: str) -> str:
    """Return a remedy if the problem is on the way to the server; empty for other problems."""
    if status is not None and HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return _redirect_remedy(error, status)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "Raise the request size limit of the proxy in front of Phoenix (nginx: client_max_body_size)."
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or is_refused_by_proxy(error):
        name = proxy or "the proxy's variable"
        return f"The proxy in {name} refused: check its user and password, or add Phoenix's host to NO_PROXY."
    if status == HTTPStatus.BAD_REQUEST and any(text in detail_of(error).lower() for text in _TO_HTTPS):
        return "The server uses TLS: start PHOENIX_ENDPOINT with https://."
    if problem := tls_problem(error):
        return _TLS_REMEDIES.get(problem, _OTHER_TLS)
    return ""


def _redirect_remedy(error: Exception, status: int) -> str:
    response = response_of(error)
    location = response.headers.get("location", "") if response is not None else ""
    if response is None or not location:
        return "Set PHOENIX_ENDPOINT to the server's new address."
    asked, target = response.request.url, response.request.url.join(location)
    address = f"{target.scheme}://{target.netloc.decode('ascii').rpartition('@')[2]}"
    if target.path.rstrip("/").endswith(asked.path.rstrip("/")):  # the same page elsewhere
        address += target.path.rstrip("/").removesuffix(asked.path.rstrip("/"))
        return f"evalwire does not follow redirects: set PHOENIX_ENDPOINT to {address}."
    return (
        f"It redirects to {address}{target.path} (HTTP {status}): a sign-in page or another service is in front of it."
    )
