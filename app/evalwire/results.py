"""`ResultCollector`, which reads recorded experiments in scripts."""

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
    """Reads recorded experiments, from evalwire or other tools.

        from phoenix.client import Client
        from evalwire.results import ResultCollector

        results = ResultCollector(Client())
        results.export("RXhwZXJpbWVudDox", "csv", "results.csv")

    Every method raises `ExperimentNotFound` for an unknown ID, and `PhoenixError` if Phoenix does not send a valid
    response. Both are subclasses of `EvalwireError`.

    Args:
        client: a `phoenix.client.Client`, or an object with the public `datasets` and `experiments` of a client, such
            as a wrapper or a mock. For such objects, `get` returns the value of `experiments.get_experiment`, and
            requests are not retried.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, experiment_id: str) -> ExperimentResult:
        """Return an experiment with all runs and evaluations.

        Returns:
            A mapping with the keys of Phoenix's `RanExperiment` (`experiment_id`, `dataset_id`, `task_runs`,
            `evaluation_runs`, ...). It also has attributes, such as `runs`, `not_run` and `scores`.
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
        """Write an experiment to a file, with a row for each run; missing runs have the error `not run`.

        Args:
            experiment_id: Phoenix's ID of the experiment.
            format: `csv` or `json`.
            path: the path of the file, which is replaced atomically; `<id>.<format>` by default.

        Returns:
            The file's path.

        Raises:
            UsageError: (a ValueError) the format is unknown, or the file cannot be written.
        """
        path = Path(path) if path is not None else Path(f"{experiment_id}.{format}")
        return export_experiment(self._phoenix, experiment_id, format_=format, path=path, mask=str).path

    def compare(self, experiment_id_a: str, experiment_id_b: str) -> dict[str, dict[str, Any]]:
        """Compare the scores of two experiments.

        For an evaluator that returns bools, the score is the fraction of all runs that passed, from 0 to 1. Failed and
        missing runs did not pass. For other evaluators, the score is the mean of the existing scores. Runs to which an
        evaluator does not apply are excluded. Evaluations of failed tasks are ignored, because these have no output.

        Returns:
            A dict by evaluation name. `score_a` and `score_b` are the scores, None without a score. `delta` is b - a,
            None if either score is None. `errors_a` and `errors_b` are the numbers of runs without the evaluation
            because the task failed, the evaluator failed, or the run is missing. They are None if no run of the
            experiment has the evaluation.
        """
        server = self._phoenix
        scored_a, scored_b = (_scored(counted_result(server, id_)) for id_ in (experiment_id_a, experiment_id_b))
        return {name: _compared(scored_a.get(name), scored_b.get(name)) for name in sorted({*scored_a, *scored_b})}

    def report(self, experiment_id: str) -> str:
        """Return a Markdown report on an experiment: the number of runs, the scores, and the failures."""
        return experiment_report(self._phoenix, experiment_id)

    @property
    def _phoenix(self) -> Phoenix | PublicClient:
        if phoenix.has_public_calls_only(self._client):
            return phoenix.PublicClient(self._client)
        return phoenix.Phoenix(self._client)


Scored = tuple[float | None, int | None]  # the score, and the number of runs without it


def _scored(result: ExperimentResult) -> dict[str, Scored]:
    return {
        score.name: (score.mean if score.pass_rate is None else score.pass_rate, result.expected_runs - score.given)
        for score in result.scores
    }


def _compared(a: Scored | None, b: Scored | None) -> dict[str, Any]:
    (score_a, errors_a), (score_b, errors_b) = a or (None, None), b or (None, None)
    return {
        "score_a": score_a,
        "score_b": score_b,
        "delta": None if score_a is None or score_b is None else difference(score_b, score_a),
        "errors_a": errors_a,
        "errors_b": errors_b,
    }
