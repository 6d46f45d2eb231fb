"""Measure what gates on an evaluation limit: a mean, a rate, the share of a label, a number of examples (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.gates.comparison import scores_of
from evalwire.model import Interval, mean_interval, wilson_interval

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Comparison, ExperimentResult, ScoreSummary

_MOST_LABELS = 5  # that a sentence lists

_REMEDY = 'return a score or evalwire.NOT_APPLICABLE, or set missing = "ignore"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a gate on an evaluation limits.

    Attributes:
        what: begins the gate's sentence, such as `top_k mean`; where there is no value, it says why.
        value: None where there is none, which fails the gate.
        interval: of the value; None where it says nothing.
        notes: what is not in the value.
        lacks_scores: whether scores are missing so that the gate fails, whatever the value is.
    """

    what: str
    value: float | None = None
    interval: Interval | None = None
    notes: tuple[str, ...] = ()
    lacks_scores: bool = False


def measure_evaluation(result: ExperimentResult, gate: Gate, score: ScoreSummary) -> Measure | None:
    """Measure what a gate limits; None where the evaluation has nothing of the kind.

    Args:
        result: the experiment.
        gate: a limit on one of its evaluations, which is not on a drop.
        score: the summary of that evaluation.
    """
    if score.not_applicable and not score.count:
        return Measure(what=_applies_to_none(score))
    match gate.rule:
        case "min_examples":
            return _examples(result, score)
        case "min_label_share" | "max_label_share":
            return _label_share(result, gate, score)
    if score.mean is None:
        return None
    if score.pass_rate is not None:
        return _pass_rate(result, gate, score, score.pass_rate)
    if gate.rule in ("min_pass_rate", "max_pass_rate"):
        advice = 'limit its mean, or return a bool: True, (True, "why") or {"score": True}'
        return Measure(what=f"{score.name} returns numbers, so it has no pass rate; {advice}")
    return _mean(result, gate, score, score.mean)


def missing_in_drop(
    result: ExperimentResult, gate: Gate, score: ScoreSummary | None, compared: Comparison | None
) -> str:
    """Return why a drop gate fails, whatever the scores there are came to; empty where no score is missing.

    Runs that failed are not meant: a limit on errors judges these.

    Args:
        result: the experiment.
        gate: a limit on a drop.
        score: the summary of its evaluation; None where there is none.
        compared: the evaluation beside the baseline; None where there is nothing to compare with.
    """
    if score is not None and score.not_applicable and not score.count:
        return _applies_to_none(score)
    if gate.missing == "ignore":
        return ""
    if score is not None and score.pass_rate is None and score.mean is not None and score.unscored:
        return f"{score.unscored} of {result.expected_runs} runs have a label and no score: {_REMEDY}"
    if compared is not None and compared.half_applicable:
        return f'it applies to {compared.half_applicable} examples on one side only: set missing = "ignore" to allow it'
    return ""


def _applies_to_none(score: ScoreSummary) -> str:
    return f"{score.name} applies to none of {score.not_applicable} runs"


def _examples(result: ExperimentResult, score: ScoreSummary) -> Measure:
    given = {
        run.example.id
        for run in result.runs
        for one in run.evaluations
        if one.name == score.name and one.failure is None and one.is_applicable
        if one.score is not None or score.mean is None
    }
    what = f"{score.name} was given for {len(given)} {'example' if len(given) == 1 else 'examples'}"
    return Measure(what=what, value=len(given), notes=_notes(result, score))


def _mean(result: ExperimentResult, gate: Gate, score: ScoreSummary, mean: float) -> Measure:
    lacks_scores = score.unscored > 0 and gate.missing == "fail"
    notes = _notes(result, score, ", and no place in the mean")
    if lacks_scores:
        notes = (*notes, f"{score.unscored} of them have a label alone: {_REMEDY}")
    return Measure(
        what=f"{score.name} mean",
        value=mean,
        interval=_t_interval([*scores_of(result, score.name).by_example.values()]),
        notes=notes,
        lacks_scores=lacks_scores,
    )


def _pass_rate(result: ExperimentResult, gate: Gate, score: ScoreSummary, rate: float) -> Measure:
    """Measure a pass rate; what is missing counts as what is limited."""
    is_floor = gate.rule.startswith("min")
    ignores = gate.missing == "ignore"
    ignored = score.unscored if ignores else 0
    size = result.expected_runs - score.not_applicable - ignored
    passes = round(rate * (result.expected_runs - score.not_applicable))
    if not is_floor:
        passes += result.missing_runs(score) - ignored
    scores = scores_of(
        result, score.name, direction="maximize" if is_floor else "minimize", ignores_unscored=ignores
    ).by_example
    counted = f", which count as {'not passed' if is_floor else 'passed'}"
    return Measure(
        what=f"{score.name} pass rate",
        value=passes / size,
        interval=_share_interval(result, passes, size, [*scores.values()]),
        notes=_notes(result, score, counted, ignored=ignored),
    )


def _label_share(result: ExperimentResult, gate: Gate, score: ScoreSummary) -> Measure:
    """Measure the share of a label among the runs; a run without an evaluation counts as what is limited."""
    if not score.labels:
        return Measure(what=f"{score.name} gives no labels")
    label, is_floor = gate.label or "", gate.rule == "min_label_share"
    given = score.labels.get(label, 0)
    missing = result.expected_runs - score.given
    size = result.expected_runs - score.not_applicable
    hits = given if is_floor else given + missing
    notes = []
    if missing:
        counted = "not having it" if is_floor else "having it"
        notes.append(f"{missing} of {result.expected_runs} runs have no evaluation, which count as {counted}")
    if not given:
        common = sorted(score.labels.items(), key=lambda item: (-item[1], item[0]))[:_MOST_LABELS]
        notes.append(f"it was never given; there are: {', '.join(f'{name!r} {count}' for name, count in common)}")
    return Measure(
        what=f"{score.name} share of {label!r}",
        value=hits / size,
        interval=_share_interval(result, hits, size, _shares(result, score.name, label, counts_missing=not is_floor)),
        notes=(*notes, *_note_not_applicable(result, score)),
    )


def _shares(result: ExperimentResult, name: str, label: str, *, counts_missing: bool) -> list[float]:
    """Return the share of a label among the repetitions of each example that the evaluation applies to."""
    hits: dict[str, list[bool]] = {}
    for run in result.runs:
        its = hits.setdefault(run.example.id, [])
        said = next((one for one in run.evaluations if one.name == name and one.failure is None), None)
        if said is None or said.is_applicable:
            its.append(counts_missing if said is None else said.label == label)
    return [sum(its) / len(its) for its in hits.values() if its]


def _notes(result: ExperimentResult, score: ScoreSummary, counted: str = "", *, ignored: int = 0) -> tuple[str, ...]:
    """Say how many runs have no score, and how those count; and to how many the evaluation does not apply."""
    noun = "label" if score.mean is None else "score"
    missing = result.missing_runs(score) - ignored
    notes = [f"{missing} of {result.expected_runs} runs have no {noun}{counted}"] if missing else []
    if ignored:
        notes.append(f"{ignored} of {result.expected_runs} runs have a label alone and are ignored")
    return (*notes, *_note_not_applicable(result, score))


def _note_not_applicable(result: ExperimentResult, score: ScoreSummary) -> tuple[str, ...]:
    number = score.not_applicable
    return (f"it does not apply to {number} of {result.expected_runs} runs",) if number else ()


def _share_interval(result: ExperimentResult, hits: int, size: int, by_example: Sequence[float]) -> Interval | None:
    """Return Wilson's interval where each example ran once; else that of the mean over examples."""
    if result.repetitions > 1:
        return _t_interval(by_example)
    low, high = wilson_interval(hits, size)
    return Interval(low=low, high=high, method="Wilson")


def _t_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's interval of a mean; None for equal values, whose interval has no width and says nothing."""
    if len(set(values)) < 2:  # noqa: PLR2004 - two values that differ
        return None
    low, high = mean_interval(values)
    return Interval(low=low, high=high, method="t")
