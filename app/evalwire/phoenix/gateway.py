"""What evalwire reads from Phoenix and writes to it; with `connection.py` the only module that knows its client."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from evalwire.errors import DatasetNotFound, DatasetUnfinished, ExperimentNotFound, PhoenixError, RunTaken
from evalwire.model import (
    CREATION_KEY,
    EMPTY,
    Dataset,
    Evaluation,
    Example,
    ExperimentResult,
    TaskRun,
    UnfinishedUpload,
    is_same_json,
    mark_count,
    own_metadata,
)
from evalwire.phoenix.connection import Connection
from evalwire.phoenix.dataset_store import DatasetStore
from evalwire.phoenix.export import Recording, example_notes, incomplete_runs
from evalwire.phoenix.records import place_of, read_runs, to_result
from evalwire.phoenix.retries import RetryPolicy, detail_of, is_transient, reason, status_of
from evalwire.phoenix.verification import missing_records

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from phoenix.client import Client


T = TypeVar("T")

log = logging.getLogger("evalwire.phoenix")

_UPLOAD_SECONDS = 900.0  # of one request of an upload, tries and waits included

_MOST_MARKS = 5  # tries to read a dataset between two uploads

_EXISTING_RUN = re.compile(r"Experiment run (\S+) already exists")


class Phoenix(Connection):
    """What is read from and written to a Phoenix server: datasets, experiments, runs, evaluations, spans."""

    def __init__(
        self,
        client: Client,
        *,
        fetch: RetryPolicy | None = None,
        record: RetryPolicy | None = None,
        public_endpoint: str | None = None,
    ) -> None:
        super().__init__(client, fetch=fetch, record=record, public_endpoint=public_endpoint)
        self._places: dict[str, tuple[str, str, int]] = {}  # of each run that was recorded, by its id
        self._created_once: set[str] = set()  # keys of creations that were answered at once

    @property
    def datasets(self) -> DatasetStore:
        """Its datasets, as uploads need them: requests that may take as long as all tries together.

        Raises:
            PhoenixError: the client is a stand-in without a connection.
        """
        rest = self._rest_to("upload datasets")
        patient = replace(self._fetch, longest_try_seconds=_UPLOAD_SECONDS, total_seconds=_UPLOAD_SECONDS)
        return DatasetStore(rest, lambda request, what: self._retrying(request, what, patient))

    def dataset(self, name: str, *, split: str | None = None, version_id: str | None = None) -> Dataset:
        """Fetch a version of a dataset, or of a split of it, examples included: by default the newest complete one.

        While an upload to it is not finished, that is the version before the upload.

        Raises:
            DatasetNotFound: no dataset has this name.
            DatasetUnfinished: an upload to it is not finished, and it held nothing before.
            PhoenixError: Phoenix refused, or gave no usable answer within the policy.
        """
        if version_id is not None:
            return self.dataset_version(self.dataset_id(name), version_id, split=split)
        for _ in range(_MOST_MARKS):
            record = self._dataset_record(name)
            unfinished = UnfinishedUpload.of(record.get("metadata"))
            if unfinished is not None:
                return self._before(unfinished, record, split)
            found = self._newest(name, split)
            if mark_count(self._dataset_record(name).get("metadata")) == mark_count(record.get("metadata")):
                return replace(_to_dataset(found), split=split)
        raise PhoenixError(f"the dataset {name!r} was uploaded again and again while it was read. Try again.")

    def _dataset_record(self, name: str) -> Mapping[str, Any]:
        """What Phoenix says of a dataset, its metadata included; nothing where there is none, or nobody to ask."""
        rest = self._rest()
        if rest is None:
            return EMPTY

        def fetch(timeout: int) -> Mapping[str, Any]:
            return next(iter(rest.datasets_named(name, timeout=timeout)), EMPTY)

        return self._retrying(fetch, f"find the dataset {name!r}", self._fetch)

    def _before(self, unfinished: UnfinishedUpload, record: Mapping[str, Any], split: str | None) -> Dataset:
        """The version of a dataset before the upload that is not finished."""
        if unfinished.base_version_id is None:
            raise DatasetUnfinished(
                f"the dataset {record['name']!r} in Phoenix at {self.endpoint} is not complete: an upload of "
                f"{unfinished.rows} examples to it is under way, or was interrupted.\n"
                "Wait for it, or repeat it with `evalwire upload`, which sends only what is missing."
            )
        log.warning(
            "%s: an upload of %s examples is under way or was interrupted; the dataset's version before it is used. "
            "To finish it, repeat `evalwire upload`.",
            record["name"],
            unfinished.rows,
        )
        return self.dataset_version(record["id"], unfinished.base_version_id, split=split)

    def _newest(self, name: str, split: str | None) -> Any:
        part: Any = {"splits": [split]} if split else {}

        def fetch(timeout: int) -> Any:
            try:
                found = self.client.datasets.get_dataset(dataset=name, timeout=timeout, **part)
                if getattr(found, "name", name) == name:
                    return found
                # the name reads like an id, and was taken for one
                return self.client.datasets.get_dataset(dataset={"name": name}, timeout=timeout, **part)
            except ValueError as error:
                if str(error).startswith("Dataset not found"):
                    raise DatasetNotFound(
                        f"Phoenix at {self.endpoint} has no dataset {name!r} (names are case-sensitive).\n"
                        "Upload it with `evalwire upload`, or rename the experiment's folder to the dataset's name."
                    ) from error
                raise

        what = f"fetch the dataset {name!r}" + (f", split {split!r}" if split else "")
        return self._retrying(fetch, what, self._fetch)

    def dataset_version(self, dataset_id: str, version_id: str, *, split: str | None = None) -> Dataset:
        """Fetch one version of a dataset, or of a split of it, by its ids.

        Raises:
            PhoenixError: Phoenix has none of these ids, refused, or gave no usable answer within the policy.
        """

        def fetch(timeout: int) -> Any:
            part: Any = {"splits": [split]} if split else {}
            which: Any = {"id": dataset_id}
            return self.client.datasets.get_dataset(dataset=which, version_id=version_id, timeout=timeout, **part)

        what = f"fetch version {version_id} of the dataset {dataset_id}"
        return replace(_to_dataset(self._retrying(fetch, what, self._fetch)), split=split)

    def create_experiment(
        self, dataset: Dataset, *, name: str, metadata: Mapping[str, Any], repetitions: int = 1, adopt: bool = False
    ) -> Mapping[str, Any]:
        """Create an experiment on this version of the dataset; Phoenix's record of it, with its `id`.

        A creation is not idempotent, so each one has a key of its own in the metadata under `CREATION_KEY`. After a
        lost answer, the experiment with this key is looked for before another is created.

        Args:
            dataset: what it runs on.
            name: its name in Phoenix.
            metadata: what is recorded with it, the key included.
            repetitions: how often each example is to run.
            adopt: look before the first try too: an earlier process may have created it.
        """
        key = str(metadata[CREATION_KEY])
        part: Any = {"splits": [dataset.split]} if dataset.split else {}
        tries = 0

        def create(timeout: int) -> Any:
            nonlocal tries
            tries += 1
            if (tries > 1 or adopt) and (twins := self._experiments_with(dataset.id, key, timeout)):
                return twins[0]
            return self.client.experiments.create(
                dataset_id=dataset.id,
                dataset_version_id=dataset.version_id,
                experiment_name=name,
                experiment_metadata=metadata,
                repetitions=repetitions,
                timeout=timeout,
                **part,
            )

        created: Mapping[str, Any] = self._retrying(create, f"create the experiment {name!r}", self._fetch)
        if tries == 1 and not adopt:
            self._created_once.add(key)
        return created

    def _experiments_with(self, dataset_id: str, key: str, timeout: int) -> list[Any]:
        found = self.client.experiments.list(dataset_id=dataset_id, timeout=timeout)
        return [one for one in found if (one.get("metadata") or {}).get(CREATION_KEY) == key]

    def is_sure_of(self, key: str) -> bool:
        """Whether the creation with this key was made here, once, and answered."""
        return key in self._created_once

    def remove_twins(self, dataset_id: str, key: str, *, keep: str) -> None:
        """Delete the empty experiment of a creation that Phoenix carried out after its answer was given up."""

        def remove(timeout: int) -> None:
            for twin in self._experiments_with(dataset_id, key, timeout):
                if twin["id"] != keep and not twin["successful_run_count"] and not twin["failed_run_count"]:
                    self.client.experiments.delete(experiment_id=twin["id"], delete_project=True)

        self._retrying(remove, "remove an experiment that was created twice", self._record)

    def remove_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and the project of its traces; nothing when it is gone."""

        def remove(timeout: int) -> None:  # noqa: ARG001 - the client's call has no time limit
            with contextlib.suppress(ValueError):  # it is gone
                self.client.experiments.delete(experiment_id=experiment_id, delete_project=True)

        self._retrying(remove, f"remove the experiment {experiment_id}", self._fetch)

    def claimed(self, claim: str) -> str | None:
        """The id of the experiment that has a claim, if there is one; see `claim`.

        Raises:
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        rest = self._rest_to("share experiments between jobs")
        what = "look for the experiment of this pipeline run"
        return self._retrying(lambda timeout: rest.project_description(claim, timeout=timeout), what, self._fetch)

    def claim(self, claim: str, experiment_id: str) -> str:
        """Claim for an experiment, unless another one has the claim already; the id of the one that has it.

        Of everything that several jobs could create at once, only the name of a project is unique, on SQLite and on
        PostgreSQL alike. So a claim is a project without traces, whose description is the experiment's id.

        Raises:
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        rest = self._rest_to("share experiments between jobs")

        def take(timeout: int) -> str:
            try:
                rest.create_project(claim, experiment_id, timeout=timeout)
            except Exception:
                holder = _despite_reset(lambda: rest.project_description(claim, timeout=timeout))
                if holder is None:
                    raise
                return holder  # perhaps this very experiment, of which the answer was lost
            return experiment_id

        return self._retrying(take, "agree on the experiment of this pipeline run", self._fetch)

    def experiment(self, experiment_id: str) -> Mapping[str, Any]:
        """An experiment's record, with the counts of its runs.

        Raises:
            ExperimentNotFound: there is none of this id.
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        rest = self._rest_to("read experiments")

        def fetch(timeout: int) -> Mapping[str, Any]:
            return rest.experiment(experiment_id, timeout=timeout)

        unknown = ExperimentNotFound(
            f"Phoenix at {self.endpoint} did not find the experiment {experiment_id!r}: it has none of this id.\n"
            "Is PHOENIX_ENDPOINT the server that it was recorded to?"
        )
        if not experiment_id.strip() or "/" in experiment_id:  # would ask for another page, which there may be
            raise unknown
        try:
            return self._retrying(fetch, f"find the experiment {experiment_id}", self._fetch)
        except PhoenixError as error:
            if status_of(error.__cause__) in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise unknown from error
            raise

    def experiment_url(self, dataset_id: str, experiment_id: str) -> str | None:
        """The experiment's page in Phoenix's UI, where the client can tell it."""
        try:
            url = str(self.client.experiments.get_experiment_url(dataset_id, experiment_id))
        except AttributeError:
            return None
        base = self._public_endpoint.rstrip("/") if self._public_endpoint else self.endpoint
        return f"{base}/datasets/{url.partition('/datasets/')[2]}"

    def log_run(self, experiment_id: str, run: TaskRun, *, error: str | None) -> str:
        """Record a run; its id. One that Phoenix has already is a success when it holds this very output.

        Raises:
            RunTaken: Phoenix has another output under this example and repetition.
            PhoenixError: Phoenix did not take the run.
        """

        def post(timeout: int) -> str:
            try:
                recorded = self.client.experiments.log_run(
                    experiment_id=experiment_id,
                    dataset_example_id=run.example.node_id,
                    output=run.output,
                    start_time=run.start_time,
                    end_time=run.end_time,
                    repetition_number=run.repetition,
                    trace_id=run.trace_id,
                    error=error,
                    timeout=timeout,
                )
            except Exception as refused:
                if status_of(refused) != HTTPStatus.CONFLICT:
                    raise
                held = self._held(experiment_id, run, refused, timeout)
                if held is None or error is not None or not is_same_json(held["output"], run.output):
                    raise RunTaken(
                        f"Phoenix at {self.endpoint} has another output for example {run.example.id} "
                        f"(repetition {run.repetition}) of this experiment, so this one was not recorded: "
                        "does another job write to the same experiment?"
                    ) from refused
                return str(held["id"])
            return str(recorded["id"])

        what = f"record the run of example {run.example.id}"
        run_id = self._retrying(post, what, self._record)
        place = (experiment_id, run.example.node_id, run.repetition)
        if self._places.setdefault(run_id, place) != place:  # such as from a cache in between
            raise PhoenixError(f"Phoenix at {self.endpoint} did not {what}: it answered with the run of another one.")
        return run_id

    def _held(self, experiment_id: str, run: TaskRun, refused: Exception, timeout: int) -> Mapping[str, Any] | None:
        """The run that Phoenix has in the place of `run`, by the id that its refusal names, else by looking for it."""
        rest = self._rest()
        if rest is None:
            return None
        known = _EXISTING_RUN.search(detail_of(refused))
        if known is not None:
            named = rest.run(experiment_id, known[1], timeout=timeout)
            candidates = iter([named] if named else [])
        else:
            candidates = rest.runs(experiment_id, timeout=timeout)
        place = (run.example.node_id, run.repetition)
        return next((one for one in candidates if place_of(one["dataset_example_id"], one) == place), None)

    def log_evaluation(self, run_id: str, evaluation: Evaluation, *, error: str | None) -> str:
        """Record an evaluation (an upsert by run and name, so a repeat changes nothing); its id."""

        def post(timeout: int) -> str:
            recorded = self.client.experiments.log_evaluation(
                experiment_run_id=run_id,
                name=evaluation.name,
                annotator_kind=evaluation.annotator_kind,
                start_time=evaluation.start_time,
                end_time=evaluation.end_time,
                score=evaluation.score,
                label=evaluation.label,
                explanation=evaluation.explanation,
                error=error,
                metadata=evaluation.metadata,
                trace_id=evaluation.trace_id,
                timeout=timeout,
            )
            return str(recorded["id"])

        return self._retrying(post, f"record the evaluation {evaluation.name!r}", self._record)

    def recorded_runs(self, experiment_id: str, dataset: Dataset) -> list[TaskRun]:
        """The runs that Phoenix has of an experiment, with their evaluations."""
        rest = self._rest()
        if rest is None:
            return []

        def fetch(timeout: int) -> list[TaskRun]:
            return read_runs(rest, experiment_id, dataset, timeout=timeout)

        return self._retrying(fetch, f"fetch the runs of the experiment {experiment_id}", self._fetch)

    def recorded_result(
        self, experiment_id: str, *, is_whole: bool = False, with_examples: bool = False
    ) -> ExperimentResult:
        """An experiment as the result that its run had, whoever recorded it.

        Args:
            experiment_id: Phoenix's.
            is_whole: with every evaluation that Phoenix has; else with those by which its run is judged.
            with_examples: with those that were not run, too.

        Raises:
            ExperimentNotFound: there is none of this id.
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        record = self.experiment(experiment_id)
        split = own_metadata(record.get("metadata")).get("split")
        dataset = self.dataset_version(record["dataset_id"], record["dataset_version_id"], split=split)
        url = self.experiment_url(dataset.id, experiment_id)
        found = self.recorded_runs(experiment_id, dataset)
        result = to_result(record, dataset, found, url=url, is_whole=is_whole)
        if with_examples and result.opened is not None:
            result = replace(result, opened=replace(result.opened, dataset=dataset))
        return result

    def recording(self, record: Mapping[str, Any], document: BinaryIO) -> Recording:
        """All that Phoenix has of an experiment, its runs in a file, since they may be more than memory holds.

        Args:
            record: Phoenix's of the experiment.
            document: an empty file, to be kept for as long as the recording is read.

        Raises:
            OSError: the file cannot be written.
            PhoenixError: Phoenix gave no usable answer within the policy.
        """
        rest = self._rest_to("read experiments")
        has_runs = record["successful_run_count"] or record["failed_run_count"]

        def fetch(timeout: int) -> Recording:
            notes = example_notes(rest, record, timeout=timeout)
            # before the runs: one that is made in between is in both then, and not in neither
            incomplete = incomplete_runs(rest, record["id"], timeout=timeout)
            document.seek(0)
            document.truncate()
            document.writelines(rest.experiment_document(record["id"], timeout=timeout) if has_runs else [b"[]"])
            return Recording.of(record, document, notes=notes, incomplete=incomplete)

        patient = replace(self._fetch, longest_try_seconds=self._fetch.total_seconds)
        try:
            return self._retrying(fetch, f"fetch the runs of the experiment {record['id']}", patient)
        except PhoenixError as error:
            if isinstance(error.__cause__, OSError):  # of the file
                raise error.__cause__ from None
            raise

    def experiments_on(self, dataset_name: str) -> Iterator[Mapping[str, Any]]:
        """The records of the experiments on a dataset, the newest first, fetched page by page.

        Raises:
            DatasetNotFound: no dataset has this name.
        """
        rest = self._rest()
        if rest is None:
            return
        dataset_id = self.dataset_id(dataset_name)
        cursor = None
        while True:

            def fetch(timeout: int, cursor: str | None = cursor) -> Mapping[str, Any]:
                return rest.experiments_page(dataset_id, cursor, timeout=timeout)

            page = self._retrying(fetch, f"list the experiments on the dataset {dataset_name!r}", self._fetch)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def dataset_id(self, name: str) -> str:
        """The id of a dataset, without its examples.

        Raises:
            DatasetNotFound: no dataset has this name.
        """
        rest = self._rest()
        if rest is None:
            return self.dataset(name).id
        found = self._retrying(
            lambda timeout: rest.datasets_named(name, timeout=timeout), f"find the dataset {name!r}", self._fetch
        )
        if not found:
            raise DatasetNotFound(f"Phoenix at {self.endpoint} has no dataset {name!r} (names are case-sensitive).")
        return str(found[0]["id"])

    def tags(self, experiment_id: str) -> list[str]:
        """The tags of an experiment."""
        rest = self._rest()
        if rest is None:
            return []
        return self._retrying(
            lambda timeout: rest.tags(experiment_id, timeout=timeout),
            f"read the tags of the experiment {experiment_id}",
            self._fetch,
        )

    def tag(self, experiment_id: str, tag: str) -> None:
        """Give an experiment a tag; another one of the same dataset that has it loses it.

        Raises:
            PhoenixError: the tag is none that Phoenix takes, or it gave no usable answer within the policy.
        """
        rest = self._rest_to("tag experiments")
        self._retrying(
            lambda timeout: rest.set_tag(experiment_id, tag, timeout=timeout),
            f"tag the experiment {experiment_id} as {tag!r}",
            self._fetch,
        )

    def note_end(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Replace an experiment's metadata by what it is at its end; nothing with a client that cannot."""
        rest = self._rest()
        if rest is not None:
            self._retrying(
                lambda timeout: rest.set_metadata(experiment_id, metadata, timeout=timeout),
                "note how the experiment ended",
                self._record,
            )

    def missing_records(self, experiment_id: str, runs: Collection[TaskRun], *, is_part: bool = False) -> list[str]:
        """What Phoenix lacks of runs that it accepted; see `evalwire.phoenix.verification`."""
        rest = self._rest()
        if rest is None:
            return []

        def look(timeout: int) -> list[str]:
            return missing_records(rest, experiment_id, runs, is_part=is_part, timeout=timeout)

        return self._retrying(look, "count what was recorded", self._record)

    def log_spans(self, project: str, spans: Sequence[Mapping[str, Any]]) -> int:
        """Deliver spans to a project; how many Phoenix did not take. One try: spans are not worth a wait.

        Phoenix refuses a whole batch for one span that it already has (a user's own exporter may have sent it)
        or cannot read, so these are left out and the others sent again.
        """
        if getattr(self.client, "spans", None) is None:  # a client that knows no spans, such as a stand-in
            return 0
        try:
            self.client.spans.log_spans(project_identifier=project, spans=spans, timeout=10)  # type: ignore[arg-type]
        except Exception as error:
            known = {span.get("span_id") for span in getattr(error, "duplicate_spans", ())}
            invalid = {span.get("span_id") for span in getattr(error, "invalid_spans", ())}
            rest = [span for span in spans if span["context"]["span_id"] not in known | invalid]
            if len(rest) == len(spans):
                if is_transient(error):
                    raise
                log.debug("Phoenix did not take %d spans: %s", len(spans), reason(error))
                return len(spans)
            return len(invalid) + (self.log_spans(project, rest) if rest else 0)
        return 0


def _despite_reset(request: Callable[[], T]) -> T:
    """Make a request after a refused one: Phoenix resets the connection of what it answered with a 500."""
    import httpx  # noqa: PLC0415 - a quarter of a second that `--help` need not pay

    try:
        return request()
    except httpx.TransportError:
        return request()


def _to_dataset(found: Any) -> Dataset:
    return Dataset(
        id=found.id,
        name=found.name,
        version_id=found.version_id,
        examples=tuple(map(_to_example, found.examples)),
    )


def _to_example(example: Mapping[str, Any]) -> Example:
    node_id = example.get("node_id") or example["id"]
    id_, updated_at = example.get("id") or node_id, example.get("updated_at")
    return Example(
        id=node_id if id_ == node_id else id_,  # equal texts are held once
        node_id=node_id,
        input=_or_empty(example.get("input")),
        output=_or_empty(example.get("output")),
        metadata=example.get("metadata") or EMPTY,
        updated_at=sys.intern(updated_at) if isinstance(updated_at, str) else updated_at,
    )


def _or_empty(value: Any) -> Any:
    return {} if value is None else value
