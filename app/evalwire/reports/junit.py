"""Render `evalwire.xml`: the report as JUnit XML, for the test tab of a CI system.

A low score is not a failure here, because gates decide on scores. The failures are gates that fail the job, and
examples that became worse if a drop gate failed. Anything that prevented the evaluation of an example is an error. So
a failed job has at least one failure or error, and a passed job has none. Errors that `max_error_rate` tolerates are
skipped cases with a message.

Each experiment is a suite with a case for each gate, for each evaluation of each run, and for each failed task. Names
are unique, because GitLab drops a second case with the same name. The case of a run's first evaluation includes the
time of the task, so the times of all cases add up to the total working time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from evalwire.model import count, written
from evalwire.reports.digest import REASONS
from evalwire.reports.highlights import link
from evalwire.reports.junit_texts import case_name, failure_text, file_of, name_of, number_text, shown
from evalwire.reports.junit_xml import Case, Kind, Suite, write_suites
from evalwire.reports.text import gate_sentence, relative, single_line

if TYPE_CHECKING:
    from evalwire.model import (
        Comparison,
        Evaluation,
        ExperimentResult,
        Failure,
        GateResult,
        Pair,
        Report,
        TaskRun,
    )

_NOTHING = (None, None)


def pieces(report: Report) -> Iterator[str]:
    """Return the report as pieces of XML, case by case."""
    tallies = [_tally(report, result) for result in report.results]
    suites: list[Suite] = []
    for result, tally in zip(report.results, tallies, strict=True):
        unexplained = [] if tally["failure"] or tally["error"] else _unexplained(report, result)
        tally.update(case.kind for case in unexplained)
        suites.append(_suite_of(report, result, unexplained))
    has_failed = any(tally["failure"] or tally["error"] for tally in tallies)
    if rest := _cases_of_the_job(report, has_failed=has_failed):
        suites.append(Suite(name="evalwire", seconds=0.0, cases=lambda: iter(rest)))
        tallies.append(Counter(case.kind for case in rest))
    return write_suites(suites, tallies, seconds=report.seconds, started_at=report.started_at)


# --- cases ---------------------------------------------------------------------------------------------


def _cases_of_the_job(report: Report, *, has_failed: bool) -> list[Case]:
    """Build the cases outside of experiments, including the reason if no other case explains a failed job."""
    names = {result.name for result in report.results}
    cases = [_gate(report, None, gate) for gate in report.gates if gate.experiment not in names]
    if report.exit_code != 0 and not has_failed and not any(case.kind in ("failure", "error") for case in cases):
        reasons = {
            "nothing_to_run": "there was nothing to run",
            "infrastructure": "Phoenix could not be used, so nothing ran",
            "interrupted": "the job was interrupted",
            "partial": REASONS["partial"],
            "out_of_budget": REASONS["out_of_budget"],
        }
        reason = reasons.get(report.outcome, f"the job failed: {report.outcome}")
        message = f"{reason} (exit code {report.exit_code})"
        cases.append(Case(group="job", name="job", kind="error", type=report.outcome, message=message))
    if report.partial is not None and not cases:
        message = "; ".join(filter(None, [f"PARTIAL: {report.partial}", report.partial.note]))
        cases.append(Case(group="job", name="partial run", kind="skipped", type="partial", message=message))
    return cases


def _suite_of(report: Report, result: ExperimentResult, unexplained: Sequence[Case]) -> Suite:
    baseline = report.baseline_of(result.name)
    known = {
        "dataset": result.dataset_name,
        "dataset_version": result.dataset_version_id,
        "experiment": result.url or "",
        "baseline": (baseline.url or baseline.recorded_name or baseline.note) if baseline else "",
        "repetitions": str(result.repetitions),
    }
    for score in result.scores:
        missing = f"{result.missing_runs(score)} of {result.expected_runs} runs have no score"
        known |= {
            f"mean {score.name}": written(score.mean) if score.mean is not None else "",
            f"missing {score.name}": missing if score.unscored else "",
            f"not applicable {score.name}": str(score.not_applicable or ""),
        }
    return Suite(
        name=result.name,
        seconds=result.seconds,
        cases=lambda: chain(_cases_of(report, result), unexplained),
        properties={name: value for name, value in known.items() if value},
    )


def _tally(report: Report, result: ExperimentResult) -> Counter[Kind]:
    """Return the number of cases of an experiment by kind."""
    runs = _Runs.of(report, result)
    others = (*_cases_of_all_runs(report, result), *_not_run(report, result), *_not_needed(result))
    tally = Counter[Kind](case.kind for case in others)
    for run in result.runs:
        if runs.passes(run):
            tally["passed"] += len(run.evaluations)
        else:
            tally.update(case.kind for case in runs.cases(run))
    return tally


def _cases_of(report: Report, result: ExperimentResult) -> Iterator[Case]:
    yield from _cases_of_all_runs(report, result)
    runs = _Runs.of(report, result)
    for run in result.runs:
        yield from runs.cases(run)
    yield from _not_run(report, result)
    yield from _not_needed(result)


def _unexplained(report: Report, result: ExperimentResult) -> list[Case]:
    """Return an error if the experiment did not pass, for which no other case gives a reason."""
    if report.passed(result):
        return []
    message = f"{result.not_run} of {result.expected_runs} runs were not made"
    if not result.not_run:
        message = "not every run was evaluated and recorded" if result.expected_runs else "there was nothing to run"
    return [Case(group="experiment", name="experiment[complete]", kind="error", type="Incomplete", message=message)]


def _cases_of_all_runs(report: Report, result: ExperimentResult) -> Iterator[Case]:
    """Yield the failures of the experiment itself, and its gates."""
    for failure in [*result.problems, *([result.failure] if result.failure else [])]:
        yield Case(
            group="experiment",
            name=f"experiment[{failure.stage}]",
            kind="error",
            type=failure.type,
            message=str(failure),
            body=partial(failure_text, failure),
            file=relative(failure.where.rpartition(":")[0], report.directory)
            if failure.where
            else file_of(report, result),
        )
    for gate in report.gates_of(result.name):
        yield _gate(report, result, gate)


def _gate(report: Report, result: ExperimentResult | None, gate: GateResult) -> Case:
    kind: Kind = "passed" if gate.status == "passed" else "skipped"
    facts = {
        "value": gate.value,
        "threshold": gate.threshold,
        "p (one-sided, corrected)": gate.p_value,
        "source": gate.source or None,
    }
    if gate.interval:
        facts[f"{gate.interval.confidence:.0%} interval, two-sided ({gate.interval.method})"] = (
            f"{gate.interval.low:.4g} to {gate.interval.high:.4g}"
        )

    def body() -> str:
        lines = [f"{name}: {number_text(value)}" for name, value in facts.items() if value is not None]
        return "\n".join([gate.text, "", *lines])

    return Case(
        group="gates",
        name=gate.name if result else f"{gate.experiment} {gate.name}",
        kind="failure" if gate.is_red else kind,
        type=gate.rule,
        message=gate_sentence(gate),
        body=body if gate.is_red else None,
        output=None if gate.is_red else body,
        file=file_of(report, result, gate.evaluation) if result else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The builder of the cases of an experiment's runs.

    Attributes:
        report: the report.
        result: the experiment.
        tolerated: whether a gate tolerates the errors.
        worse: pairs that became worse in evaluations whose drop gate failed, by evaluation and example ID.
        incomplete: evaluations that are missing in a run that did not fail.
        files: file by evaluator; None for the task.
    """

    report: Report
    result: ExperimentResult
    tolerated: bool
    worse: dict[tuple[str, str], tuple[Comparison, Pair]]
    incomplete: set[str]
    files: Mapping[str | None, str]

    @classmethod
    def of(cls, report: Report, result: ExperimentResult) -> _Runs:
        """Return the builder for an experiment."""
        return cls(
            report=report,
            result=result,
            tolerated=report.tolerates(result),
            worse=_worse(report, result),
            incomplete={score.name for score in result.incomplete_scores},
            files={name: file_of(report, result, name) for name in (None, *result.evaluator_names)},
        )

    def passes(self, run: TaskRun) -> bool:
        """Check quickly whether the run has a passed case for each evaluation and no other case, as most have."""
        if run.has_failed or self.worse or self.incomplete or not self.result.is_evaluated(run):
            return False
        return all([each.is_applicable and (each.score, each.label) != (None, None) for each in run.evaluations])  # noqa: C419

    def cases(self, run: TaskRun) -> Iterator[Case]:
        """Yield the cases of a run."""
        seconds, evaluated = run.seconds, set()
        if run.failure or not (run.evaluations or self.result.evaluator_names):
            yield self._task(run)
            seconds = 0.0
        for evaluation in run.evaluations:
            if evaluation.evaluator not in evaluated:  # a call may return several evaluations
                seconds += (evaluation.end_time - evaluation.start_time).total_seconds()
            evaluated.add(evaluation.evaluator)
            yield self._evaluation(run, evaluation, seconds)
            seconds = 0.0
        for name in self.result.evaluator_names:
            if name not in evaluated:
                yield self._not_evaluated(run, name)
        if self.incomplete and not run.failures:
            for name in sorted(self.incomplete - {evaluation.name for evaluation in run.evaluations}):
                message = "the evaluator returned this evaluation for other examples, but not for this example"
                yield self._error(run, name, message)
        if run.record_failure:
            yield self._failed(run, "record", run.record_failure, tolerated=False)

    def _task(self, run: TaskRun) -> Case:
        if run.failure:
            return self._failed(run, "task", run.failure, tolerated=self.tolerated, seconds=run.seconds)
        return Case(group="task", name=self._name("task", run), file=self._file(), seconds=run.seconds)

    def _evaluation(self, run: TaskRun, evaluation: Evaluation, seconds: float) -> Case:
        if evaluation.failure:
            return self._failed(
                run,
                evaluation.name,
                evaluation.failure,
                tolerated=self.tolerated,
                evaluator=evaluation.evaluator,
                seconds=seconds,
            )
        if evaluation.score is None and evaluation.label is None:
            return self._error(run, evaluation.name, "the evaluator returned neither a score nor a label")
        worse = ""
        comparison, pair = self.worse.get((evaluation.name, run.example.id), _NOTHING) if self.worse else _NOTHING
        if comparison and pair and evaluation.score is not None and _is_worse(comparison, pair, evaluation.score):
            worse = f"{evaluation.name} is {written(evaluation.score)}, but was {written(pair.before)} in the baseline"
        return Case(
            group=evaluation.name,
            name=self._name(evaluation.name, run),
            kind="failure" if worse else "passed" if evaluation.is_applicable else "skipped",
            type="regression" if worse else "",
            message=worse or ("" if evaluation.is_applicable else "not applicable"),
            body=(lambda: self._regression(run, evaluation, worse)) if worse else None,
            output=None if worse else lambda: self._scores(run, evaluation),
            file=self._file(evaluation.evaluator),
            seconds=seconds,
        )

    def _failed(
        self,
        run: TaskRun,
        what: str,
        failure: Failure,
        *,
        tolerated: bool,
        evaluator: str | None = None,
        seconds: float = 0.0,
    ) -> Case:
        def body() -> str:
            return f"{failure_text(failure)}\n{self._texts(run)}"

        return Case(
            group=what,
            name=self._name(what, run),
            kind="skipped" if tolerated else "error",
            type=failure.type,
            message=f"tolerated: {failure}" if tolerated else str(failure),
            body=None if tolerated else body,
            output=body if tolerated else None,
            file=self._file(evaluator),
            seconds=seconds,
        )

    def _not_evaluated(self, run: TaskRun, evaluator: str) -> Case:
        if not run.failure and not (run.failures and self.tolerated):
            return self._error(run, evaluator, "the evaluator did not score this run")
        return Case(
            group=evaluator,
            name=self._name(evaluator, run),
            kind="skipped",
            message="not evaluated: the task failed" if run.failure else "not evaluated",
            file=self._file(evaluator),
        )

    def _error(self, run: TaskRun, name: str, message: str) -> Case:
        return Case(
            group=name,
            name=self._name(name, run),
            kind="error",
            type="Unjudged",
            message=message,
            body=lambda: f"{message}\n\n{self._texts(run)}",
            file=self._file(name),
        )

    def _name(self, what: str, run: TaskRun) -> str:
        return case_name(self.result, what, run.example, run.repetition)

    def _file(self, evaluator: str | None = None) -> str:
        return self.files[evaluator] if evaluator in self.files else self.files[None]

    def _scores(self, run: TaskRun, evaluation: Evaluation) -> str:
        score = f"score {number_text(evaluation.score)}" if evaluation.score is not None else ""
        label = f"label {single_line(evaluation.label)}" if evaluation.label is not None else ""
        lines = [", ".join(filter(None, (score, label))), shown(evaluation.explanation), link(self.result, run)]
        return "\n".join(filter(None, lines))

    def _regression(self, run: TaskRun, evaluation: Evaluation, message: str) -> str:
        baseline = self.report.baseline_of(self.result.name)
        against = f"baseline: {name_of(baseline)}" if baseline else ""
        explanation = f"explanation: {shown(evaluation.explanation)}" if evaluation.explanation else ""
        return "\n".join(filter(None, [message, against, self._texts(run), explanation]))

    def _texts(self, run: TaskRun) -> str:
        page = link(self.result, run)
        lines = [
            f"input: {shown(dict(run.example.input))}",
            f"expected: {shown(dict(run.example.output))}",
            f"output: {shown(run.output)}" if run.failure is None else "",
            f"trace: {page}" if page else "",
        ]
        return "\n".join(filter(None, lines))


def _not_run(report: Report, result: ExperimentResult) -> Iterator[Case]:
    """Yield a skipped case for each run that was not made."""
    if not result.not_run:
        return
    examples = {run.example.node_id: run.example for run in result.runs}
    for example in result.opened.dataset.examples if result.opened else ():
        examples.setdefault(example.node_id, example)
    made = {(run.example.node_id, run.repetition) for run in result.runs}
    unnamed = result.not_run
    message = "not run: out of budget" if result.is_out_of_budget else "not run"
    for example in examples.values():
        for repetition in range(1, result.repetitions + 1):
            if (example.node_id, repetition) not in made:
                unnamed -= 1
                name = case_name(result, "task", example, repetition)
                yield Case(group="task", name=name, kind="skipped", message=message, file=file_of(report, result))
    if unnamed > 0:
        yield Case(group="task", name="task[others]", kind="skipped", message=f"{unnamed} runs were not made")


def _not_needed(result: ExperimentResult) -> Iterator[Case]:
    """Yield a skipped case for the runs that an early verdict made unnecessary."""
    stopping = result.stopping
    if stopping is not None and stopping.is_early:
        message = f"{count(stopping.not_needed, 'run')} not needed: decided after {stopping.extent}"
        if stopping.beyond:
            beyond = count(stopping.beyond, "run")
            message += f"; {beyond} in flight not counted, {stopping.beyond_failed} of them failed"
        yield Case(group="task", name="task[not needed]", kind="skipped", message=message)


def _worse(report: Report, result: ExperimentResult) -> dict[tuple[str, str], tuple[Comparison, Pair]]:
    """Return the examples that became worse in evaluations whose drop gate failed, by evaluation and example ID."""
    failed = {gate.evaluation for gate in report.gates_of(result.name) if gate.rule == "max_drop" and gate.is_red}
    baseline = report.baseline_of(result.name)
    return {
        (comparison.name, pair.example_id): (comparison, pair)
        for comparison in (baseline.comparisons if baseline else ())
        if comparison.name in failed
        for pair in comparison.worse
    }


def _is_worse(comparison: Comparison, pair: Pair, score: float) -> bool:
    """Check whether a repetition scored worse than the example did in the baseline."""
    return score > pair.before if comparison.direction == "minimize" else score < pair.before
