"""Measure the agreement of an evaluator with people (pure)."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.judges.matching import Matched, PeopleAgreement, agreement_of_people, are_binary, match_labels
from evalwire.model import (
    FEWEST_LABELS,
    AgreementTable,
    Calibration,
    Interval,
    count,
    inputs_of,
    kappa_interval,
    models_of,
    own_metadata,
    powered_rate,
    rank_correlation,
    recorded_variant,
    weighted_kappa,
    weighted_kappa_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evalwire.judges.matching import LabeledOutput
    from evalwire.model import CorrectedRate, ExperimentResult, Label

FEWEST_FOR_KAPPA = 100
"""The number of labels from which the interval of kappa covers in 93 to 97% of all samples; below, it is wider."""

_UNLIKELY = 2.58  # standard errors that a fair sample exceeds in 1% of all cases
_NAMED = 5  # names in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement of an evaluator with people on the outputs of an experiment.

    Attributes:
        calibration: the agreement, to be recorded.
        matched: the labels and their outputs.
        people: the agreement of people with each other.
        own_rate: the evaluator's pass rate over all outputs that it scored; None for scores.
        rate: the pass rate corrected with the labels; None where it would not hold.
        no_rate: the reason for a missing corrected rate; empty if the rate is known.
        correlation: Spearman's rank correlation of scores; None for passes and failures.
        unlabeled: the number of outputs with a score and without a label.
        bias: a sentence if the labeled outputs are not a fair sample of all outputs; else empty.
    """

    calibration: Calibration
    matched: Matched
    people: PeopleAgreement
    own_rate: float | None = None
    rate: CorrectedRate | None = None
    no_rate: str = ""
    correlation: float | None = None
    unlabeled: int = 0
    bias: str = ""

    @property
    def differing(self) -> list[LabeledOutput]:
        """The outputs on which the evaluator differs from people, largest difference first."""
        found = [output for output in self.matched.compared if output.value != output.score]
        return sorted(found, key=lambda output: -abs((output.value or 0.0) - (output.score or 0.0)))


def measure_agreement(labels: Sequence[Label], result: ExperimentResult, evaluation: str, *, today: date) -> Agreement:
    """Measure the agreement of an evaluator with people.

    Args:
        labels: the labels, oldest first.
        result: the experiment with the labeled outputs and the scores of the evaluator.
        evaluation: the name of the evaluation.
        today: the day of the calibration.

    Raises:
        UsageError: no label can be compared with a score, labels and scores are of different kinds, or not all files
            of the evaluator are recorded.
    """
    if obstacle := _obstacle(result, evaluation):
        raise UsageError(obstacle)
    matched = match_labels(labels, result, evaluation)
    compared = matched.compared
    if not compared:
        raise UsageError(_nothing(matched, result, evaluation))
    pairs = [(output.value or 0.0, output.score or 0.0) for output in compared]
    is_binary = are_binary(value for pair in pairs for value in pair)
    if not is_binary and not any(label.is_score for output in compared for label in output.labels):
        raise UsageError(
            f"{evaluation} returns scores other than 0 and 1, but the labels say pass or fail. Label with scores on "
            "the same scale, or let the evaluator return a bool."
        )
    people = agreement_of_people(matched.outputs)
    calibration = _calibration(compared, result, evaluation, today, is_binary=is_binary, people=people)
    labeled = {output.run.key for output in compared}
    others = [score for key, score in _scores(result, evaluation) if key not in labeled]
    if not is_binary:
        return Agreement(
            calibration=calibration,
            matched=matched,
            people=people,
            correlation=rank_correlation(pairs),
            unlabeled=len(others),
        )
    everything = [*others, *(score for _, score in pairs)]
    no_rate = f"{len(pairs)} labels are too few (at least {FEWEST_LABELS})" if len(pairs) < FEWEST_LABELS else ""
    return Agreement(
        calibration=calibration,
        matched=matched,
        people=people,
        own_rate=math.fsum(everything) / len(everything),
        rate=None if no_rate else powered_rate(pairs, others),
        no_rate=no_rate,
        unlabeled=len(others),
        bias=_bias([score for _, score in pairs], others),
    )


def _obstacle(result: ExperimentResult, evaluation: str) -> str:
    """Return why the files of an evaluator are not all recorded, with the remedy; empty if they are.

    An experiment that starts records the files that its modules read. Only a job that ends a whole experiment adds the
    files that evaluators read during the run, such as prompts. A gate would not notice a change of the others.
    """
    facts = own_metadata(result.experiment_metadata)
    name = f"{result.experiment_id} ({result.name})"
    if "shards" in facts:
        return (
            f"{name} cannot calibrate {evaluation}: shards do not record all files that {evaluation} read. Score its "
            f"outputs again with `evalwire score --experiment {result.experiment_id}`, and try again with the same "
            "labels."
        )
    if facts and "outcome" not in facts:
        return (
            f"{name} cannot calibrate {evaluation}: its run did not end, so it is not recorded which files "
            f"{evaluation} read. Continue it with `evalwire resume`, or score its outputs again with "
            f"`evalwire score --experiment {result.experiment_id}`, and try again with the same labels."
        )
    return ""


def _scores(result: ExperimentResult, evaluation: str) -> list[tuple[tuple[str, int], float]]:
    return [
        (run.key, found.score)
        for run in result.runs
        for found in run.evaluations
        if found.name == evaluation and found.failure is None and found.is_applicable and found.score is not None
    ]


def _calibration(
    compared: Sequence[LabeledOutput],
    result: ExperimentResult,
    evaluation: str,
    today: date,
    *,
    is_binary: bool,
    people: PeopleAgreement,
) -> Calibration:
    by_example: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for output in compared:
        by_example[output.run.example.id].append((output.value or 0.0, output.score or 0.0))
    examples = list(by_example.values())
    pairs = [pair for found in examples for pair in found]
    table, kappa, interval = None, weighted_kappa(pairs), None
    if is_binary:
        tables = [AgreementTable.of((bool(a), bool(b)) for a, b in found) for found in examples]
        table = AgreementTable.of((bool(a), bool(b)) for a, b in pairs)
        kappa, interval = table.kappa, kappa_interval(tables)
    elif kappa is not None:
        interval = weighted_kappa_interval(examples)
    variant = recorded_variant(result.experiment_metadata)
    evaluator = next(output.evaluation.evaluator for output in compared if output.evaluation is not None)
    return Calibration(
        experiment=variant.directory if variant is not None else result.name,
        evaluation=evaluation,
        evaluator=evaluator,
        date=today,
        labels=len(compared),
        annotators=len(people.annotators),
        kappa=None if kappa is None else round(kappa, 4),
        interval=_rounded(interval),
        table=table,
        files=dict(inputs_of(result).evaluators.get(evaluator, {})),
        models=models_of(result, evaluator) or (),
        experiment_id=result.experiment_id,
    )


def _rounded(interval: Interval | None) -> Interval | None:
    """Return an interval with four digits, which a resampling has at most."""
    if interval is None:
        return None
    return Interval(
        low=round(interval.low, 4),
        high=round(interval.high, 4),
        method=interval.method,
        confidence=interval.confidence,
    )


def _bias(labeled: Sequence[float], others: Sequence[float]) -> str:
    """Return a sentence if the evaluator passes labeled outputs more or less often than the others."""
    if not others:
        return ""
    first, second = math.fsum(labeled) / len(labeled), math.fsum(others) / len(others)
    share = (math.fsum(labeled) + math.fsum(others)) / (len(labeled) + len(others))
    error = math.sqrt(share * (1 - share) * (1 / len(labeled) + 1 / len(others)))
    if abs(first - second) <= _UNLIKELY * error:
        return ""
    return (
        f"the labeled outputs are not a fair sample: the evaluator passes {first:.0%} of them and {second:.0%} of the "
        "other outputs. Label in the order of `evalwire label`, because kappa and the rates below assume a fair sample"
    )


def _nothing(matched: Matched, result: ExperimentResult, evaluation: str) -> str:
    where = f"{result.experiment_id} ({result.name})"
    if matched.outputs:
        tied = count(len(matched.tied), "tie")
        return (
            f"no label can be compared: of {count(len(matched.outputs), 'labeled output')} of {where}, "
            f"{len(matched.unscored)} have no score of {evaluation}, and there are {tied} between people."
        )
    if matched.unmatched:
        label, why = matched.unmatched[0]
        first = f"{label.place or 'an annotation'}: {label.example_id or label.run_id}: {why}"
        return f"none of the labels matches an output of {where}. {first}."
    if matched.elsewhere:
        other = ", ".join(sorted({label.experiment_id for label in matched.elsewhere})[:_NAMED])
        return f"all labels are of outputs of other experiments ({other}), not of {where}. Select it with --experiment."
    return f"there are no labels of outputs of {where}. Make some with `evalwire label {evaluation}`."
