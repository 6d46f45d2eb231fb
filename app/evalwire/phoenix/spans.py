"""Delivery of spans to Phoenix."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalwire.errors import PhoenixUnreachable
from evalwire.phoenix.request_errors import is_away, is_transient, reason

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection


log = logging.getLogger("evalwire.phoenix")


class Spans:
    """The spans of a server's projects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def deliver(self, project: str, spans: Sequence[Mapping[str, Any]]) -> int:
        """Deliver spans to a project in a single attempt; return the number of spans that Phoenix did not accept.

        Phoenix refuses a whole batch because of a single duplicate or invalid span. A user's exporter may have sent
        duplicates. The other spans are then sent again.

        Raises:
            PhoenixUnreachable: Phoenix is unavailable, and recording was not given up before.
        """
        try:
            self._connection.single_try().log_spans(project, spans)
        except Exception as error:
            known = {span.get("span_id") for span in getattr(error, "duplicate_spans", ())}
            invalid = {span.get("span_id") for span in getattr(error, "invalid_spans", ())}
            rest = [span for span in spans if span["context"]["span_id"] not in known | invalid]
            if len(rest) == len(spans):
                if is_away(error) and not self._connection.gave_up:
                    raise PhoenixUnreachable(reason(error)) from error
                if is_transient(error) and not self._connection.gave_up:
                    raise
                log.debug("Phoenix did not accept %d spans: %s", len(spans), reason(error))
                return len(spans)
            return len(invalid) + (self.deliver(project, rest) if rest else 0)
        return 0
