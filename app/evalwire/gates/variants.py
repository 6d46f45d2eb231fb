"""Compare the variants of an experiment with each other, example by example (pure)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.comparison import compare_results
from evalwire.model import ScoreDifference, VariantComparison, holm, mcnemar_midp, recorded_variant, sign_flip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.model import Comparison, Direction, ExperimentResult


def compare_variants(
    results: Sequence[ExperimentResult], directions: Mapping[str, Mapping[str, Direction]]
) -> tuple[VariantComparison, ...]:
    """Compare each two variants of an experiment, on the examples that both ran.

    The tests are the tests of gates on drops, with two sides: the p-value is twice the smaller one-sided p-value. The
    p-values of all differences are corrected together (Holm), so more variants do not find more differences by chance.

    Args:
        results: the results of a job.
        directions: by experiment, the directions of its evaluations; higher is better for names that are not in it.
    """
    groups: dict[str, list[ExperimentResult]] = {}
    for result in results:
        if result.runs:
            variant = recorded_variant(result.experiment_metadata)
            groups.setdefault(variant.directory if variant else result.name, []).append(result)
    found = [
        _compare(directory, first, second, directions.get(second.name, {}))
        for directory, group in groups.items()
        for first, second in itertools.combinations(group, 2)
    ]
    p_values = iter(holm([score.p_value for each in found for score in each.scores]))
    return tuple(
        replace(each, scores=tuple(replace(score, p_value=next(p_values)) for score in each.scores)) for each in found
    )


def _compare(
    directory: str, first: ExperimentResult, second: ExperimentResult, directions: Mapping[str, Direction]
) -> VariantComparison:
    compared = compare_results(second, first, asked="variant", directions=directions)
    differences = (_difference(each) for each in compared.comparisons)
    return VariantComparison(
        experiment=directory,
        first=first.name,
        second=second.name,
        examples=compared.paired,
        scores=tuple(each for each in differences if each is not None),
    )


def _difference(compared: Comparison) -> ScoreDifference | None:
    """Return the difference of a score, with the uncorrected p-value; None without pairs."""
    if compared.before is None or compared.after is None or compared.change is None or compared.p_value is None:
        return None
    worse, better = len(compared.worse), len(compared.better)
    if compared.test.startswith("McNemar"):
        opposite = mcnemar_midp(better, worse)
    else:
        opposite = sign_flip([-compared.gain(pair) for pair in compared.pairs])
    return ScoreDifference(
        name=compared.name,
        direction=compared.direction,
        is_bool=compared.is_bool,
        pairs=len(compared.pairs),
        worse=worse,
        better=better,
        first=compared.before,
        second=compared.after,
        change=compared.change,
        interval=compared.interval,
        p_value=min(1.0, 2 * min(compared.p_value, opposite)),
        test=compared.test,
    )
