"""Delivery of spans to Phoenix."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from evalwire.errors import PhoenixUnreachable
from evalwire.phoenix.request_errors import is_away, is_transient, reason

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection


log = logging.getLogger("evalwire.phoenix")


class Spans:
    """The spans of a server's projects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def deliver(self, request: bytes, count: int) -> int:
        """Send an OTLP request in a single attempt; return the number of spans that Phoenix did not accept.

        Phoenix answers before it inserts the spans. It ignores spans that it already has.

        Args:
            request: the request, as protobuf.
            count: the number of spans in it.

        Raises:
            PhoenixUnreachable: Phoenix is unavailable, and recording was not given up before.
        """
        try:
            self._connection.single_try().send_spans(request)
        except Exception as error:
            if is_away(error) and not self._connection.gave_up:
                raise PhoenixUnreachable(reason(error)) from error
            if is_transient(error) and not self._connection.gave_up:
                raise
            log.debug("Phoenix did not accept %d spans: %s", count, reason(error))
            return count
        return 0
