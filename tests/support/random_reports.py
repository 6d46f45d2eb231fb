"""Reports that nobody would think of: of any size and state, and with hostile text in every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from reporting import red_report

from evalwire.model.baseline import Baseline, Comparison, Direction, Interval, Pair
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure, FailureKind, FailureStage
from evalwire.model.gates import GateResult, Rule, Status
from evalwire.model.history import History, HistoryEntry
from evalwire.model.means import ScoreMean
from evalwire.model.prices import Price
from evalwire.model.report import Report
from evalwire.model.result import ExperimentResult
from evalwire.model.run import AnnotatorKind, Evaluation, EvaluationKind, TaskRun
from evalwire.model.shard import Shard
from evalwire.model.usage import ModelUsage
from evalwire.model.variant import ScoreDifference, VariantComparison

# --- of any kind ---------------------------------------------------------------------------------------

texts = st.text(max_size=8)
names = st.sampled_from(["top_k", "exact", "judge", "task", "a|b", "<b>"])
maybe_texts = st.none() | texts
numbers = st.floats(-1e12, 1e12)
scores_of_any_size = numbers | st.sampled_from([1e308, -1e308, 1.7e308, 9e307])
shares = st.floats(0, 1)
counts = st.integers(0, 9)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=2)
times = st.integers(0, 10**15).map(lambda n: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=n))
times |= times.map(lambda moment: moment.astimezone(timezone(timedelta(hours=-3.5))))

failures = st.builds(
    Failure,
    kind=st.sampled_from(get_args(FailureKind)),
    stage=st.sampled_from(get_args(FailureStage)),
    type=texts,
    message=texts,
    cause=maybe_texts,
    where=st.none() | st.just("/work/experiments/a/task.py:3") | texts,
    traceback=texts,
)
intervals = st.builds(Interval, low=numbers, high=numbers, method=texts, confidence=st.sampled_from([0.9, 0.95]))
usages = st.lists(
    st.builds(ModelUsage, model=texts, calls=counts, total_tokens=counts, cost_usd=shares, unpriced=counts), max_size=2
).map(tuple)


@st.composite
def evaluations(draw: st.DrawFn, name: str) -> Evaluation:
    failed = draw(st.none() | failures) if draw(st.integers(0, 4)) == 0 else None
    start = draw(times)
    kind = draw(st.none() | st.sampled_from(get_args(EvaluationKind)))
    scores = {
        "bool": st.sampled_from([0.0, 1.0]),
        "number": scores_of_any_size,
        "label": st.none(),
        "not_applicable": st.none(),
        None: st.none() | st.sampled_from([0.0, 1.0]) | scores_of_any_size,
    }
    return Evaluation(
        name=name,
        evaluator=draw(names) if draw(st.integers(0, 4)) == 0 else name,
        kind=None if failed else kind,
        score=None if failed else draw(scores[kind]),
        label=None if failed else draw(st.none() | st.sampled_from(["True", "False"]) | texts),
        explanation=draw(maybe_texts),
        metadata=draw(objects),
        annotator_kind=draw(st.sampled_from(get_args(AnnotatorKind))),
        failure=failed,
        attempts=draw(st.integers(1, 3)),
        usage=draw(st.none() | usages),
        start_time=start,
        end_time=start + timedelta(seconds=draw(shares)),
        trace_id=draw(maybe_texts),
        id=draw(maybe_texts),
    )


@st.composite
def runs(draw: st.DrawFn, example: Example, repetition: int, evaluators: tuple[str, ...]) -> TaskRun:
    failed = draw(failures) if draw(st.integers(0, 4)) == 0 else None
    start = draw(times)
    judged = () if failed else evaluators[: draw(st.integers(0, 3)) or len(evaluators)]
    return TaskRun(
        example=example,
        output=None if failed else draw(values),
        failure=failed,
        evaluations=tuple(draw(evaluations(name)) for name in judged),
        record_failure=draw(failures) if draw(st.integers(0, 7)) == 0 else None,
        start_time=start,
        end_time=start + timedelta(seconds=draw(shares)),
        repetition=repetition,
        attempts=draw(st.integers(1, 3)),
        usage=draw(st.none() | usages),
        trace_id=draw(maybe_texts),
        id=draw(maybe_texts),
    )


@st.composite
def results(draw: st.DrawFn, name: str) -> ExperimentResult:
    examples = tuple(
        Example(
            id=draw(texts),
            node_id=f"n{number}",
            input=draw(objects),
            output=draw(objects),
            metadata=draw(objects),
            updated_at=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
            recorded_hash=draw(st.none() | st.just("0123456789abcdef")),
        )
        for number in range(draw(st.integers(0, 3)))
    )
    repetitions = draw(st.integers(1, 2))
    evaluators = tuple(draw(st.lists(names, unique=True, max_size=3)))
    its_runs = tuple(
        draw(runs(example, repetition, evaluators))
        for example in examples
        for repetition in range(1, repetitions + 1)
        if draw(st.integers(0, 7))
    )
    path = Path("/work/experiments") / name
    opened = OpenExperiment(
        experiment=Experiment(name=name, dataset_name="set", path=path, task=None),
        dataset=Dataset(id=draw(texts), name="set", version_id=draw(texts), examples=examples),
        recorded_name=draw(texts),
        id=draw(maybe_texts),
        url=draw(st.none() | st.just("https://phoenix.example.com/datasets/1/compare") | texts),
        project_name=draw(maybe_texts),
        repetitions=repetitions,
        metadata=draw(objects),
    )
    return ExperimentResult(
        name=name,
        dataset_name="set",
        path=str(path),
        used=draw(st.none() | usages),
        evaluator_names=evaluators,
        opened=opened if its_runs or draw(st.booleans()) else None,
        runs=its_runs,
        example_count=len(examples) if its_runs or draw(st.booleans()) else 0,
        repetitions=repetitions,
        failure=draw(failures) if draw(st.integers(0, 3)) == 0 else None,
        problems=tuple(draw(st.lists(failures, max_size=1))) if draw(st.integers(0, 3)) == 0 else (),
        seconds=draw(shares),
    )


@st.composite
def comparisons(draw: st.DrawFn, result: ExperimentResult, name: str) -> Comparison:
    ids = list(dict.fromkeys(run.example.id for run in result.runs))
    maybe = st.none() | numbers
    return Comparison(
        name=name,
        direction=draw(st.sampled_from(get_args(Direction))),
        is_bool=draw(st.booleans()),
        pairs=tuple(Pair(example_id=one, before=draw(shares), after=draw(shares)) for one in ids),
        unscored=draw(counts),
        half_applicable=draw(counts),
        before=draw(maybe),
        after=draw(maybe),
        change=draw(maybe),
        interval=draw(st.none() | intervals),
        p_value=draw(st.none() | shares),
        test=draw(texts),
        minimum_detectable=draw(maybe),
    )


@st.composite
def verdicts(draw: st.DrawFn, experiment: str) -> GateResult:
    status = draw(st.sampled_from(get_args(Status)))
    return GateResult(
        experiment=experiment,
        rule=draw(st.sampled_from(get_args(Rule))),
        threshold=draw(numbers | st.integers(0, 10**6)),
        status=status,
        is_red=status == "failed" or (status == "inconclusive" and draw(st.booleans())),
        text=draw(texts),
        evaluation=draw(st.none() | names),
        value=draw(st.none() | numbers),
        interval=draw(st.none() | intervals),
        p_value=draw(st.none() | shares),
        source=draw(texts),
        label=draw(maybe_texts),
    )


@st.composite
def baselines(draw: st.DrawFn, result: ExperimentResult) -> Baseline:
    return Baseline(
        experiment=result.name,
        asked=draw(texts),
        note=draw(texts),
        experiment_id=draw(maybe_texts),
        recorded_name=draw(texts),
        url=draw(maybe_texts),
        branch=draw(maybe_texts),
        commit=draw(maybe_texts),
        paired=draw(counts),
        added=tuple(draw(st.lists(texts, max_size=2))),
        removed=tuple(draw(st.lists(texts, max_size=2))),
        changed=tuple(draw(st.lists(texts, max_size=2))),
        comparisons=tuple(draw(comparisons(result, name)) for name in result.evaluator_names),
    )


@st.composite
def histories(draw: st.DrawFn, result: ExperimentResult) -> History:
    """Earlier experiments, some with the evaluations of a result."""
    means = st.builds(
        ScoreMean,
        name=st.sampled_from(result.evaluator_names) | texts if result.evaluator_names else texts,
        mean=scores_of_any_size,
        count=counts,
        interval=st.none() | intervals,
        is_rate=st.booleans(),
    )
    entries = st.builds(
        HistoryEntry,
        experiment_id=texts,
        time=times,
        branch=maybe_texts,
        commit=maybe_texts,
        is_dirty=st.booleans(),
        outcome=texts,
        scores=st.lists(means, max_size=3).map(tuple),
    )
    return History(experiment=result.name, branch=draw(texts), entries=tuple(draw(st.lists(entries, max_size=3))))


@st.composite
def variants(draw: st.DrawFn, found: Sequence[ExperimentResult]) -> VariantComparison:
    differences = st.builds(
        ScoreDifference,
        name=names,
        direction=st.sampled_from(["maximize", "minimize"]),
        is_bool=st.booleans(),
        pairs=counts,
        worse=counts,
        better=counts,
        first=scores_of_any_size,
        second=scores_of_any_size,
        change=scores_of_any_size,
        interval=st.none() | intervals,
        p_value=shares,
        test=texts,
    )
    first, second = found[0].name, draw(st.sampled_from([found[-1].name, "of another job"]))
    return VariantComparison(
        experiment=draw(texts),
        first=first,
        second=second,
        examples=draw(counts),
        scores=tuple(draw(st.lists(differences, max_size=2))),
    )


@st.composite
def random_reports(draw: st.DrawFn) -> Report:
    """Any report whose exit code agrees with its results, its gates and its outcome."""
    shard = draw(st.sampled_from([None, Shard(2, 5)]))
    found = tuple(_of(draw(results(name)), shard) for name in ("a", "b b")[: draw(st.integers(0, 2))])
    made = Report(
        outcome="passed",
        exit_code=0,
        results=found,
        started_at=draw(times),
        seconds=draw(shares),
        dry_run=draw(st.booleans()),
        endpoint=draw(maybe_texts),
        evalwire_version=draw(texts),
        abandoned_threads=draw(counts),
        lost_spans=draw(counts),
        unwritten=draw(st.lists(texts, max_size=2).map(tuple)),
        journal=draw(maybe_texts),
        ci=draw(st.dictionaries(st.sampled_from(["commit", "branch", "job_url"]), texts)),
        gates=tuple(draw(verdicts(result.name)) for result in found for _ in range(draw(st.integers(0, 2)))),
        baselines=tuple(draw(baselines(result)) for result in found if draw(st.booleans())),
        history=tuple(draw(histories(result)) for result in found if draw(st.booleans())),
        variants=tuple(draw(variants(found)) for _ in range(draw(st.integers(0, 2)))) if found else (),
        prices=draw(st.dictionaries(texts, st.builds(Price, input=shares, output=shares), max_size=1)),
        directory=draw(st.sampled_from(["", "/work", "/elsewhere"])),
        shard=shard,
    )
    if not found:
        outcome = draw(st.sampled_from(["nothing_to_run", "infrastructure", "interrupted"]))
        return replace(made, outcome=outcome, exit_code=1)
    if not all(map(made.passed, found)):
        return replace(made, outcome=draw(st.sampled_from(["gate_failed", "errors"])), exit_code=1)
    return replace(made, outcome="interrupted", exit_code=130) if draw(st.integers(0, 9)) == 0 else made


def _of(result: ExperimentResult, shard: Shard | None) -> ExperimentResult:
    return replace(result, opened=replace(result.opened, shard=shard)) if result.opened else result


# --- hostile -------------------------------------------------------------------------------------------

_OURS = {"kind", "stage", "rule", "status", "direction", "outcome", "annotator_kind", "updated_at", "trace_id"}
_LONGEST = 3_000


def hostile(text: str, *, keep: tuple[str, ...] = ("url",)) -> Report:
    """A report with `text` before and behind everything that evalwire did not write; fields in `keep` stay."""
    made = red_report()
    search, router = made.results
    results = (
        replace(search, runs=search.runs[:2], example_count=2),
        replace(router, runs=(*router.runs[:1], *router.runs[2:3], *router.runs[4:5]), example_count=3, repetitions=1),
    )
    [baseline] = made.baselines
    fewer = tuple(replace(one, pairs=one.pairs[:2]) for one in baseline.comparisons)
    earlier = ScoreMean(name="top_k", mean=0.5, count=2)
    entry = HistoryEntry(experiment_id="E", time=made.started_at, branch="main", commit="a", scores=(earlier,))
    history = History(experiment=search.name, branch="main", entries=(entry,))
    made = replace(made, results=results, baselines=(replace(baseline, comparisons=fewer),), history=(history,))
    text = text[:_LONGEST]
    return _spoiled(made, lambda value: f"{text}{value}{text}", _OURS.union(keep))


def _spoiled(value: Any, spoil: Any, kept: set[str]) -> Any:
    if isinstance(value, str):
        return spoil(value)
    if isinstance(value, dict):
        return {spoil(key): _spoiled(item, spoil, kept) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_spoiled(item, spoil, kept) for item in value)
    if is_dataclass(value):
        changed = {
            one.name: _spoiled(getattr(value, one.name), spoil, kept)
            for one in fields(value)
            if one.name not in kept and getattr(value, one.name) is not None
        }
        if isinstance(value, Report):
            changed["ci"] = {key: spoil(item) for key, item in value.ci.items()}
        return replace(value, **changed)
    return value


few = settings(
    max_examples=settings.default.max_examples // 2,  # of the profile
    phases=[Phase.generate],  # to make one of these smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
