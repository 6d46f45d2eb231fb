"""Compare the variants of an experiment in a table and in sentences, for all formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import (
    DEFAULT_VARIANT,
    SIGNIFICANCE,
    change_text,
    cost_text,
    percentile,
    recorded_variant,
    score_text,
    token_count,
    usage_cost,
)
from evalwire.reports.amounts import change_interval
from evalwire.reports.measured import measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.model import ExperimentResult, Report, ScoreDifference, VariantComparison

_SHORTEST = 0.001  # seconds, below which a ratio of times has no meaning

_NOTABLE = 1.1  # ratio of two times from which on the difference is named


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantTable:
    """The variants of an experiment, side by side.

    Attributes:
        experiment: the name of the experiment's directory.
        names: the names of the variants, as heads of the columns.
        rows: the name of each row, and a text for each variant.
        sentences: the differences in words: which variant is better, by how much, and at which cost.
        note: the method, for readers of the sentences.
    """

    experiment: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    sentences: tuple[str, ...]
    note: str


def variant_tables(report: Report) -> list[VariantTable]:
    """Return a table for each experiment with several variants."""
    results = {result.name: result for result in report.results}
    groups: dict[str, list[VariantComparison]] = {}
    for compared in report.variants:
        groups.setdefault(compared.experiment, []).append(compared)
    tests = sum(len(compared.scores) for compared in report.variants)
    return [
        _table(report, experiment, group, results, tests)
        for experiment, group in groups.items()
        if all(name in results for compared in group for name in (compared.first, compared.second))
    ]


def _table(
    report: Report,
    experiment: str,
    group: Sequence[VariantComparison],
    results: Mapping[str, ExperimentResult],
    tests: int,
) -> VariantTable:
    names = dict.fromkeys(name for compared in group for name in (compared.first, compared.second))
    own = [results[name] for name in names]
    return VariantTable(
        experiment=experiment,
        names=tuple(map(variant_name, own)),
        rows=tuple(_rows(report, own)),
        sentences=tuple(
            sentence
            for compared in group
            for sentence in _sentences(report, compared, results, has_costs=compared.first == group[0].first)
        ),
        note=f"p-values are two-sided and corrected over {tests} differences (Holm)" if tests > 1 else "",
    )


def variant_name(result: ExperimentResult) -> str:
    """Return the name of the variant that an experiment ran."""
    variant = recorded_variant(result.experiment_metadata)
    return variant.name if variant else DEFAULT_VARIANT


def _rows(report: Report, results: Sequence[ExperimentResult]) -> Iterator[tuple[str, tuple[str, ...]]]:
    scores = [{score.name: score for score in result.scores} for result in results]
    for name in sorted({name for own in scores for name in own}):
        cells = []
        for result, own in zip(results, scores, strict=True):
            found = measured(report, result, own[name]) if name in own else None
            cells.append(score_text(found.value, is_rate=found.is_rate) if found else "-")
        yield name, tuple(cells)
    yield "variables", tuple(map(_variables, results))
    if any(result.bad_runs for result in results):
        yield "failed runs", tuple(str(result.bad_runs) for result in results)
    yield "median time", tuple(map(_time, results))
    if any(token_count(result.usage or ()) for result in results):
        yield "tokens", tuple("-" if result.usage is None else f"{token_count(result.usage):,}" for result in results)
        costs = [usage_cost(result.usage, report.prices) if result.usage is not None else None for result in results]
        yield "cost", tuple("-" if cost is None else cost.text for cost in costs)


def _variables(result: ExperimentResult) -> str:
    variant = recorded_variant(result.experiment_metadata)
    return ", ".join(f"{name}={value}" for name, value in variant.env.items()) if variant else "-"


def _time(result: ExperimentResult) -> str:
    seconds = _median_seconds(result)
    return "-" if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _median_seconds(result: ExperimentResult) -> float | None:
    durations = [run.seconds for run in result.runs if run.failure is None]
    return percentile(durations, 0.5) if durations else None


def _sentences(
    report: Report, compared: VariantComparison, results: Mapping[str, ExperimentResult], *, has_costs: bool
) -> Iterator[str]:
    """Yield the differences of two variants, and with `has_costs` their costs."""
    first, second = results[compared.first], results[compared.second]
    names = variant_name(first), variant_name(second)
    moved = [score for score in compared.scores if score.p_value < SIGNIFICANCE]
    for is_gain, word in ((True, "better"), (False, "worse")):
        found = [_difference(score) for score in moved if score.is_gain == is_gain]
        if found:
            yield f"{names[1]} is {word} than {names[0]}: {'; '.join(found)}"
    others = [score for score in compared.scores if score not in moved]
    if others and not moved:
        changes = ", ".join(f"{score.name} {_change(score)}" for score in others)
        yield f"no significant difference between {names[0]} and {names[1]}: {changes}"
    if not compared.scores:
        yield f"{names[0]} and {names[1]} have no example with a score in both"
    if has_costs and (cost := ", and ".join(_costs(report, first, second))):
        yield f"{names[1]} {cost}"


def _difference(score: ScoreDifference) -> str:
    first, second = (score_text(value, is_rate=score.is_bool) for value in (score.first, score.second))
    interval = ""
    if score.interval is not None:
        ends = change_interval(score.interval, is_rate=score.is_bool)
        interval = f", {score.interval.confidence * 100:g}% interval {ends}"
    p_value = "p < 0.001" if score.p_value < 0.001 else f"p = {score.p_value:.3f}"  # noqa: PLR2004 - three decimals
    return f"{score.name} {second} instead of {first} ({_change(score)}{interval}, {p_value})"


def _change(score: ScoreDifference) -> str:
    return change_text(score.change, is_rate=score.is_bool)


def _costs(report: Report, first: ExperimentResult, second: ExperimentResult) -> Iterator[str]:
    """Yield the cost and the time of the second variant, relative to the first."""
    costs = [usage_cost(result.usage, report.prices) for result in (first, second) if result.usage is not None]
    if len(costs) == 2 and all(cost.usd and not cost.unknown for cost in costs):  # noqa: PLR2004 - both
        now, then = costs[1].usd, costs[0].usd
        if len(first.runs) == len(second.runs):
            yield f"costs {cost_text(now)} instead of {cost_text(then)} ({now / then:.2f} times as much)"
    then, now = _median_seconds(first) or 0.0, _median_seconds(second) or 0.0
    if min(then, now) >= _SHORTEST and max(then, now) >= _NOTABLE * min(then, now):
        yield f"takes {_time(second)} instead of {_time(first)} per run"
