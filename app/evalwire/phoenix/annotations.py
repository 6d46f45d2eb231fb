"""People's annotations on the traces of runs: read and write."""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from evalwire.model import Label, count, label_value, source_facts
from evalwire.phoenix.request_errors import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from evalwire.model import ExperimentResult, TaskRun
    from evalwire.phoenix.connection import Connection
    from evalwire.phoenix.rest import Rest


log = logging.getLogger("evalwire.phoenix")

_MOST_IDS = 100  # in a request: Phoenix accepts 1,000, but proxies limit an address to 8 kB


class Annotations:
    """People's annotations on the root spans of runs.

    An annotation on a span has the annotator as its identifier. Each person therefore has an annotation of each name,
    and a changed label replaces only the person's own. An annotation on a run would replace the evaluator's score.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._roots: dict[str, list[tuple[str, str]]] = {}  # project and span IDs by trace ID, the first span first

    def people(self, experiment: ExperimentResult, name: str) -> list[Label]:
        """Return the labels that people gave the runs of an experiment, in the order of the runs.

        A label is a word that `label_value` knows, or else a score. Other annotations are left out with a warning.

        Args:
            experiment: the recorded experiment, with its runs.
            name: the name of the annotations.

        Raises:
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        found, unknown = [], 0
        for run, annotation in self._annotations(experiment, experiment.runs, name):
            result = annotation.get("result") or {}
            value = label_value(result.get("label") or "")
            is_score = value is None
            if value is None:
                value = result.get("score")
            if value is None:
                unknown += 1
                continue
            found.append(
                Label(
                    value=float(value),
                    example_id=run.example.id,
                    repetition=run.repetition,
                    experiment_id=experiment.experiment_id,
                    run_id=run.id or "",
                    annotator=_annotator(annotation),
                    is_score=is_score,
                    note=result.get("explanation") or "",
                )
            )
        if unknown:
            ignored = count(unknown, "annotation")
            log.warning("ignored %s of people with the name %r: unknown label, and no score", ignored, name)
        return found

    def write(
        self, experiment: ExperimentResult, labels: Iterable[Label], name: str, *, is_patient: bool = True
    ) -> list[Label]:
        """Write labels as annotations, replacing the annotators' own; return the labels of runs without a trace.

        Args:
            experiment: the recorded experiment, with its runs.
            labels: the labels, each with the ID of the run.
            name: the name of the annotations.
            is_patient: whether to retry.

        Raises:
            PhoenixError: Phoenix did not accept the annotations.
        """
        runs = _by_id(experiment)
        labels = list(labels)
        self._look_up(
            experiment, [runs[label.run_id] for label in labels if label.run_id in runs], is_patient=is_patient
        )
        rows, without = [], []
        for label in labels:
            run = runs.get(label.run_id)
            roots = self._roots.get(run.trace_id or "") if run else None
            if roots:
                rows.append(_row(label, roots[0][1], name))
            else:
                without.append(label)
        send = self._connection.fetch if is_patient else self._connection.fetch_once
        for part in _parts(rows):
            send("write people's labels", partial(_annotate, rows=part))
        return without

    def remove(
        self, experiment: ExperimentResult, labels: Iterable[Label], name: str, *, is_patient: bool = True
    ) -> None:
        """Remove the annotations that the annotators of these labels gave their runs; other annotations remain.

        Args:
            experiment: the recorded experiment, with its runs.
            labels: the labels, each with the ID of the run.
            name: the name of the annotations.
            is_patient: whether to retry.

        Raises:
            PhoenixError: Phoenix did not remove the annotations.
        """
        runs = _by_id(experiment)
        wanted = {(label.run_id, label.annotator) for label in labels}
        concerned = [runs[run_id] for run_id, _ in wanted if run_id in runs]
        found = self._annotations(experiment, concerned, name, is_patient=is_patient)
        ids = [each["id"] for run, each in found if (run.id, each.get("identifier") or "") in wanted]
        send = self._connection.fetch if is_patient else self._connection.fetch_once
        if ids:
            send("remove people's labels", lambda rest: rest.delete_span_annotations(ids))

    def _annotations(
        self, experiment: ExperimentResult, runs: Sequence[TaskRun], name: str, *, is_patient: bool = True
    ) -> Iterator[tuple[TaskRun, Mapping[str, Any]]]:
        """Yield people's annotations on runs, an annotation for each run and annotator."""
        self._look_up(experiment, runs, is_patient=is_patient)
        fetch = self._connection.fetch if is_patient else self._connection.fetch_once
        spans = [root for run in runs for root in self._roots.get(run.trace_id or "", ())]
        by_span: dict[str, list[Mapping[str, Any]]] = {}
        for project in dict.fromkeys(project for project, _ in spans):
            for part in _parts([span for own, span in spans if own == project]):
                read = partial(_read, project=project, span_ids=part, name=name)
                for each in fetch("read people's labels", read):
                    by_span.setdefault(each["span_id"], []).append(each)
        for run in runs:
            seen = set()
            for _, span in self._roots.get(run.trace_id or "", ()):
                for each in by_span.get(span, ()):
                    if _annotator(each) not in seen:
                        seen.add(_annotator(each))
                        yield run, each

    def _look_up(self, experiment: ExperimentResult, runs: Iterable[TaskRun], *, is_patient: bool) -> None:
        """Look up the root spans of runs; the runs of new scores may have the traces of the scored experiment."""
        fetch = self._connection.fetch if is_patient else self._connection.fetch_once
        wanted = {run.trace_id for run in runs if run.trace_id} - self._roots.keys()
        if wanted and experiment.project_name:
            self._roots |= fetch("find traces", lambda rest: _roots(rest, experiment.project_name or "", wanted))
        source = str((source_facts(experiment.experiment_metadata) or {}).get("experiment") or "")
        if (missing := wanted - self._roots.keys()) and source:
            self._roots |= fetch("find the traces of the scored experiment", lambda rest: _of(rest, source, missing))


def _of(rest: Rest, experiment_id: str, trace_ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Return the root spans of traces of an experiment; none if it was deleted."""
    try:
        project = rest.experiment(experiment_id).get("project_name")
    except Exception as error:
        if status_of(error) in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
            return {}
        raise
    return _roots(rest, str(project), trace_ids) if project else {}


def _roots(rest: Rest, project: str, trace_ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for part in _parts(sorted(trace_ids)):
        try:
            spans = sorted(rest.root_spans(project, part), key=lambda span: str(span["start_time"]))
        except Exception as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:  # the project was deleted
                return {}
            raise
        for span in spans:
            found.setdefault(span["context"]["trace_id"], []).append((project, span["context"]["span_id"]))
    return found


def _read(rest: Rest, project: str, span_ids: Sequence[str], name: str) -> list[Mapping[str, Any]]:
    """Return the annotations that people gave spans, newest first."""
    try:
        return [
            each for each in rest.span_annotations(project, span_ids, name) if each.get("annotator_kind") == "HUMAN"
        ]
    except Exception as error:
        if status_of(error) == HTTPStatus.NOT_FOUND:  # the spans were deleted
            return []
        raise


def _annotate(rest: Rest, rows: Sequence[Mapping[str, Any]]) -> None:
    rest.annotate_spans(rows)


def _row(label: Label, span_id: str, name: str) -> dict[str, Any]:
    result = {"label": label.word, "score": label.value, "explanation": label.note}
    return {
        "span_id": span_id,
        "name": name,
        "annotator_kind": "HUMAN",
        "identifier": label.annotator,
        "result": {key: part for key, part in result.items() if part != ""},
    }


def _annotator(annotation: Mapping[str, Any]) -> str:
    """Return the annotator that evalwire wrote, or Phoenix's user."""
    return str(annotation.get("identifier") or annotation.get("user_id") or "")


def _by_id(experiment: ExperimentResult) -> dict[str, TaskRun]:
    return {run.id: run for run in experiment.runs if run.id}


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _MOST_IDS):
        yield rows[start : start + _MOST_IDS]
