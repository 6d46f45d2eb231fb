"""Let the shards of a pipeline run agree on one experiment, by claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


T = TypeVar("T")


class Claims:
    """The claims on a server, each held by one experiment.

    Only the name of a project is unique among what several jobs could create at once, on SQLite and on PostgreSQL
    alike. So a claim is a project without traces, whose description is the experiment's id.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def holder(self, claim: str) -> str | None:
        """Return the id of the experiment that has a claim, if there is one.

        Raises:
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        what = "look for the experiment of this pipeline run"
        return self._connection.fetch(what, lambda rest: rest.project_description(claim))

    def take(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment, unless another one has the claim already; return the id of the claim's holder.

        Raises:
            PhoenixError: Phoenix gave no usable answer within the policy.
        """

        def create_or_read(rest: Rest) -> str:
            try:
                rest.create_project(claim, experiment_id)
            except Exception:
                holder = _despite_reset(lambda: rest.project_description(claim))
                if holder is None:
                    raise
                return holder  # perhaps this very experiment, of which the answer was lost
            return experiment_id

        return self._connection.fetch("agree on the experiment of this pipeline run", create_or_read)


def _despite_reset(request: Callable[[], T]) -> T:
    """Make a request after a refused one: Phoenix resets the connection that it answered with a 500."""
    try:
        return request()
    except httpx.TransportError:
        return request()
