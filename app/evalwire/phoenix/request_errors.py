"""Errors of requests: the status, the server's explanation, and whether a retry may help."""

from __future__ import annotations

import json
import re
import ssl
from http import HTTPStatus

import httpx

_RETRIED_4XX = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)

# decoding errors, such as from another encoding or a truncated character
_NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError)


def is_transient(error: BaseException | None) -> bool:
    """Check whether a retry may succeed: no response, a 408, 425, 429 or 5xx, or an incomplete body."""
    status = status_of(error)
    if status is not None:
        return status in _RETRIED_4XX or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, httpx.UnsupportedProtocol) or is_refused_by_proxy(error) or tls_problem(error):
        return False
    return isinstance(error, (httpx.TransportError, httpx.DecodingError, *_NOT_JSON))


def is_away(error: BaseException | None) -> bool:
    """Check whether a server is unavailable: no connection, a timeout, or a proxy's error response."""
    status = status_of(error)
    return is_transient(error) and status != HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, _NOT_JSON)


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of an error's response, or None."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def is_refused_by_proxy(error: BaseException | None) -> bool:
    """Check whether a proxy refused the request because of credentials or the address."""
    text = str(error).lower()
    return isinstance(error, httpx.ProxyError) and (text.startswith(("403", "407")) or "auth" in text)


def tls_problem(error: BaseException | None) -> str:
    """Return OpenSSL's name of a TLS failure, such as `CERTIFICATE_VERIFY_FAILED`, or an empty string."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return str(error.reason or "TLS")
        if isinstance(error, httpx.ConnectError) and (found := re.search(r"\[SSL: ([A-Z0-9_]+)\]", str(error))):
            return "" if "EOF" in found[1] else found[1]
        error = error.__cause__ or error.__context__
    return ""


def detail_of(error: BaseException) -> str:
    """Return the server's explanation: the `detail` of a JSON response, else the response's text."""
    response = response_of(error)
    if response is None:
        return str(error)
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return str(response.text)
    return detail if isinstance(detail, str) else json.dumps(detail)


def reason(error: BaseException | None) -> str:
    """Return a single-line reason why a request failed."""
    response = response_of(error)
    if response is not None and error is not None:
        detail = "" if response.is_redirect else " ".join(detail_of(error).split())
        return f"HTTP {response.status_code}" + (f", {detail[:300]}" if detail else "")
    if isinstance(error, _NOT_JSON):
        return "the response is not JSON, so the server is not Phoenix, or a proxy or sign-in page is in front of it"
    return f"{type(error).__name__}: {str(error) or 'no details'}"


def response_of(error: BaseException | None) -> httpx.Response | None:
    """Return the response of an error or of its causes, or None."""
    while error is not None:
        response: httpx.Response | None = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__
    return None
