"""A `results.json` -> the report that it was written from; every other report comes out of it the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

from evalwire.errors import UsageError
from evalwire.model import (
    EMPTY,
    AnnotatorKind,
    Baseline,
    Comparison,
    Dataset,
    Direction,
    Evaluation,
    Example,
    Experiment,
    ExperimentResult,
    Failure,
    FailureKind,
    FailureStage,
    GateResult,
    Interval,
    ModelUsage,
    OpenExperiment,
    Outcome,
    Pair,
    Price,
    Report,
    Rule,
    Shard,
    Status,
    TaskRun,
    Usage,
    kind_without_record,
)

SCHEMA_VERSION = 2  # of the files that are read: the one that evalwire.reports.results_json writes

_Choice = TypeVar("_Choice", bound=str)


def load_results(path: Path) -> Report:
    """Read a `results.json`.

    Raises:
        UsageError: the file is not there, cannot be read, is no `results.json` of evalwire, or is of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}; evalwire run leaves a results.json in its report folder") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of JSON, or of UTF-8
        raise UsageError(f"{path} is no results.json: it is not JSON ({error})") from error
    try:
        return read_results(document)
    except UsageError as error:
        raise UsageError(f"{path} {error}") from error


def read_results(document: Any) -> Report:
    """The report in the parsed text of a `results.json`.

    Raises:
        UsageError: it is none, or one of another version; the message lacks the file's name at its beginning.
    """
    if not isinstance(document, Mapping) or "evalwire_version" not in document:
        raise UsageError("is no results.json of evalwire")
    version, by = document.get("schema_version"), document["evalwire_version"]
    if type(version) is not int:
        raise UsageError("is no results.json of evalwire: it has no schema_version")
    if version != SCHEMA_VERSION:
        advice = "use that version, or a newer one" if version > SCHEMA_VERSION else "run evalwire again for a new one"
        raise UsageError(
            f"has schema_version {version}, written by evalwire {by}; this evalwire reads {SCHEMA_VERSION}: {advice}"
        )
    try:
        return _report(_Fields(document))
    except _Wrong as error:
        raise UsageError(f"is damaged: {error}") from error


class _Wrong(Exception):
    """A field that is not as evalwire writes it."""


class _Fields:
    """A JSON object whose fields are asked for by type; what is not of that type is `_Wrong`, with its place."""

    __slots__ = ("_place", "_values")

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, dict):
            raise _Wrong(f"{place} is no object")
        self._values = values
        self._place = place

    def place(self, key: str) -> str:
        """Where in the file a field is: `experiments[0].runs[3].output`."""
        return f"{self._place}.{key}" if self._place else key

    def has(self, key: str) -> bool:
        return key in self._values

    def any(self, key: str) -> Any:
        if key not in self._values:
            raise _Wrong(f"{self.place(key)} is missing")
        return self._values[key]

    def text(self, key: str) -> str:
        value = self.any(key)
        if not isinstance(value, str):
            raise _Wrong(f"{self.place(key)} is no text")
        return value

    def maybe_text(self, key: str) -> str | None:
        return None if self.any(key) is None else self.text(key)

    def choice(self, key: str, of: tuple[_Choice, ...]) -> _Choice:
        value = self.text(key)
        for known in of:
            if known == value:
                return known
        raise _Wrong(f"{self.place(key)} is {value!r}, and not one of {', '.join(of)}")

    def flag(self, key: str) -> bool:
        value = self.any(key)
        if not isinstance(value, bool):
            raise _Wrong(f"{self.place(key)} is neither true nor false")
        return value

    def number(self, key: str) -> float:
        """A finite number; one without a fraction stays an int."""
        value = self.any(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _Wrong(f"{self.place(key)} is no number")
        return value

    def maybe_number(self, key: str) -> float | None:
        return None if self.any(key) is None else self.number(key)

    def count(self, key: str) -> int:
        value = self.any(key)
        if type(value) is not int or value < 0:
            raise _Wrong(f"{self.place(key)} is no whole number")
        return value

    def time(self, key: str) -> datetime:
        try:
            value = datetime.fromisoformat(self.text(key))
        except ValueError:
            value = None
        if value is None or value.tzinfo is None:
            raise _Wrong(f"{self.place(key)} is no time in ISO 8601 with an offset")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.any(key)
        if not isinstance(value, dict):
            raise _Wrong(f"{self.place(key)} is no object")
        return value or EMPTY

    def fields(self, key: str) -> _Fields:
        return _Fields(self.any(key), self.place(key))

    def maybe_fields(self, key: str) -> _Fields | None:
        return None if self.any(key) is None else self.fields(key)

    def each(self, key: str) -> Iterator[_Fields]:
        """The objects of a list."""
        for position, value in enumerate(self._list(key)):
            yield _Fields(value, f"{self.place(key)}[{position}]")

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            raise _Wrong(f"{self.place(key)} has something in it that is no text")
        return tuple(values)

    def _list(self, key: str) -> list[Any]:
        value = self.any(key)
        if not isinstance(value, list):
            raise _Wrong(f"{self.place(key)} is no list")
        return value


def _report(its: _Fields) -> Report:
    prices = its.fields("prices")
    shard = _shard(its)
    return Report(
        outcome=its.choice("outcome", get_args(Outcome)),
        exit_code=its.count("exit_code"),
        results=tuple(_of_shard(_result(one), shard) for one in its.each("experiments")),
        started_at=its.time("started_at"),
        seconds=its.number("seconds"),
        dry_run=its.flag("dry_run"),
        endpoint=its.maybe_text("endpoint"),
        evalwire_version=its.text("evalwire_version"),
        abandoned_threads=its.count("abandoned_threads"),
        lost_spans=its.count("lost_spans"),
        journal=its.maybe_text("journal"),
        ci=dict(its.mapping("ci")),
        gates=tuple(map(_verdict, its.each("gates"))),
        baselines=tuple(map(_baseline, its.each("baselines"))),
        prices={model: _price(prices.fields(model)) for model in its.mapping("prices")},
        directory=its.text("directory"),
        shard=shard,
    )


def _shard(its: _Fields) -> Shard | None:
    """The shard that ran; files of an evalwire that had none do not say."""
    text = its.maybe_text("shard") if its.has("shard") else None
    if text is None:
        return None
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise _Wrong(f"shard is {text!r}: {error}") from None


def _of_shard(result: ExperimentResult, shard: Shard | None) -> ExperimentResult:
    return replace(result, opened=replace(result.opened, shard=shard)) if result.opened and shard else result


def _price(its: _Fields) -> Price:
    return Price(input=its.number("input"), output=its.number("output"))


def _verdict(its: _Fields) -> GateResult:
    return GateResult(
        experiment=its.text("experiment"),
        evaluation=its.maybe_text("evaluation"),
        rule=its.choice("rule", get_args(Rule)),
        threshold=its.number("threshold"),
        status=its.choice("status", get_args(Status)),
        is_red=its.flag("is_red"),
        value=its.maybe_number("value"),
        interval=_interval(its.maybe_fields("interval")),
        p_value=its.maybe_number("p_value"),
        text=its.text("text"),
        source=its.text("source"),
    )


def _interval(its: _Fields | None) -> Interval | None:
    if its is None:
        return None
    return Interval(
        low=its.number("low"),
        high=its.number("high"),
        method=its.text("method"),
        confidence=its.number("confidence"),
    )


def _baseline(its: _Fields) -> Baseline:
    return Baseline(
        experiment=its.text("experiment"),
        asked=its.text("asked"),
        note=its.text("note"),
        experiment_id=its.maybe_text("experiment_id"),
        recorded_name=its.text("recorded_name"),
        url=its.maybe_text("url"),
        branch=its.maybe_text("branch"),
        commit=its.maybe_text("commit"),
        paired=its.count("paired"),
        added=its.texts("added"),
        removed=its.texts("removed"),
        changed=its.texts("changed"),
        comparisons=tuple(map(_comparison, its.each("comparisons"))),
    )


def _comparison(its: _Fields) -> Comparison:
    return Comparison(
        name=its.text("name"),
        direction=its.choice("direction", get_args(Direction)),
        is_bool=its.flag("is_bool"),
        pairs=tuple(
            Pair(example_id=one.text("example_id"), before=one.number("before"), after=one.number("after"))
            for one in its.each("pairs")
        ),
        unscored=its.count("unscored"),
        before=its.maybe_number("before"),
        after=its.maybe_number("after"),
        change=its.maybe_number("change"),
        interval=_interval(its.maybe_fields("interval")),
        p_value=its.maybe_number("p_value"),
        test=its.text("test"),
        minimum_detectable=its.maybe_number("minimum_detectable"),
    )


def _result(its: _Fields) -> ExperimentResult:
    examples: dict[str, Example] = {}  # repetitions share theirs
    runs = tuple(_run(one, examples) for one in its.each("runs"))
    ordered = list(examples.values())
    for one in its.each("examples_not_run"):
        ordered.insert(one.count("position"), _example(one, has_content=False))
    result = ExperimentResult(
        name=its.text("name"),
        dataset_name=its.fields("dataset").text("name"),
        path=its.text("path"),
        evaluator_names=its.texts("evaluators"),
        opened=_opened(its, tuple(ordered)),
        runs=runs,
        example_count=its.count("examples"),
        repetitions=its.count("repetitions"),
        failure=_failure(its.maybe_fields("failure")),
        problems=tuple(_some_failure(one) for one in its.each("problems")),
        seconds=its.number("seconds"),
    )
    return result if result.usage is not None else replace(result, used=_usage(its))


def _opened(its: _Fields, examples: tuple[Example, ...]) -> OpenExperiment | None:
    """What it was run on; its functions are not in the file."""
    recorded_name = its.maybe_text("recorded_name")
    if recorded_name is None:
        return None
    name, dataset = its.text("name"), its.fields("dataset")
    dataset_name = dataset.text("name")
    return OpenExperiment(
        experiment=Experiment(name=name, dataset_name=dataset_name, path=Path(its.text("path")), task=None),
        dataset=Dataset(
            id=dataset.maybe_text("id") or "",
            name=dataset_name,
            version_id=dataset.maybe_text("version_id") or "",
            examples=examples,
        ),
        recorded_name=recorded_name,
        id=its.maybe_text("experiment_id"),
        url=its.maybe_text("url"),
        project_name=its.maybe_text("project_name"),
        repetitions=its.count("repetitions"),
        metadata=its.mapping("metadata"),
    )


def _run(its: _Fields, examples: dict[str, Example]) -> TaskRun:
    node_id = its.text("example_node_id")
    example = examples.get(node_id)
    if example is None:
        example = examples[node_id] = _example(its)
    return TaskRun(
        example=example,
        output=its.any("output"),
        failure=_failure(its.maybe_fields("failure")),
        evaluations=tuple(map(_evaluation, its.each("evaluations"))),
        record_failure=_failure(its.maybe_fields("record_failure")),
        start_time=its.time("start_time"),
        end_time=its.time("end_time"),
        repetition=its.count("repetition"),
        attempts=its.count("attempts"),
        usage=_usage(its),
        trace_id=its.maybe_text("trace_id"),
        id=its.maybe_text("id"),
    )


def _example(its: _Fields, *, has_content: bool = True) -> Example:
    return Example(
        id=its.text("example_id"),
        node_id=its.text("example_node_id"),
        input=its.mapping("input") if has_content else EMPTY,
        output=its.mapping("expected") if has_content else EMPTY,
        metadata=its.mapping("example_metadata") if has_content else EMPTY,
        updated_at=its.maybe_text("example_updated_at"),
        recorded_hash=its.text("content_hash"),  # its texts may have been masked
    )


def _usage(its: _Fields) -> Usage | None:
    if its.any("usage") is None:
        return None
    return tuple(
        ModelUsage(
            model=one.text("model"),
            calls=one.count("calls"),
            prompt_tokens=one.count("prompt_tokens"),
            completion_tokens=one.count("completion_tokens"),
            total_tokens=one.count("total_tokens"),
            cost_usd=one.number("cost_usd"),
            uncounted=one.count("uncounted"),
            unpriced=one.count("unpriced"),
            unpriced_prompt_tokens=one.count("unpriced_prompt_tokens"),
            unpriced_completion_tokens=one.count("unpriced_completion_tokens"),
        )
        for one in its.each("usage")
    )


def _evaluation(its: _Fields) -> Evaluation:
    return Evaluation(
        name=its.text("name"),
        evaluator=its.text("evaluator"),
        score=its.maybe_number("score"),
        label=its.maybe_text("label"),
        explanation=its.maybe_text("explanation"),
        metadata=its.mapping("metadata"),
        annotator_kind=its.choice("annotator_kind", get_args(AnnotatorKind)),
        failure=_failure(its.maybe_fields("failure")),
        attempts=its.count("attempts"),
        usage=_usage(its),
        start_time=its.time("start_time"),
        end_time=its.time("end_time"),
        trace_id=its.maybe_text("trace_id"),
        id=its.maybe_text("id"),
    )


def _failure(its: _Fields | None) -> Failure | None:
    return None if its is None else _some_failure(its)


def _some_failure(its: _Fields) -> Failure:
    stage, type_ = its.choice("stage", get_args(FailureStage)), its.text("type")
    has_kind = its.has("kind")  # a file of an earlier evalwire has none
    return Failure(
        kind=its.choice("kind", get_args(FailureKind)) if has_kind else kind_without_record(stage, type_),
        stage=stage,
        type=type_,
        message=its.text("message"),
        cause=its.maybe_text("cause"),
        where=its.maybe_text("where"),
        traceback=its.text("traceback"),
    )
