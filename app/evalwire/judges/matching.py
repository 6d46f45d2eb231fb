"""Find the outputs that people labeled, and what people agree on (pure)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from evalwire.model import AgreementTable, mean, source_facts, weighted_kappa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalwire.model import Evaluation, ExperimentResult, Label, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledOutput:
    """An output with a label and a score.

    Attributes:
        run: the run that returned the output.
        labels: the last label of each person.
        value: the label of most people, or the mean of their scores; None for a tie.
        evaluation: the evaluation by the evaluator; None without a score.
    """

    run: TaskRun
    labels: tuple[Label, ...]
    value: float | None
    evaluation: Evaluation | None

    @property
    def score(self) -> float | None:
        """The score of the evaluator; None without a score."""
        return self.evaluation.score if self.evaluation is not None else None

    @property
    def name(self) -> str:
        """The ID of the example, and the repetition if it is not the first."""
        repetition = f" (repetition {self.run.repetition})" if self.run.repetition > 1 else ""
        return f"{self.run.example.id}{repetition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The labels of an experiment.

    Attributes:
        outputs: the labeled outputs, in the dataset's order.
        unmatched: labels without an output, each with the reason.
        elsewhere: labels of outputs of other experiments.
    """

    outputs: tuple[LabeledOutput, ...]
    unmatched: tuple[tuple[Label, str], ...] = ()
    elsewhere: tuple[Label, ...] = ()

    @property
    def compared(self) -> list[LabeledOutput]:
        """The outputs with a label that is not a tie, and with a score."""
        return [output for output in self.outputs if output.value is not None and output.score is not None]

    @property
    def tied(self) -> list[LabeledOutput]:
        """The outputs on which as many people say pass as fail."""
        return [output for output in self.outputs if output.value is None]

    @property
    def unscored(self) -> list[LabeledOutput]:
        """The outputs with a label, but without a score of the evaluator."""
        return [output for output in self.outputs if output.score is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleAgreement:
    """The agreement of people with each other.

    Attributes:
        annotators: the names of the people.
        shared: the number of outputs with labels of several people.
        kappa: the mean kappa of all pairs of people, weighted with the number of shared outputs; None without a kappa.
        differing: the outputs on which people differ.
    """

    annotators: tuple[str, ...]
    shared: int
    kappa: float | None
    differing: tuple[LabeledOutput, ...]


def label_sources(result: ExperimentResult) -> set[str]:
    """Return the IDs of the experiments with the outputs of a result: its own, and that of the outputs it scored."""
    source = source_facts(result.experiment_metadata) or {}
    return {found for found in (result.experiment_id, source.get("experiment")) if found}


def match_labels(labels: Sequence[Label], result: ExperimentResult, evaluation: str) -> Matched:
    """Find the output of each label.

    A label belongs to the run with its ID. Without a run ID, or if it names the experiment whose outputs were scored
    again, it belongs to the run of its example and repetition. Labels that name another experiment are about other
    outputs, and so are labels with the ID of another run. If a person labeled an output twice, the last label counts.

    Args:
        labels: the labels, oldest first.
        result: the experiment.
        evaluation: the name of the evaluation to compare with.
    """
    own, by_id = label_sources(result), {run.id: run for run in result.runs if run.id}
    by_example: defaultdict[str, dict[int, TaskRun]] = defaultdict(dict)
    for run in result.runs:
        by_example[run.example.id][run.repetition] = run
    elsewhere = [label for label in labels if label.experiment_id and label.experiment_id not in own]
    found: defaultdict[tuple[str, int], dict[str, Label]] = defaultdict(dict)
    unmatched = []
    for label in labels:
        if label.experiment_id and label.experiment_id not in own:
            continue
        is_of_source = label.experiment_id not in ("", result.experiment_id)  # in which runs have other IDs
        runs = by_example.get(label.example_id, {})
        labeled, reason = _run_of(label, by_id, {} if label.run_id and not is_of_source else runs)
        if labeled is None or labeled.failure is not None:
            unmatched.append((label, reason or "the run failed, so it has no output"))
        else:
            found[labeled.key][label.annotator] = label
    outputs = tuple(
        _labeled(run, tuple(found[run.key].values()), evaluation) for run in result.runs if run.key in found
    )
    return Matched(outputs=outputs, unmatched=tuple(unmatched), elsewhere=tuple(elsewhere))


def _run_of(label: Label, by_id: Mapping[str, TaskRun], runs: Mapping[int, TaskRun]) -> tuple[TaskRun | None, str]:
    """Return the run that a label is about, or the reason why the label matches no run.

    Args:
        label: the label.
        by_id: the runs of the experiment by ID.
        runs: the runs of the label's example by repetition; empty if only the ID of the run counts.
    """
    if label.run_id in by_id:
        return by_id[label.run_id], ""
    if not runs and label.run_id:
        return None, "the experiment has no such run"
    if not runs:
        return None, "the experiment has no such example" if label.example_id else "the experiment has no such run"
    if label.repetition is None and len(runs) > 1:
        return None, "the example ran several times, and the label has no repetition"
    repetition = label.repetition or next(iter(runs))
    found = runs.get(repetition)
    return found, "" if found is not None else f"the example has no repetition {repetition}"


def _labeled(run: TaskRun, labels: tuple[Label, ...], evaluation: str) -> LabeledOutput:
    scored = (
        found
        for found in run.evaluations
        if found.name == evaluation and found.failure is None and found.is_applicable and found.score is not None
    )
    return LabeledOutput(run=run, labels=labels, value=_common_value(labels), evaluation=next(scored, None))


def _common_value(labels: Sequence[Label]) -> float | None:
    values = [label.value for label in labels]
    if any(label.is_score for label in labels):
        return mean(values)
    share = sum(values) / len(values)
    return None if share == 0.5 else float(share > 0.5)  # noqa: PLR2004 - the majority


def agreement_of_people(outputs: Iterable[LabeledOutput]) -> PeopleAgreement:
    """Return how people agree on the outputs that several of them labeled."""
    by_pair: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    annotators: set[str] = set()
    shared, differing = 0, []
    for output in outputs:
        annotators |= {label.annotator for label in output.labels}
        shared += len(output.labels) > 1
        if len({label.value for label in output.labels}) > 1:
            differing.append(output)
        for first, second in combinations(sorted(output.labels, key=lambda label: label.annotator), 2):
            by_pair[first.annotator, second.annotator].append((first.value, second.value))
    kappas = [(kappa, len(pairs)) for pairs in by_pair.values() if (kappa := _kappa(pairs)) is not None]
    total = sum(number for _, number in kappas)
    return PeopleAgreement(
        annotators=tuple(sorted(annotators)),
        shared=shared,
        kappa=sum(kappa * number for kappa, number in kappas) / total if total else None,
        differing=tuple(differing),
    )


def _kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    if are_binary(value for pair in pairs for value in pair):
        return AgreementTable.of((bool(a), bool(b)) for a, b in pairs).kappa
    return weighted_kappa(pairs)


def are_binary(values: Iterable[float]) -> bool:
    """Check whether all values are 0 or 1."""
    return {0.0, 1.0}.issuperset(values)
