"""Collect what the page shows of one experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from evalwire.model import token_count, usage_cost_usd, written
from evalwire.reports.causes import Cause, causes_of
from evalwire.reports.highlights import Highlight, improvements, lowest, regressions
from evalwire.reports.html.numbers import DASH, MINUS, number
from evalwire.reports.text import in_one_line

if TYPE_CHECKING:
    from evalwire.model import (
        Baseline,
        Comparison,
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

_NARROW, _NUMBER, _STATUS, _SCORE, _NAME = 4, 6, 7, 9, 10  # widths of columns, in rem

ByEvaluation = list[tuple[str, list[Highlight]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One experiment, with what several parts of the page need of it.

    Attributes:
        number: the experiment's place in the report, from 0.
        scores: its summaries.
        baseline: what it was compared with.
        pairs: evaluation -> example ID -> its score before and now.
        worse: the IDs of the examples that became worse under some evaluation.
        better: the IDs of the examples that became better.
        added: the IDs of the examples that the baseline does not have.
        changed: the IDs of the examples that the baseline has with another content.
        places: the place of each run, by the example's node ID and the repetition.
        usage: language models that the whole experiment used; None where that is not known.
        tokens: how many tokens each run used; None where that is not known.
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
    places: Mapping[tuple[str, int], int]
    usage: Usage | None
    tokens: tuple[int | None, ...]

    @classmethod
    def of(cls, report: Report, number: int) -> Section:
        """Return the section of the experiment at this place."""
        result = report.results[number]
        baseline = report.baseline_of(result.name)
        comparisons = baseline.comparisons if baseline else ()
        return cls(
            report=report,
            result=result,
            number=number,
            scores=tuple(result.scores),
            baseline=baseline,
            pairs={one.name: {pair.example_id: pair for pair in one.pairs} for one in comparisons},
            worse=frozenset(pair.example_id for one in comparisons for pair in one.worse),
            better=frozenset(pair.example_id for one in comparisons for pair in one.better),
            added=frozenset(baseline.added if baseline else ()),
            changed=frozenset(baseline.changed if baseline else ()),
            places={(run.example.node_id, run.repetition): place for place, run in enumerate(result.runs)},
            usage=result.usage,
            tokens=tuple(None if (used := run.total_usage) is None else token_count(used) for run in result.runs),
        )

    @property
    def anchor(self) -> str:
        """The ID of its part of the page."""
        return f"x{self.number}"

    def run_anchor(self, run: TaskRun) -> str:
        """Return the ID of a run's row; it is made of numbers, since texts of users need not be IDs."""
        return f"r{self.number}-{self.places[run.example.node_id, run.repetition]}"

    @property
    def state(self) -> str:
        """The outcome of the experiment in one word."""
        return "passed" if self.report.passed(self.result) else "failed"

    @property
    def gates(self) -> list[GateResult]:
        """The results of its gates."""
        return self.report.gates_of(self.result.name)

    @property
    def red_gates(self) -> int:
        """The number of the experiment's gates that failed the job."""
        return sum(gate.is_red for gate in self.gates)

    @property
    def gate_statuses(self) -> str:
        """The number of the experiment's gates by status."""
        counts = Counter(gate.status for gate in self.gates)
        return ", ".join(f"{size} {status}" for status, size in counts.items()) or DASH

    @property
    def has_tokens(self) -> bool:
        """True if any run is known to have used tokens."""
        return any(self.tokens)

    @property
    def token_count(self) -> int:
        """All tokens that are known to have been used."""
        return token_count(self.usage or ())

    @property
    def models(self) -> str:
        """The names of the language models it used."""
        return ", ".join(one.model or "a model without a name" for one in self.usage or ())

    @property
    def cost_and_unknown(self) -> tuple[float, list[str]]:
        """Its cost in US dollars, and the models whose cost is not known."""
        return usage_cost_usd(self.usage or (), self.report.prices)

    @property
    def cost(self) -> str:
        """Its cost, with a plus where part of it is not known."""
        cost, unknown = self.cost_and_unknown
        return DASH if self.usage is None else f"${cost:,.4f}" + (" +" if unknown else "")

    @property
    def most_repeated(self) -> int:
        """The largest k of pass@k; 0 where there is none."""
        return max((max(score.pass_at) for score in self.scores if score.pass_at), default=0)

    @property
    def regressions(self) -> ByEvaluation:
        """The examples that became worse than in the baseline."""
        return _by_evaluation(regressions(self.report, self.result))

    @property
    def improvements(self) -> ByEvaluation:
        """The examples that became better than in the baseline."""
        return _by_evaluation(improvements(self.report, self.result))

    @property
    def lowest(self) -> ByEvaluation:
        """The lowest scores, where no baseline says which examples are worth a look."""
        names = [score.name for score in self.scores if score.name not in self.pairs and score.mean is not None]
        return _by_evaluation(one for name in names for one in lowest(self.result, name))

    @property
    def causes(self) -> list[tuple[str, Failure, list[TaskRun]]]:
        """The failures of runs, the commonest first, each once: a heading, the failure and the runs that have it."""
        return [(_heading(cause), cause.failure, [run for run, _ in cause.runs]) for cause in causes_of(self.result)]

    @property
    def columns(self) -> int:
        """The number of columns in the table of runs."""
        return 3 + (self.result.repetitions > 1) + len(self.scores) + self.has_tokens

    @property
    def style(self) -> str:
        """The widths of the columns: rows are laid out one by one, so that those out of sight cost nothing."""
        widths = [_NARROW] * (self.result.repetitions > 1) + [_STATUS] + [_SCORE] * len(self.scores)
        widths += [_NUMBER] * (1 + self.has_tokens)
        columns = " ".join(f"{width}rem" for width in widths)
        return (
            f".t{self.number}{{min-width:{_NAME + sum(widths)}rem}}"
            f".t{self.number} tr{{grid-template-columns:minmax({_NAME}rem,1fr) {columns}}}\n"
        )

    def comparison(self, name: str) -> Comparison | None:
        """Return how one evaluation compares with the baseline."""
        return self.baseline.comparison(name) if self.baseline else None

    def status(self, run: TaskRun) -> tuple[str, str]:
        """Return what a run is: words for the filter, and one for the reader."""
        id_ = run.example.id
        kinds = ["failed"] * bool(run.failures) + ["worse"] * (id_ in self.worse) + ["better"] * (id_ in self.better)
        if run.failure:
            shown = "failed"
        elif run.failures:
            shown = "not judged" if any(said.failure for said in run.evaluations) else "not recorded"
        elif len(kinds) > 1:
            shown = "mixed"
        elif kinds:
            shown = kinds[0]
        elif id_ in self.added:
            shown = "new"
        elif id_ in self.changed:
            shown = "changed"
        else:
            shown = "same" if any(id_ in pairs for pairs in self.pairs.values()) else "ran"
        return " ".join(kinds), shown

    def change(self, run: TaskRun, name: str) -> tuple[str, str]:
        """Return whether an example became better or worse under one evaluation, and by how much."""
        pair, comparison = self.pairs.get(name, {}).get(run.example.id), self.comparison(name)
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
    """Return the evaluation of a run that has this name."""
    return next((evaluation for evaluation in reversed(run.evaluations) if evaluation.name == name), None)


def shown_score(evaluation: Evaluation) -> str:
    """Return a score as the evaluator gave it, a bool or a number; empty without one."""
    if evaluation.score is None:
        return ""
    return str(evaluation.score == 1) if evaluation.kind == "bool" else number(evaluation.score)


def shown_label(evaluation: Evaluation) -> str:
    """Return the label of an evaluation; empty where the score says the same."""
    return "" if evaluation.label is None or evaluation.label == shown_score(evaluation) else evaluation.label


def kind_of_change(comparison: Comparison) -> str:
    """Return whether the mean of an evaluation became better or worse, or stayed the same."""
    change = comparison.change or 0.0
    gain = -change if comparison.direction == "minimize" else change
    return "worse" if gain < 0 else "better" if gain > 0 else "same"


def evaluation_names(sections: Sequence[Section]) -> list[str]:
    """Return the names of all evaluations, sorted."""
    return sorted({score.name for section in sections for score in section.scores})


def commonest_labels(score: ScoreSummary) -> str:
    """Return the five commonest labels, each with its count."""
    ordered = sorted(score.labels.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{label} {size:,}" for label, size in ordered[:5])


def _heading(cause: Cause) -> str:
    return {"task": "Task", "record": "Not recorded", "evaluator": f"Evaluator {cause.name}"}[cause.what]


def preview(value: Any) -> str:
    """Return a value on one line, an object by the values in it."""
    return " · ".join(map(in_one_line, value.values())) if isinstance(value, Mapping) else in_one_line(value)


def answer(run: TaskRun) -> str:
    """Return a task's output on one line, or why it failed."""
    return f"{run.failure.type}: {run.failure.message}" if run.failure else preview(run.output)


TEMPLATE_NAMES: Mapping[str, Callable[..., Any]] = {
    "answer": answer,
    "commonest_labels": commonest_labels,
    "evaluation_names": evaluation_names,
    "evaluation_of": evaluation_of,
    "kind_of_change": kind_of_change,
    "preview": preview,
    "shown_label": shown_label,
    "shown_score": shown_score,
}
