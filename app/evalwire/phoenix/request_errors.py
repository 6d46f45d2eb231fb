"""Read the errors of requests: the status, the server's explanation, and whether a retry may help."""

from __future__ import annotations

import json
import re
import ssl
from http import HTTPStatus

import httpx

_RETRIED_4XX = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)

# ValueErrors of decoding: a page in another encoding, half of a letter
_NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError)


def is_transient(error: BaseException | None) -> bool:
    """Check whether the same request may succeed a moment later: no answer, 429, a 5xx, or half a body."""
    status = status_of(error)
    if status is not None:
        return status in _RETRIED_4XX or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, httpx.UnsupportedProtocol) or is_refused_by_proxy(error) or tls_problem(error):
        return False
    return isinstance(error, (httpx.TransportError, httpx.DecodingError, *_NOT_JSON))


def is_away(error: BaseException | None) -> bool:
    """Check whether a server does not answer at present: no connection, no time, or a proxy that says so."""
    status = status_of(error)
    return is_transient(error) and status != HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, _NOT_JSON)


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status that an error carries, or None."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def is_refused_by_proxy(error: BaseException | None) -> bool:
    """Check whether a proxy on the way does not let this job through, for its credentials or for the address."""
    text = str(error).lower()
    return isinstance(error, httpx.ProxyError) and (text.startswith(("403", "407")) or "auth" in text)


def tls_problem(error: BaseException | None) -> str:
    """Return OpenSSL's name of why no TLS connection came about, such as `CERTIFICATE_VERIFY_FAILED`, or ""."""
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
    """Return the server's explanation: the `detail` of its JSON answer, or the answer's text."""
    response = response_of(error)
    if response is None:
        return str(error)
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return str(response.text)
    return detail if isinstance(detail, str) else json.dumps(detail)


def reason(error: BaseException | None) -> str:
    """Return one line on why a request failed."""
    response = response_of(error)
    if response is not None and error is not None:
        detail = "" if response.is_redirect else " ".join(detail_of(error).split())
        return f"HTTP {response.status_code}" + (f", {detail[:300]}" if detail else "")
    if isinstance(error, _NOT_JSON):
        return "the answer is not JSON, so this is no Phoenix, or a page or a proxy is in front of it"
    return f"{type(error).__name__}: {str(error) or 'no details'}"


def response_of(error: BaseException | None) -> httpx.Response | None:
    """Return the answer that an error carries, itself or as its cause."""
    while error is not None:
        response: httpx.Response | None = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__
    return None
