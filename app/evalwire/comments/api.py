"""Requests to the API of GitHub or GitLab."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self

import httpx

from evalwire.errors import CommentError, CommentRefused

_TIMEOUT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 60.0
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class Unavailable(CommentError):
    """The API did not respond, or had a temporary error.

    Attributes:
        wait_seconds: the wait that the API requested.
    """

    def __init__(self, message: str, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = min(wait_seconds, _LONGEST_WAIT_SECONDS)


class Api:
    """The REST API of a CI system.

    Args:
        url: the URL of the API.
        headers: the headers of each request, with the token.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers={"User-Agent": "evalwire", **headers}, timeout=_TIMEOUT_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, method: str, path: str, content: object = None) -> tuple[Any, Mapping[str, str]]:
        """Send a request; return the content and the headers of the response.

        Raises:
            CommentRefused: the response is a 401, 403 or 404.
            Unavailable: no response, a rate limit or a server error.
            CommentError: the API rejected the request.
        """
        try:
            response = self._http.request(method, path, json=content)
            if response.is_success:
                return response.json(), response.headers
        except (httpx.TransportError, httpx.DecodingError, ValueError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        raise _error(response)


def _error(response: httpx.Response) -> CommentError:
    status = response.status_code
    text = f"HTTP {status}: {_message(response)}"
    wait = response.headers.get("Retry-After", "")
    is_rate_limit = status == HTTPStatus.TOO_MANY_REQUESTS or response.headers.get("X-RateLimit-Remaining") == "0"
    if is_rate_limit or wait or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(text, float(wait) if wait.isdigit() else 0.0)
    return (CommentRefused if status in _REFUSALS else CommentError)(text)


def _message(response: httpx.Response) -> str:
    try:
        content = response.json()
        text = content.get("message") or content.get("error") or content
    except (ValueError, AttributeError):
        text = response.reason_phrase
    return " ".join(str(text).split())[:300]
