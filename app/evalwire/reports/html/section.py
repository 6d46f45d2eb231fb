"""Collect the data that the page shows for an experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from evalwire.model import token_count, usage_cost, written
from evalwire.reports.causes import Cause, causes_of
from evalwire.reports.highlights import ChangedExample, Highlight, changed_examples, comparison_link, lowest
from evalwire.reports.html.markup import is_web_address
from evalwire.reports.html.numbers import DASH, MINUS, number
from evalwire.reports.text import single_line, start_of

if TYPE_CHECKING:
    from evalwire.model import (
        Baseline,
        BaselineRun,
        Comparison,
        Cost,
        Evaluation,
        ExperimentResult,
        Failure,
        GateResult,
        Pair,
        Report,
        ScoreSummary,
        TaskRun,
        Usage,
    )

_NARROW, _NUMBER, _STATUS, _SCORE, _NAME = 4, 6, 7, 9, 18  # widths of columns, in rem

ByEvaluation = list[tuple[str, list[Highlight]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The data of an experiment that several parts of the page use.

    Attributes:
        report: the report.
        result: the experiment.
        number: position of the experiment in the report, from 0.
        scores: summaries of the scores.
        baseline: baseline of the experiment; None without a comparison.
        pairs: evaluation -> example ID -> scores before and after.
        worse: IDs of the examples that became worse in some evaluation.
        better: IDs of the examples that became better in some evaluation.
        added: IDs of the examples that the baseline does not have.
        changed: IDs of the examples whose content differs from the baseline.
        differing: runs of the baseline that differ, by example ID and repetition.
        repetitions_before: number of repetitions that the baseline is known to have.
        moved: examples with a score that differs from the baseline, largest regressions first.
        places: position of each run, by the example's node ID and the repetition.
        usage: usage of language models in the whole experiment; None if unknown.
        tokens: number of tokens that each run used; None if unknown.
        has_tokens: whether any run is known to have used tokens.
        comparison_page: page of both experiments in Phoenix; None if it is not known or not a web address.
        has_web_address: whether the experiment's page is a web address, and so are its traces.
    """

    report: Report
    result: ExperimentResult
    number: int
    scores: tuple[ScoreSummary, ...]
    baseline: Baseline | None
    pairs: Mapping[str, Mapping[str, Pair]]
    worse: frozenset[str]
    better: frozenset[str]
    added: frozenset[str]
    changed: frozenset[str]
    differing: Mapping[tuple[str, int], BaselineRun]
    repetitions_before: int
    moved: Sequence[ChangedExample]
    places: Mapping[tuple[str, int], int]
    usage: Usage | None
    tokens: tuple[int | None, ...]
    has_tokens: bool
    comparison_page: str | None
    has_web_address: bool

    @classmethod
    def of(cls, report: Report, number: int) -> Section:
        """Return the section of the experiment at this position."""
        result = report.results[number]
        baseline = report.baseline_of(result.name)
        comparisons = baseline.comparisons if baseline else ()
        tokens = tuple(None if (used := run.total_usage) is None else token_count(used) for run in result.runs)
        page = comparison_link(baseline, result)
        return cls(
            report=report,
            result=result,
            number=number,
            scores=tuple(result.scores),
            baseline=baseline,
            pairs={compared.name: {pair.example_id: pair for pair in compared.pairs} for compared in comparisons},
            worse=frozenset(pair.example_id for compared in comparisons for pair in compared.worse),
            better=frozenset(pair.example_id for compared in comparisons for pair in compared.better),
            added=frozenset(baseline.added if baseline else ()),
            changed=frozenset(baseline.changed if baseline else ()),
            differing=baseline.runs_by_key if baseline else {},
            repetitions_before=max((run.repetition for run in baseline.runs), default=0) if baseline else 0,
            moved=changed_examples(baseline, result),
            places={(run.example.node_id, run.repetition): place for place, run in enumerate(result.runs)},
            usage=result.usage,
            tokens=tokens,
            has_tokens=any(tokens),
            comparison_page=page if page and is_web_address(page) else None,
            has_web_address=bool(result.url) and is_web_address(result.url or ""),
        )

    @property
    def anchor(self) -> str:
        """Return the ID of the section in the page."""
        return f"x{self.number}"

    def run_anchor(self, run: TaskRun) -> str:
        """Return the ID of a run's row, made of numbers because users' texts may not be valid IDs."""
        return f"r{self.number}-{self.places[run.example.node_id, run.repetition]}"

    @property
    def state(self) -> str:
        """Return the outcome of the experiment: `passed` or `failed`."""
        return "passed" if self.report.passed(self.result) else "failed"

    @property
    def gates(self) -> list[GateResult]:
        """Return the gate results of the experiment."""
        return self.report.gates_of(self.result.name)

    @property
    def failed_gates(self) -> int:
        """Return the number of the experiment's gates that fail the job."""
        return sum(gate.is_red for gate in self.gates)

    @property
    def gate_statuses(self) -> str:
        """Return the number of the experiment's gates by status."""
        counts = Counter(gate.status for gate in self.gates)
        return ", ".join(f"{size} {status}" for status, size in counts.items()) or DASH

    @property
    def token_count(self) -> int:
        """Return the number of tokens that are known to have been used."""
        return token_count(self.usage or ())

    @property
    def models(self) -> str:
        """Return the names of the language models that the experiment used."""
        return ", ".join(used.model or "a model without a name" for used in self.usage or ())

    @property
    def cost(self) -> Cost:
        """Return the known cost, and the models whose cost is unknown."""
        return usage_cost(self.usage or (), self.report.prices)

    @property
    def most_repeated(self) -> int:
        """Return the largest k of pass@k; 0 without repetitions."""
        return max((max(score.pass_at) for score in self.scores if score.pass_at), default=0)

    @property
    def regressions(self) -> list[ChangedExample]:
        """Return the examples that became worse than in the baseline, largest regressions first."""
        return [example for example in self.moved if example.is_worse]

    @property
    def improvements(self) -> list[ChangedExample]:
        """Return the examples that only became better than in the baseline, largest improvements first."""
        return [example for example in self.moved if not example.is_worse]

    @property
    def lowest(self) -> ByEvaluation:
        """Return the lowest scores of evaluations that were not compared with a baseline."""
        names = [score.name for score in self.scores if score.name not in self.pairs and score.mean is not None]
        return _by_evaluation(highlight for name in names for highlight in lowest(self.result, name))

    @property
    def causes(self) -> list[tuple[str, Failure, list[TaskRun]]]:
        """Return the causes of failed runs, most common first: a heading, the failure and the runs."""
        return [(_heading(cause), cause.failure, [run for run, _ in cause.runs]) for cause in causes_of(self.result)]

    @property
    def heads(self) -> list[tuple[str, str]]:
        """Return the headings of the table of runs, each with the name of the evaluation or an empty text."""
        repetition = [("No.", "")] if self.result.repetitions > 1 else []
        scores = [(score.name, score.name) for score in self.scores]
        tokens = [("Tokens", "")] if self.has_tokens else []
        return [("Example", ""), *repetition, ("Status", ""), *scores, ("Time", ""), *tokens]

    @property
    def splits(self) -> set[str]:
        """Return the splits of the examples."""
        return {split for run in self.result.runs for split in run.example.splits}

    @property
    def style(self) -> str:
        """Return CSS with fixed column widths, so the browser can skip the layout of rows that are not visible."""
        widths = [_NARROW] * (self.result.repetitions > 1) + [_STATUS] + [_SCORE] * len(self.scores)
        widths += [_NUMBER] * (1 + self.has_tokens)
        columns = " ".join(f"{width}rem" for width in widths)
        return (
            f".t{self.number}{{min-width:{_NAME + sum(widths)}rem}}"
            f".t{self.number} tr{{grid-template-columns:minmax({_NAME}rem,1fr) {columns}}}\n"
        )

    def has_changed(self, name: str) -> bool:
        """Check whether the evaluator of a score changed since the baseline, so that the score cannot be compared."""
        return self.baseline is not None and name in self.baseline.changed_evaluators

    def comparison(self, name: str) -> Comparison | None:
        """Return the comparison of an evaluation with the baseline."""
        return self.baseline.comparison(name) if self.baseline else None

    def earlier(self, run: TaskRun) -> BaselineRun | None:
        """Return the baseline's run of the same example and repetition, if it differs."""
        return self.differing.get((run.example.id, run.repetition)) if self.differing else None

    def is_paired(self, run: TaskRun) -> bool:
        """Check whether the example has a score on both sides."""
        return bool(self.pairs) and any(run.example.id in pairs for pairs in self.pairs.values())

    def is_same(self, run: TaskRun) -> bool:
        """Check whether the baseline is known to have the same output; reports of earlier versions do not have it."""
        if (run.example.id, run.repetition) in self.differing or not self.is_paired(run):
            return False
        return run.repetition <= self.repetitions_before

    def status(self, run: TaskRun) -> tuple[str, str]:
        """Return the status of a run: words for the filter, and the word to show."""
        id_, has_failed = run.example.id, run.has_failed
        kinds = ["failed"] * has_failed + ["worse"] * (id_ in self.worse) + ["better"] * (id_ in self.better)
        if run.failure:
            shown = "failed"
        elif has_failed:
            shown = "not evaluated" if any(evaluation.failure for evaluation in run.evaluations) else "not recorded"
        elif len(kinds) > 1:
            shown = "mixed"
        elif kinds:
            shown = kinds[0]
        elif id_ in self.added:
            shown = "new"
        elif id_ in self.changed:
            shown = "changed"
        else:
            shown = "same" if self.is_paired(run) else "ran"
        return " ".join(kinds), shown

    def change(self, run: TaskRun, name: str) -> tuple[str, str]:
        """Return whether an example became better or worse in an evaluation, and by how much."""
        pairs = self.pairs.get(name)
        pair, comparison = (pairs.get(run.example.id), self.comparison(name)) if pairs else (None, None)
        if pair is None or comparison is None or not (gain := comparison.gain(pair)):
            return "", ""
        kind = "better" if gain > 0 else "worse"
        change = written(abs(pair.after - pair.before))
        change = f"{'+' if pair.after > pair.before else MINUS}{change if float(change) else '0.0…'}"
        if self.result.repetitions > 1:
            return kind, f"mean {change}"
        if comparison.is_bool and pair.before in {0.0, 1.0}:
            return kind, f"was {bool(pair.before)}"
        return kind, change


def _by_evaluation(found: Iterable[Highlight]) -> ByEvaluation:
    return [(name, list(group)) for name, group in groupby(found, key=lambda highlight: highlight.evaluation)]


def evaluation_of(run: TaskRun, name: str) -> Evaluation | None:
    """Return the evaluation of a run with this name."""
    for evaluation in reversed(run.evaluations):
        if evaluation.name == name:
            return evaluation
    return None


def shown_score(evaluation: Evaluation) -> str:
    """Return a score as the evaluator returned it, a bool or a number; empty without a score."""
    if evaluation.score is None:
        return ""
    return str(evaluation.score == 1) if evaluation.kind == "bool" else number(evaluation.score)


def shown_label(evaluation: Evaluation) -> str:
    """Return the label of an evaluation; empty if it equals the score."""
    return "" if evaluation.label is None or evaluation.label == shown_score(evaluation) else evaluation.label


def kind_of_change(comparison: Comparison) -> str:
    """Return `better`, `worse` or `same` for the mean of an evaluation."""
    change = comparison.change or 0.0
    gain = -change if comparison.direction == "minimize" else change
    return "worse" if gain < 0 else "better" if gain > 0 else "same"


def split_names(sections: Sequence[Section]) -> list[str]:
    """Return the names of all splits, sorted."""
    return sorted(set().union(*(section.splits for section in sections)))


def evaluation_names(sections: Sequence[Section]) -> list[str]:
    """Return the names of all evaluations, sorted."""
    return sorted({score.name for section in sections for score in section.scores})


def commonest_labels(score: ScoreSummary) -> str:
    """Return the five most common labels, each with its count."""
    ordered = sorted(score.labels.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{label} {size:,}" for label, size in ordered[:5])


def _heading(cause: Cause) -> str:
    return {"task": "Task", "record": "Not recorded", "evaluator": f"Evaluator {cause.name}"}[cause.what]


def preview(value: Any) -> str:
    """Return a value on a single line; for an object, only the values of its fields."""
    return " · ".join(map(single_line, value.values())) if isinstance(value, Mapping) else single_line(value)


def start_of_preview(value: Any, length: int) -> str:
    """Return the preview of a value, whose end may be missing after more than `length` characters."""
    if isinstance(value, Mapping):
        return " · ".join([start_of(field, length) for field in value.values()])
    return start_of(value, length)


def answer(run: TaskRun) -> str:
    """Return the output of a task on a single line, or the reason why it failed."""
    return f"{run.failure.type}: {run.failure.message}" if run.failure else preview(run.output)


def start_of_answer(run: TaskRun, length: int) -> str:
    """Return the answer of a run, whose end may be missing after more than `length` characters."""
    return answer(run) if run.failure else start_of_preview(run.output, length)


TEMPLATE_NAMES: Mapping[str, Callable[..., Any]] = {
    "answer": answer,
    "commonest_labels": commonest_labels,
    "evaluation_names": evaluation_names,
    "kind_of_change": kind_of_change,
    "preview": preview,
    "split_names": split_names,
}
