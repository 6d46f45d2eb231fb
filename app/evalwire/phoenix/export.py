"""Export of an experiment's runs as rows, read from a file because they may not fit into memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from evalwire.model import EMPTY
from evalwire.phoenix.json_stream import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalwire.phoenix.rest import Rest


NOT_RUN = "not run"  # the error of a missing run

_PART = 65_536  # bytes of a document in each read

_OF_AN_EVALUATION = (
    "name",
    "annotator_kind",
    "score",
    "label",
    "explanation",
    "error",
    "metadata",
    "start_time",
    "end_time",
    "trace_id",
)


@dataclass(frozen=True, slots=True)
class Note:
    """The data about an example that a document of runs does not contain: position, ID and metadata."""

    position: int
    id: str
    metadata: Mapping[str, Any]


def example_notes(rest: Rest, record: Mapping[str, Any]) -> dict[str, Note]:
    """Return notes on all examples of an experiment's dataset version, by node ID."""
    examples = rest.examples(record["dataset_id"], record["dataset_version_id"])
    return {
        example["node_id"]: Note(position, str(example["id"]), example.get("metadata") or EMPTY)
        for position, example in enumerate(examples)
    }


def incomplete_runs(rest: Rest, experiment_id: str) -> list[dict[str, Any]]:
    """Return placeholders for the missing and failed runs of an experiment, in the form of its document."""
    return [
        {
            "example_id": entry["dataset_example"]["node_id"],
            "repetition_number": repetition,
            "input": entry["dataset_example"]["input"],
            "reference_output": entry["dataset_example"]["output"],
            "output": None,
            "error": NOT_RUN,
            "annotations": [],
        }
        for entry in rest.incomplete_runs(experiment_id)
        for repetition in entry["repetition_numbers"]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A downloaded experiment.

    Attributes:
        experiment: Phoenix's record of the experiment, with the actual counts of rows.
        evaluations: the sorted names of all evaluations.
        notes: notes on the examples, by node ID.
        not_run: placeholders for missing runs, in the form of the document.
        document: the runs, as Phoenix's JSON document.
    """

    experiment: Mapping[str, Any]
    evaluations: Sequence[str]
    notes: Mapping[str, Note]
    not_run: Sequence[Mapping[str, Any]]
    document: BinaryIO

    @classmethod
    def of(
        cls,
        record: Mapping[str, Any],
        document: BinaryIO,
        *,
        notes: Mapping[str, Note],
        incomplete: Sequence[Mapping[str, Any]],
    ) -> Recording:
        """Return a recording after a first pass over a document of runs.

        Args:
            record: Phoenix's record of the experiment.
            document: the document with the runs.
            notes: the notes on the examples.
            incomplete: placeholders for the runs that were missing or failed before the document was read.

        Raises:
            json.JSONDecodeError: the document is not JSON.
        """
        names: set[str] = set()
        made: set[tuple[str, int]] = set()
        failed = 0
        for run in _items(document):
            names.update(annotation["name"] for annotation in run["annotations"])
            made.add(_key(run))
            failed += bool(run.get("error"))
        not_run = [run for run in incomplete if _key(run) not in made]
        counts = {
            "successful_run_count": len(made) - failed,
            "failed_run_count": failed,
            "missing_run_count": len(not_run),
        }
        return cls(
            experiment={**record, **counts},
            evaluations=sorted(names),
            notes=notes,
            not_run=not_run,
            document=document,
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield made and missing runs, in the dataset's order, then by repetition.

        The file is read during the iteration. Finish an iteration before starting another.
        """
        made = ((self._place(run), run) for run in _items(self.document))
        never = sorted(((self._place(run), run) for run in self.not_run), key=lambda pair: pair[0])
        for _, run in heapq.merge(made, never, key=lambda pair: pair[0]):
            yield _row(run, self.notes.get(run["example_id"]))

    def _place(self, run: Mapping[str, Any]) -> tuple[int, int]:
        note = self.notes.get(run["example_id"])
        return note.position if note else len(self.notes), int(run["repetition_number"])


def _items(document: BinaryIO) -> Iterator[Any]:
    document.seek(0)
    return items(iter(partial(document.read, _PART), b""))


def _key(run: Mapping[str, Any]) -> tuple[str, int]:
    """Return the key of a run within its experiment."""
    return run["example_id"], int(run["repetition_number"])


def _row(run: Mapping[str, Any], note: Note | None) -> dict[str, Any]:
    latency = run.get("latency_ms")
    return {
        "example_id": note.id if note else run["example_id"],
        "example_node_id": run["example_id"],
        "repetition": int(run["repetition_number"]),
        "input": run["input"],
        "expected": run["reference_output"],
        "metadata": note.metadata if note else EMPTY,
        "output": run["output"],
        "error": run.get("error"),
        "latency_seconds": None if latency is None else round(latency / 1000, 6),
        "start_time": run.get("start_time"),
        "end_time": run.get("end_time"),
        "trace_id": run.get("trace_id"),
        "evaluations": [
            {key: annotation.get(key) for key in _OF_AN_EVALUATION}
            for annotation in sorted(run["annotations"], key=lambda annotation: str(annotation["name"]))
        ],
    }
