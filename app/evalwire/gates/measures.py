"""Measure the values that gates limit: a mean, a pass rate, the share of a label, a number of examples (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.gates.comparison import scores_of
from evalwire.model import Interval, interval_of_mean, interval_of_rate

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Comparison, ExperimentResult, ScoreSummary

_MOST_LABELS = 5  # labels to list in a sentence

_REMEDY = 'return a score or evalwire.NOT_APPLICABLE, or set missing = "ignore"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The value that a gate on an evaluation limits.

    Attributes:
        subject: start of the gate's sentence, such as `top_k mean`; without a value, the reason for that.
        value: the value; None fails the gate.
        is_rate: whether the value is a share of the runs.
        interval: confidence interval of the value; None if it has no meaning.
        notes: runs that the value leaves out, or counts in a special way.
        misses_scores: whether missing scores fail the gate, regardless of the value.
    """

    subject: str
    value: float | None = None
    is_rate: bool = False
    interval: Interval | None = None
    notes: tuple[str, ...] = ()
    misses_scores: bool = False


def measure_evaluation(result: ExperimentResult, gate: Gate, score: ScoreSummary) -> Measure | None:
    """Measure the value that a gate limits; return None if the evaluation has no scores.

    Args:
        result: the experiment.
        gate: a gate on an evaluation, but not on a drop.
        score: summary of that evaluation.
    """
    if score.not_applicable and not score.count:
        return Measure(subject=_applies_to_none(score))
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
        advice = 'limit the mean, or return a bool: True, (True, "why") or {"score": True}'
        return Measure(subject=f"{score.name} returns numbers, so it has no pass rate; {advice}")
    return _mean(result, gate, score, score.mean)


def missing_in_drop(
    result: ExperimentResult, gate: Gate, score: ScoreSummary | None, compared: Comparison | None
) -> str:
    """Return the reason why missing scores fail a drop gate; empty if no score is missing.

    Failed runs do not count as missing here, because the gate on the error rate covers them.

    Args:
        result: the experiment.
        gate: a gate on a drop.
        score: summary of the gate's evaluation; None if the experiment does not have it.
        compared: comparison of the evaluation with the baseline; None without a baseline.
    """
    if score is not None and score.not_applicable and not score.count:
        return _applies_to_none(score)
    if gate.missing == "ignore":
        return ""
    if score is not None and score.pass_rate is None and score.mean is not None and score.unscored:
        return f"{score.unscored} of {result.expected_runs} runs have a label but no score: {_REMEDY}"
    if compared is not None and compared.half_applicable:
        number = compared.half_applicable
        return (
            f"it applies to {number} examples in either this run or the baseline, but not in both; "
            'set missing = "ignore" to allow this'
        )
    return ""


def _applies_to_none(score: ScoreSummary) -> str:
    return f"{score.name} applies to none of {score.not_applicable} runs"


def _examples(result: ExperimentResult, score: ScoreSummary) -> Measure:
    given = {
        run.example.id
        for run in result.runs
        for found in run.evaluations
        if found.name == score.name and found.failure is None and found.is_applicable
        if found.score is not None or score.mean is None
    }
    subject = f"{score.name} has {_noun(score)}s for {len(given)} {'example' if len(given) == 1 else 'examples'}"
    return Measure(subject=subject, value=len(given), notes=_notes(result, score))


def _mean(result: ExperimentResult, gate: Gate, score: ScoreSummary, mean: float) -> Measure:
    misses_scores = score.unscored > 0 and gate.missing == "fail"
    notes = _notes(result, score, " and do not count in the mean")
    if misses_scores:
        notes = (*notes, f"{score.unscored} of them have a label but no score: {_REMEDY}")
    return Measure(
        subject=f"{score.name} mean",
        value=mean,
        interval=interval_of_mean([*scores_of(result, score.name).by_example.values()]),
        notes=notes,
        misses_scores=misses_scores,
    )


def _pass_rate(result: ExperimentResult, gate: Gate, score: ScoreSummary, rate: float) -> Measure:
    """Measure a pass rate; a missing run counts against the gate."""
    is_floor = gate.rule.startswith("min")
    ignores = gate.missing == "ignore"
    ignored = score.unscored if ignores else 0
    size = result.expected_runs - score.not_applicable - ignored
    passes = round(rate * (result.expected_runs - score.not_applicable))
    if not is_floor:
        passes += result.missing_runs(score) - ignored
    scores = scores_of(result, score.name, missing_passes=not is_floor, ignores_unscored=ignores).by_example
    counted = f" and count as {'not passed' if is_floor else 'passed'}"
    return Measure(
        subject=f"{score.name} pass rate",
        value=passes / size,
        is_rate=True,
        interval=_share_interval(result, passes, size, [*scores.values()]),
        notes=_notes(result, score, counted, ignored=ignored),
    )


def _label_share(result: ExperimentResult, gate: Gate, score: ScoreSummary) -> Measure:
    """Measure the share of a label among the runs; a run without an evaluation counts against the gate."""
    if not score.labels:
        return Measure(subject=f"{score.name} returned no labels")
    label, is_floor = gate.label or "", gate.rule == "min_label_share"
    given = score.labels.get(label, 0)
    missing = result.expected_runs - score.given
    size = result.expected_runs - score.not_applicable
    hits = given if is_floor else given + missing
    notes = []
    if missing:
        counted = "not having the label" if is_floor else "having the label"
        notes.append(f"{missing} of {result.expected_runs} runs have no evaluation and count as {counted}")
    if not given:
        common = sorted(score.labels.items(), key=lambda item: (-item[1], item[0]))[:_MOST_LABELS]
        notes.append(f"no run has this label; the labels are: {', '.join(f'{name!r} {n}' for name, n in common)}")
    return Measure(
        subject=f"{score.name} share of {label!r}",
        value=hits / size,
        is_rate=True,
        interval=_share_interval(result, hits, size, _shares(result, score.name, label, counts_missing=not is_floor)),
        notes=(*notes, *_note_not_applicable(result, score)),
    )


def _shares(result: ExperimentResult, name: str, label: str, *, counts_missing: bool) -> list[float]:
    """Return the share of a label among the repetitions of each example that the evaluation applies to."""
    hits: dict[str, list[bool]] = {}
    for run in result.runs:
        own = hits.setdefault(run.example.id, [])
        evaluation = next((found for found in run.evaluations if found.name == name and found.failure is None), None)
        if evaluation is None or evaluation.is_applicable:
            own.append(counts_missing if evaluation is None else evaluation.label == label)
    return [sum(own) / len(own) for own in hits.values() if own]


def _noun(score: ScoreSummary) -> str:
    return "label" if score.mean is None else "score"


def _notes(result: ExperimentResult, score: ScoreSummary, counted: str = "", *, ignored: int = 0) -> tuple[str, ...]:
    """Return notes on runs without a score, and on runs that the evaluation does not apply to."""
    missing = result.missing_runs(score) - ignored
    notes = [f"{missing} of {result.expected_runs} runs have no {_noun(score)}{counted}"] if missing else []
    if ignored:
        notes.append(f"{ignored} of {result.expected_runs} runs have a label but no score and are ignored")
    return (*notes, *_note_not_applicable(result, score))


def _note_not_applicable(result: ExperimentResult, score: ScoreSummary) -> tuple[str, ...]:
    number = score.not_applicable
    return (f"it does not apply to {number} of {result.expected_runs} runs",) if number else ()


def _share_interval(result: ExperimentResult, hits: int, size: int, by_example: Sequence[float]) -> Interval | None:
    """Return Wilson's interval if each example ran once, else Student's t interval of the mean over examples."""
    return interval_of_mean(by_example) if result.repetitions > 1 else interval_of_rate(hits, size)
