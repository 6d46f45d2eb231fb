"""Choose the plots of an experiment: scores, comparisons with the baseline, durations and tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalwire.model import percentile
from evalwire.reports.html import plots
from evalwire.reports.html.numbers import duration

if TYPE_CHECKING:
    from markupsafe import Markup

    from evalwire.reports.html.section import Section


def pictures(section: Section) -> list[Markup]:
    """Return the plots of an experiment."""
    return [*_pictures_of_scores(section), *_pictures_of_amounts(section)]


def _pictures_of_scores(section: Section) -> Iterator[Markup]:
    scores: dict[str, list[float]] = {}
    for run in section.result.runs:
        for evaluation in run.evaluations:
            if evaluation.score is not None:
                scores.setdefault(evaluation.name, []).append(evaluation.score)
    for score in section.scores:
        values = scores.get(score.name, [])
        if score.pass_rate is not None:
            yield plots.frequencies(Counter(str(value == 1) for value in values), caption=score.name)
        elif score.labels and not values:
            yield plots.frequencies(score.labels, caption=score.name)
        elif values:
            yield plots.histogram(values, caption=score.name, marks={"mean": score.mean or 0.0})
        comparison = section.comparison(score.name)
        if comparison and comparison.pairs:
            yield plots.versus(comparison)


def _pictures_of_amounts(section: Section) -> Iterator[Markup]:
    seconds = [max(0.0, run.seconds) for run in section.result.runs]
    if any(seconds):
        scale, unit, word = (1, " s", "seconds") if max(seconds) >= 1 else (1_000, " ms", "milliseconds")
        yield plots.histogram(
            [value * scale for value in seconds],
            caption=f"Task duration in {word}",
            show=lambda value: duration(value / scale),
            unit=unit,
            is_amount=True,
            marks={"p50": percentile(seconds, 0.5) * scale, "p95": percentile(seconds, 0.95) * scale},
        )
    used = [float(tokens) for tokens in section.tokens if tokens is not None]
    if any(used):
        marks = {"mean": math.fsum(used) / len(used), "p95": percentile(used, 0.95)}
        yield plots.histogram(used, caption="Tokens per run", show="{:,.0f}".format, is_amount=True, marks=marks)
