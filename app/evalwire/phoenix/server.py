"""The interface to a Phoenix server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from evalwire.phoenix.annotations import Annotations
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
        datasets: the datasets with their examples, for reading.
        uploads: the datasets, for uploads.
        testsets: the datasets, for a comparison with a testset; requests are not retried.
        experiments: the experiments without runs: create, find, tag and delete.
        claims: the claims by which the shards of a pipeline run agree on an experiment.
        runs: the runs with their evaluations: record and read.
        recorded: the recorded experiments, read as results.
        spans: the delivery of spans.
        annotations: people's annotations on the traces of runs.

    Args:
        client: a connection to the server, or a `phoenix.client.Client` with one.
        fetch: the policy for reads, and for writes that are cheap to repeat.
        record: the policy for paid results; `fetch` by default.
        public_endpoint: the server's address in links; the client's address by default.
        proxy: the name of the variable with the proxy, for errors; empty without a proxy.

    Raises:
        PhoenixError: the client has no connection.
    """

    def __init__(
        self,
        client: Client | httpx.Client,
        *,
        fetch: RetryPolicy | None = None,
        record: RetryPolicy | None = None,
        public_endpoint: str | None = None,
        proxy: str = "",
    ) -> None:
        fetch = fetch or RetryPolicy()
        connection = Connection(client, fetch=fetch, record=record or fetch, proxy=proxy)
        self.datasets = Datasets(connection)
        self.uploads = Uploads(connection)
        self.testsets = Uploads(connection, is_patient=False)
        self.experiments = Experiments(connection, self.datasets, public_endpoint=public_endpoint)
        self.claims = Claims(connection)
        self.runs = Runs(connection)
        self.recorded = RecordedExperiments(connection, self.datasets, self.experiments, self.runs)
        self.spans = Spans(connection)
        self.annotations = Annotations(connection)
        self._connection = connection

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return self._connection.endpoint

    def version(self) -> str:
        """Return the server's version, or "unknown", after checking the credentials.

        Raises:
            PhoenixError: the server is unreachable, refused the request, or is not Phoenix.
        """
        self._connection.fetch("list the datasets", lambda rest: rest.check_credentials())
        try:
            return self._connection.single_try().server_version()
        except httpx.HTTPError:  # the credentials were accepted; only the version is missing
            return "unknown"
