"""Put the parts of a Phoenix server behind one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from evalwire.phoenix.claims import Claims
from evalwire.phoenix.connection import Connection
from evalwire.phoenix.datasets import Datasets
from evalwire.phoenix.experiments import Experiments
from evalwire.phoenix.recorded import RecordedExperiments
from evalwire.phoenix.retry_policy import RetryPolicy
from evalwire.phoenix.runs import Runs
from evalwire.phoenix.spans import Spans
from evalwire.phoenix.uploads import Uploads

if TYPE_CHECKING:
    from phoenix.client import Client


class Phoenix:
    """A Phoenix server.

    Attributes:
        client: Phoenix's.
        datasets: read, with their examples.
        uploads: datasets as uploads read and write them.
        experiments: created, found, tagged and deleted, without their runs.
        claims: by which the shards of a pipeline run agree on an experiment.
        runs: recorded and read, with their evaluations.
        recorded: experiments that anybody recorded, read back as results.
        spans: delivered.

    Args:
        client: a `phoenix.client.Client`.
        fetch: the policy for reads, and for what nobody paid for.
        record: the policy for what was paid for; by default that for reads.
        public_endpoint: the server's address for people; by default the client's.
        proxy: the variable that named the proxy on the way, for errors; empty without one.

    Raises:
        PhoenixError: the client is not a `phoenix.client.Client`.
    """

    def __init__(
        self,
        client: Client,
        *,
        fetch: RetryPolicy | None = None,
        record: RetryPolicy | None = None,
        public_endpoint: str | None = None,
        proxy: str = "",
    ) -> None:
        fetch = fetch or RetryPolicy()
        connection = Connection(client, fetch=fetch, record=record or fetch, proxy=proxy)
        self.client = client
        self.datasets = Datasets(connection)
        self.uploads = Uploads(connection)
        self.experiments = Experiments(connection, self.datasets, public_endpoint=public_endpoint)
        self.claims = Claims(connection)
        self.runs = Runs(connection)
        self.recorded = RecordedExperiments(connection, self.datasets, self.experiments, self.runs)
        self.spans = Spans(connection)
        self._connection = connection

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return self._connection.endpoint

    def version(self) -> str:
        """Return the server's version, or "unknown", after a request that shows that the credentials are accepted.

        Raises:
            PhoenixError: not reachable, refused, or not a Phoenix.
        """
        self._connection.fetch("list the datasets", lambda rest: rest.list_one_dataset())
        try:
            return self._connection.single_try().server_version()
        except httpx.HTTPError:  # the server did answer, and accepted the credentials
            return "unknown"
