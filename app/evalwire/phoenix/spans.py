"""Deliver spans to Phoenix."""

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
        """Deliver spans to a project in one try; return how many Phoenix did not take.

        Phoenix refuses a whole batch for one span that it already has (a user's own exporter may have sent it)
        or cannot read, so these are left out and the others sent again.

        Raises:
            PhoenixUnreachable: Phoenix is away; not once records were given up for that.
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
                log.debug("Phoenix did not take %d spans: %s", len(spans), reason(error))
                return len(spans)
            return len(invalid) + (self.deliver(project, rest) if rest else 0)
        return 0
