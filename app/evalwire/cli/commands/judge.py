"""`evalwire judge EVALUATION`: measure the agreement of an evaluator with people, and record it."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import clocks, reports
from evalwire.gates import Calibrations, KnownNames, resolve_gates
from evalwire.jobs import (
    LabelRequest,
    Listing,
    RecordedNames,
    edited_files,
    judges_directory,
    labeled_experiment,
    labels_path,
)
from evalwire.judges import FEWEST_FOR_KAPPA, calibration_json, calibration_path, measure_agreement
from evalwire.masking import masked
from evalwire.model import corrected_rate, correction_obstacle, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.cli.invocation import Invocation
    from evalwire.judges import Agreement, LabeledOutput
    from evalwire.model import Label


def judge(
    invocation: Invocation,
    *,
    evaluation: str,
    labels: Path | None = None,
    annotation: str | None = None,
    experiment: str | None = None,
    corrected: str | None = None,
    form: reports.judge_text.Form = "text",
) -> int:
    """Show the agreement of an evaluator with people, write it to `judges/NAME.json`, and return exit code 0.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        evaluation: the name of the evaluation.
        labels: a CSV file of labels; by default the file of `evalwire label`, if it exists.
        annotation: the name of people's annotations in Phoenix, instead of a file.
        experiment: the experiment with the labeled outputs, as in `RecordedNames`.
        corrected: an experiment with other outputs, whose pass rate is corrected with the labels.
        form: text or Markdown.

    Raises:
        UsageError: the labels cannot be compared with scores of the evaluator.
        NothingToRunError: the experiments directory contains no experiments.
        EvalwireError: Phoenix cannot be reached.
    """
    settings, console = invocation.settings, invocation.console
    usual = labels_path(settings, evaluation)
    if labels is None and annotation is None and usual.exists():
        labels = usual
    listing = Listing(invocation.connect(None))
    request = LabelRequest(
        evaluation=evaluation, labels=labels, annotation=annotation or evaluation, experiment=experiment
    )
    names = RecordedNames(settings, listing)
    found, result = labeled_experiment(request, names, listing)
    agreement = measure_agreement(found, result, evaluation, today=clocks.now().astimezone(UTC).date())
    shown = reports.judge_text.ShownAgreement(
        calibration=agreement.calibration,
        differences=[_difference(output) for output in agreement.differing],
        notes=[*_other_rate(agreement, corrected, names, listing), *_notes(agreement, request)],
        own_rate=agreement.own_rate,
        rate=agreement.rate,
        no_rate=agreement.no_rate,
        correlation=agreement.correlation,
        max_drops=_max_drops(invocation, agreement),
        unlabeled=agreement.unlabeled,
        is_rough=agreement.calibration.labels < FEWEST_FOR_KAPPA,
    )
    shown = masked(shown, console.mask)
    console.out.write(reports.judge_text.render(shown, form, width=console.width or 80))
    directory = judges_directory(settings)
    path = calibration_path(directory, agreement.calibration)
    reports.write(path, [calibration_json(masked(agreement.calibration, console.mask))])
    if edited := edited_files(settings, agreement.calibration):
        console.warn(
            f"wrote {path}, but gates reject it: {', '.join(edited)} changed after {evaluation} returned these scores. "
            f"To score the labeled outputs again, run `evalwire score --experiment {result.experiment_id}`. Then run "
            f"`evalwire judge {evaluation}` again"
        )
    else:
        console.say(f"wrote {path}: commit it, so that gates can use it")
    return 0


def _other_rate(agreement: Agreement, name: str | None, names: RecordedNames, listing: Listing) -> Iterator[str]:
    """Yield a sentence on the corrected pass rate of an experiment with other outputs."""
    if name is None:
        return
    calibration = agreement.calibration
    other = listing.phoenix.recorded.result(names.find_single(name))
    score = next((each for each in other.scores if each.name == calibration.evaluation), None)
    change = Calibrations().change(other, calibration)
    obstacle = correction_obstacle(calibration.table) if calibration.table is not None else "its scores are numbers"
    if score is None or score.mean is None:
        obstacle = f"it has no score of {calibration.evaluation}"
    elif change:
        obstacle = f"its evaluator differs ({change})"
    if obstacle or score is None or score.mean is None or calibration.table is None:
        yield f"no corrected pass rate of {other.experiment_id}: {obstacle}"
        return
    scored = {run.example.id for run in other.runs for each in run.evaluations if each.name == score.name}
    rate = corrected_rate(score.mean, len(scored), calibration.table)
    yield reports.judge_text.rate_text(rate, own=score.mean, of=other.experiment_id)


def _difference(output: LabeledOutput) -> reports.judge_text.Difference:
    said = output.evaluation
    values = sorted({_said(label) for label in output.labels})
    return reports.judge_text.Difference(
        name=output.name,
        output=output.run.output,
        people=" and ".join(values),
        note="; ".join(label.note for label in output.labels if label.note),
        evaluator=_scored(said.score if said else None, is_label=not any(label.is_score for label in output.labels)),
        explanation=(said.explanation if said else "") or "",
    )


def _said(label: Label) -> str:
    return label.word or f"{label.value:g}"


def _scored(score: float | None, *, is_label: bool) -> str:
    return ("pass" if score else "fail") if is_label else f"{score:g}"


def _notes(agreement: Agreement, request: LabelRequest) -> Iterator[str]:
    """Yield sentences on labels that do not count, and on people who differ."""
    matched, people = agreement.matched, agreement.people
    names_text = reports.judge_text.names_text
    if agreement.bias:
        yield agreement.bias
    if len(people.annotators) > 1:
        kappa = "unknown" if people.kappa is None else f"{people.kappa:.2f}"
        shared = count(people.shared, "output")
        yield f"{len(people.annotators)} people labeled {shared} in common; kappa between them is {kappa}"
    if people.differing:
        names = names_text([output.name for output in people.differing])
        yield f"people differ on {count(len(people.differing), 'output')}: {names}"
    if matched.tied:
        names = names_text([output.name for output in matched.tied])
        yield f"{count(len(matched.tied), 'tie')} between people left out: {names}"
    if matched.unscored:
        names = names_text([output.name for output in matched.unscored])
        yield f"{count(len(matched.unscored), 'labeled output')} without a score of {request.evaluation}: {names}"
    if matched.unmatched:
        names = names_text([label.example_id or label.run_id for label, _ in matched.unmatched])
        yield f"{count(len(matched.unmatched), 'label')} without an output: {names} ({matched.unmatched[0][1]})"
    if matched.elsewhere:
        names = names_text(sorted({label.experiment_id for label in matched.elsewhere}))
        yield f"{count(len(matched.elsewhere), 'label')} left out: of outputs of {names}"
    if request.labels is not None and not any(label.experiment_id for each in matched.outputs for label in each.labels):
        yield (
            f"{request.labels} names no experiment, so the labels are taken as labels of the outputs of "
            f"{agreement.calibration.experiment_id}"
        )


def _max_drops(invocation: Invocation, agreement: Agreement) -> Sequence[float]:
    """Return the allowed drops of the evaluation's gates, as shares."""
    calibration = agreement.calibration
    known = KnownNames(gated={calibration.experiment: [calibration.evaluation]}, is_lenient=True)
    gates = resolve_gates(invocation.settings.thresholds, known)
    return [
        gate.threshold
        for gate in gates
        if gate.rule == "max_drop" and gate.evaluation == calibration.evaluation and not gate.is_relative
    ]
