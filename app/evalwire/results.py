"""`ResultCollector`: the door for scripts to recorded experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import phoenix
from evalwire.jobs import counted_result, experiment_report, export_experiment
from evalwire.model import difference

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.model import ExperimentResult
    from evalwire.phoenix import Phoenix, PublicClient


class ResultCollector:
    """Reads recorded experiments back, whoever recorded them.

        from phoenix.client import Client
        from evalwire.results import ResultCollector

        results = ResultCollector(Client())
        results.export("RXhwZXJpbWVudDox", "csv", "results.csv")

    Every method raises `ExperimentNotFound` for an id that Phoenix does not know, and `PhoenixError` where Phoenix
    gives no usable answer; both are an `EvalwireError`.

    Args:
        client: a `phoenix.client.Client`, or anything with its public `datasets` and `experiments`, such as a facade or
            a mock: there `get` returns what `experiments.get_experiment` does, and there are no retries.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, experiment_id: str) -> ExperimentResult:
        """An experiment with all its runs, and every evaluation that Phoenix has of them.

        Returns:
            A mapping with the keys of Phoenix's `RanExperiment` (`experiment_id`, `dataset_id`, `task_runs`,
            `evaluation_runs`, ...), which has attributes too: `runs`, `not_run`, `scores`, ...
        """
        server = self._phoenix
        if isinstance(server, phoenix.PublicClient):
            found: ExperimentResult = server.get(experiment_id)
            return found
        return server.recorded.result(experiment_id, is_whole=True)

    def export(
        self,
        experiment_id: str,
        format: str = "json",  # noqa: A002 - the name is a contract
        path: str | Path | None = None,
    ) -> Path:
        """Write an experiment to a file, one row for each run; what was never run has the error `not run`.

        Args:
            experiment_id: Phoenix's.
            format: `csv` or `json`.
            path: of the file, which appears whole or not at all; `<id>.<format>` by default.

        Returns:
            The file's path.

        Raises:
            UsageError: (a ValueError) another format, or the file cannot be written.
        """
        return export_experiment(
            self._phoenix, experiment_id, format_=format, path=Path(path) if path is not None else None, mask=str
        ).path

    def compare(self, experiment_id_a: str, experiment_id_b: str) -> dict[str, dict[str, Any]]:
        """Compare the scores of two experiments.

        The score of an evaluator that returns bools is the share of all runs that passed: a run that failed, or was
        never made, did not. That of any other evaluator is the mean of the scores there are. Runs that an evaluator
        does not apply to are in neither. What evaluators said of the output of a failed task does not count, as there
        was none.

        Returns:
            By the name of the evaluation: `score_a` and `score_b`, None where there is no score; `delta`, b less a,
            None where one of them is; `errors_a` and `errors_b`, how many runs have no such evaluation because the
            task failed, the evaluator failed, or they were never made, None where the experiment has it nowhere.
        """
        server = self._phoenix
        there, here = (_scored(counted_result(server, one)) for one in (experiment_id_a, experiment_id_b))
        return {name: _beside(there.get(name), here.get(name)) for name in sorted({*there, *here})}

    def report(self, experiment_id: str) -> str:
        """An experiment as a page of Markdown: how many runs there are, the scores, and what failed."""
        return experiment_report(self._phoenix, experiment_id)

    @property
    def _phoenix(self) -> Phoenix | PublicClient:
        if phoenix.has_public_calls_only(self._client):
            return phoenix.PublicClient(self._client)
        return phoenix.Phoenix(self._client)


Scored = tuple[float | None, int | None]  # the score, and how many runs have none


def _scored(result: ExperimentResult) -> dict[str, Scored]:
    return {
        one.name: (one.mean if one.pass_rate is None else one.pass_rate, result.expected_runs - one.given)
        for one in result.scores
    }


def _beside(a: Scored | None, b: Scored | None) -> dict[str, Any]:
    (score_a, errors_a), (score_b, errors_b) = a or (None, None), b or (None, None)
    return {
        "score_a": score_a,
        "score_b": score_b,
        "delta": None if score_a is None or score_b is None else difference(score_b, score_a),
        "errors_a": errors_a,
        "errors_b": errors_b,
    }
