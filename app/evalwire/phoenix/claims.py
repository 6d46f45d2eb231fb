"""Claims, by which the shards of a pipeline run agree on an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

if TYPE_CHECKING:
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


T = TypeVar("T")


class Claims:
    """The claims on a server; each claim belongs to an experiment.

    Several jobs may claim at the same time. Of the objects that they could create, only projects have unique names, on
    SQLite and on PostgreSQL. A claim is therefore a project without traces. The description is the experiment's ID.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def holder(self, claim: str) -> str | None:
        """Return the ID of the experiment that has a claim, or None.

        Raises:
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        what = "look for the experiment of this pipeline run"
        return self._connection.fetch(what, lambda rest: rest.project_description(claim))

    def take(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment, unless another experiment has the claim; return the ID of the claim's holder.

        Raises:
            PhoenixError: Phoenix did not send a valid response within the policy.
        """

        def create_or_read(rest: Rest) -> str:
            try:
                rest.create_project(claim, experiment_id)
            except Exception:
                holder = _despite_reset(lambda: rest.project_description(claim))
                if holder is None:
                    raise
                return holder  # possibly this experiment, if the response was lost
            return experiment_id

        return self._connection.fetch("agree on the experiment of this pipeline run", create_or_read)


def _despite_reset(request: Callable[[], T]) -> T:
    """Make a request after a failed request: Phoenix resets a connection after responding with a 500."""
    try:
        return request()
    except httpx.TransportError:
        return request()
