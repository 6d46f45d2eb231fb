"""`evalwire plan-size`: show the smallest drops that gates would find with more examples or repetitions."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import NothingToRunError
from evalwire.gates import KnownNames, SampleSize, compare_results, detectable_drop, resolve_gates
from evalwire.jobs import Listing, RecordedNames, is_complete_record
from evalwire.model import count, usage_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.cli.invocation import Invocation
    from evalwire.gates import Gate
    from evalwire.model import ExperimentResult

_SIZES = (SampleSize(), SampleSize(examples=2), SampleSize(repetitions=3))


def plan_size(invocation: Invocation) -> int:
    """Show the smallest drop that each drop gate would find; return exit code 0.

    The two newest complete experiments show the noise.

    Args:
        invocation: settings, streams, and how to reach Phoenix.

    Raises:
        NothingToRunError: the experiments directory contains no experiments.
        EvalwireError: Phoenix cannot be reached.
    """
    settings = invocation.settings
    phoenix = invocation.connect(None)
    names = RecordedNames(settings, Listing(phoenix))
    if not names.datasets:
        raise NothingToRunError(f"no experiment in {settings.experiments.resolve()}/, so there are no gates.")
    pairs: dict[str, list[ExperimentResult]] = {}
    for name in names.datasets:
        complete = itertools.islice(filter(is_complete_record, names.records(name)), 2)
        pairs[name] = [phoenix.recorded.result(record["id"]) for record in complete]
    known = {name: _scores(found) if found else None for name, found in pairs.items()}
    gates = resolve_gates(settings.thresholds, KnownNames(gated=known, is_lenient=True))
    drops = [gate for gate in gates if gate.rule == "max_drop"]
    sized = [
        _sized(name, found, [gate for gate in drops if gate.experiment == name], invocation, drop_gates=len(drops))
        for name, found in pairs.items()
    ]
    invocation.console.show(reports.size_text.as_text(sized))
    return 0


def _scores(results: Sequence[ExperimentResult]) -> list[str]:
    names = {name for result in results for name in result.evaluator_names}
    return sorted(names | {score.name for result in results for score in result.scores})


def _sized(
    name: str, found: Sequence[ExperimentResult], gates: Sequence[Gate], invocation: Invocation, *, drop_gates: int
) -> reports.size_text.SizedExperiment:
    if len(found) < 2:  # noqa: PLR2004 - the noise is the difference between two experiments
        note = f"needs 2 complete recorded experiments to measure the noise, and has {len(found)}. Run `evalwire run`"
        return reports.size_text.SizedExperiment(name=name, note=note)
    after, before = found
    if not gates:
        return reports.size_text.SizedExperiment(name=name, note="has no drop gate. Set max_drop in evalwire.toml")
    compared = compare_results(
        after, before, asked="plan-size", directions={gate.evaluation or "": gate.direction for gate in gates}
    )
    rows = []
    for gate in gates:
        comparison = compared.comparison(gate.evaluation or "")
        if comparison is not None:
            rows.append(
                reports.size_text.SizedGate(
                    evaluation=gate.evaluation or "",
                    is_rate=comparison.is_bool,
                    threshold=_threshold(gate, is_rate=comparison.is_bool),
                    drops=[detectable_drop(comparison, gate, size, drop_gates=drop_gates) for size in _SIZES],
                )
            )
    return reports.size_text.SizedExperiment(
        name=name,
        result=after,
        samples=list(_samples(after)),
        costs=_costs(after, invocation),
        gates=rows,
        note="has no score with a drop gate that both recorded experiments share" if not rows else "",
    )


def _threshold(gate: Gate, *, is_rate: bool) -> str:
    if gate.is_relative:
        return f"{gate.threshold:.2%}"
    return f"{gate.threshold * 100:g} points" if is_rate else f"{gate.threshold:g}"


def _samples(result: ExperimentResult) -> Iterator[str]:
    for size in _SIZES:
        examples = count(round(result.example_count * size.examples), "example")
        repetitions = round(result.repetitions * size.repetitions)
        yield f"{examples} x {repetitions}" if repetitions > 1 else examples


def _costs(result: ExperimentResult, invocation: Invocation) -> list[float | None]:
    cost = usage_cost(result.usage or (), invocation.settings.prices)
    if not result.usage or cost.unknown or cost.unpriced:
        return [None for _ in _SIZES]
    return [cost.usd * size.runs for size in _SIZES]
