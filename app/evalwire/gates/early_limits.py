"""Decide limits on scores, labels, errors, durations, counts and costs before all runs are known (pure)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from evalwire.gates.early_results import undecided
from evalwire.gates.gate_results import SLACK, percent
from evalwire.gates.measures import measure_evaluation
from evalwire.model import Audit, Expected, are_bools, mean, token_count, usage_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.gates.resolve import Gate
    from evalwire.model import Evaluation, ExperimentResult, Price, Rule, StoppingRules, TaskRun

RISKY_RULES: tuple[Rule, ...] = (
    "min",
    "max",
    "min_pass_rate",
    "max_pass_rate",
    "min_label_share",
    "max_label_share",
    "max_error_rate",
    "max_p95_seconds",
)
"""The limits that are decided early with a risk, which the limits of a job share."""

_P95 = 0.95
_GOOD = Expected(mean=0.95, variance=0.05)  # without a baseline; decides the savings, never the risk
_CERTAIN = "no further run could change this"
_CERTAIN_SCORES = "no further score between 0 and 1 could change this"

Value = float | Literal["left out", "no score", "missing", "unfit"]
"""A run for a limit on a mean: a value from 0 (bad) to 1, or the reason why it has none.

`left out` is a run to which the evaluation does not apply. `no score` is a run that failed: a pass rate counts it as
0, and a mean leaves it out. `missing` is a label without a score: a pass rate counts it as 0, and a mean fails the
gate. `unfit` is a score outside of 0 to 1, or a number among bools.
"""


class EarlyRate:
    """A limit on a mean of values from 0 to 1: of scores, or of passes, labels, errors or slow runs.

    Args:
        gate: the gate.
        n: the number of runs of the whole experiment.
        rules: the rules of the job.
        risk: the part of the risk that this limit may use.
        before: the baseline; None without a baseline.
        repetitions: the number of runs of each example.
    """

    def __init__(
        self,
        gate: Gate,
        n: int,
        *,
        rules: StoppingRules,
        risk: float,
        before: ExperimentResult | None,
        repetitions: int,
    ) -> None:
        self.gate = gate
        self.decision = undecided(gate)
        self.is_needed = gate.rule != "max_error_rate" or rules.errors == "all"
        self._n = n
        self._risk = risk
        self._rules = rules
        self._repetitions = repetitions
        self._is_floor = gate.rule.startswith("min")
        self._before = _evaluations(before, gate)
        self._values: list[Value] = []
        self._evaluations: list[Evaluation] = []
        self._audits: tuple[Audit, Audit] | None = None
        self._is_bool = self._is_whole = False
        self._is_open = True

    def add(self, run: TaskRun) -> None:
        """Look at the next run."""
        if not self._is_open:
            return
        value = self._value(run)
        self._values.append(value)
        if value == "unfit":
            self._is_open = False
        elif self._audits is not None:
            self._look(value)
        elif len(self._values) >= min(self._rules.min_examples, self._n) or self._is_about_runs:
            self._begin()

    @property
    def _is_about_runs(self) -> bool:
        return self.gate.evaluation is None

    @property
    def _needs_all(self) -> bool:
        """True if the gate allows no failed run: each run that was not made could fail."""
        return self.gate.rule == "max_error_rate" and self._n * (self.gate.threshold + SLACK) < 1

    def _begin(self) -> None:
        """Start the audits with the values so far, which show whether the scores are bools."""
        if self._is_about_runs:
            self._is_bool = True
        elif self.gate.label is not None:
            if not any(each.label is not None for each in self._evaluations):
                return  # without a label, the gate fails
            self._is_bool = True
        else:
            kinds = [are_bools(found) for found in (self._evaluations, self._before) if _has_scores(found)]
            if not _has_scores(self._evaluations):
                return
            self._is_bool = kinds[0]
            is_number_of_passes = self.gate.rule.endswith("_pass_rate") and not self._is_bool
            if self._is_bool != kinds[-1] or is_number_of_passes or not _are_shares(self._before):
                self._is_open = False  # left to the whole experiment, which fails a pass rate of numbers
                return
        self._is_whole = self._is_bool and all(each.is_applicable for each in self._before)
        self._audits = _audits(self._n, self._least, self._risk, self._expected(), is_whole=self._is_whole)
        for value in self._values:
            self._look(value)

    @property
    def _least(self) -> float:
        """The smallest mean of the values that passes the gate."""
        if self.gate.rule == "max_p95_seconds":
            return math.ceil(_P95 * self._n) / self._n if self._n else 1.0
        return self.gate.threshold if self._is_floor else 1 - self.gate.threshold

    def _expected(self) -> Expected:
        scores = [value for each in self._before if isinstance(value := self._of_evaluation(each), float)]
        if len(scores) < self._rules.min_examples:
            return _GOOD
        middle = mean(scores)
        return Expected(mean=middle, variance=mean([(score - middle) ** 2 for score in scores]))

    def _look(self, value: Value) -> None:
        if self._audits is None or self.decision.status is not None:
            return
        passing, failing = self._audits
        if value == "missing" and not self._is_bool:
            self._decide("failed", "a score is missing")
            return
        if value in ("no score", "missing"):
            value = 0.0 if self._is_bool else "left out"
        if isinstance(value, str):
            pair = (0.0, 0.0) if self._is_whole else (self._least, 1 - self._least)
        else:
            pair = (value, 1 - value)
        passing.add(pair[0])
        failing.add(pair[1])
        if self.is_needed and (passing.is_certain if self._needs_all else passing.is_decided):
            self._decide("passed", self._odds(passing, "fail"))
        elif failing.is_decided:
            self._decide("failed", self._odds(failing, "pass"))

    def _odds(self, audit: Audit, word: str) -> str:
        if audit.is_certain:
            return _CERTAIN if self._is_bool else _CERTAIN_SCORES
        return self._whole_text(word)

    @property
    def _condition(self) -> str:
        """The assumption of a decision on numbers, whose range is only known from the scores so far."""
        is_number = not self._is_bool and self.gate.rule in ("min", "max")
        return ", if all scores are between 0 and 1" if is_number else ""

    def _decide(self, status: Literal["passed", "failed"], text: str) -> None:
        self.decision = replace(self.decision, status=status, text=text)

    # --- values ----------------------------------------------------------------------------------------

    def _value(self, run: TaskRun) -> Value:
        if self.gate.rule == "max_error_rate":
            return float(not run.has_failed)
        if self.gate.rule == "max_p95_seconds":
            return float(run.seconds <= self.gate.threshold + SLACK)
        found = next((each for each in run.evaluations if each.name == self.gate.evaluation), None)
        if found is None or found.failure is not None:
            return "no score"
        self._evaluations.append(found)
        return self._of_evaluation(found)

    def _of_evaluation(self, found: Evaluation) -> Value:
        if not found.is_applicable:
            return "left out"
        if self.gate.rule in ("min_label_share", "max_label_share"):
            return float((found.label == self.gate.label) is self._is_floor)
        if found.score is None:
            return "left out" if self.gate.missing == "ignore" else "missing"
        if not 0 <= found.score <= 1 or (self._is_bool and found.kind != "bool"):
            return "unfit"
        return found.score if self._is_floor else 1 - found.score

    # --- rounds ----------------------------------------------------------------------------------------

    def end_round(self, part: ExperimentResult) -> None:
        """Look at the mean of the first repetitions, by Hoeffding's inequality for the mean of the others.

        Source: Hoeffding 1963, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, theorem 2, for
        the difference of two means of independent values from 0 to 1. The repetitions of an example are independent.
        """
        found = self._mean_of(part)
        left = self._repetitions - part.repetitions
        if found is None or not left:
            return
        value, count = found
        spread = (1 + part.repetitions / left) / count
        most = left / self._repetitions * math.sqrt(spread * math.log(1 / self._risk) / 2)
        edge = value - self._least
        if edge > most and self.is_needed:
            self._decide("passed", self._whole_text("fail"))
        elif edge < -most:
            self._decide("failed", self._whole_text("pass"))

    def _whole_text(self, word: str) -> str:
        return f"the whole experiment would {word} with a probability of at most {percent(self._risk)}{self._condition}"

    def _mean_of(self, part: ExperimentResult) -> tuple[float, int] | None:
        """Return the mean of the values of the first repetitions, and their number; None if it cannot decide the gate.

        Runs that the mean leaves out are expected to be left out in other repetitions too.
        """
        if self.gate.rule == "max_error_rate":
            return 1 - part.error_rate, part.expected_runs
        score = next((each for each in part.scores if each.name == self.gate.evaluation), None)
        measure = measure_evaluation(part, self.gate, score) if score is not None else None
        if score is None or measure is None or measure.value is None or measure.misses_scores:
            return None
        if not _are_shares(_evaluations(part, self.gate)) or not _are_shares(self._before):
            return None
        self._is_bool = measure.is_rate
        ignored = score.unscored if self.gate.missing == "ignore" and self.gate.label is None else 0
        count = part.expected_runs - score.not_applicable - ignored if measure.is_rate else score.count
        return measure.value if self._is_floor else 1 - measure.value, count

    def end(self, part: ExperimentResult) -> None:
        """Keep the limit for the whole experiment: earlier looks do not change it."""


class EarlyCount:
    """A limit that further runs cannot fail: on the number of scored examples, or of model calls.

    Args:
        gate: the gate.
    """

    is_needed = True

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.decision = undecided(gate)
        self._number = 0
        self._is_known = True

    def add(self, run: TaskRun) -> None:
        """Count the next run."""
        if self.gate.rule == "min_llm_calls":
            usage = run.total_usage
            self._is_known = self._is_known and usage is not None  # an unknown number of calls fails the gate
            self._number += sum(used.calls for used in usage or ())
        else:
            own = [each for each in run.evaluations if each.name == self.gate.evaluation and each.failure is None]
            self._number += any(each.is_applicable and each.score is not None for each in own)
        if self._is_known and self._number >= self.gate.threshold:
            self.decision = replace(self.decision, status="passed", text=_CERTAIN)

    def end_round(self, part: ExperimentResult) -> None:
        """Count all runs again."""
        self._number = 0
        seen: dict[str, TaskRun] = {run.example.id: run for run in part.runs}
        for run in part.runs if self.gate.rule == "min_llm_calls" else seen.values():
            if self.decision.status is None:
                self.add(run)

    def end(self, part: ExperimentResult) -> None:
        """Keep the limit for the whole experiment."""


class EarlyTotal:
    """A limit on tokens or costs, which is applied to the usage so far. Further runs can only exceed it.

    Args:
        gate: the gate.
        prices: prices by model, for spans without a cost.
    """

    is_needed = False

    def __init__(self, gate: Gate, prices: Mapping[str, Price]) -> None:
        self.gate = gate
        self.decision = undecided(gate)
        self._prices = prices
        self._total = 0.0

    def add(self, run: TaskRun) -> None:
        """Add the usage of the next run."""
        usage = run.total_usage or ()
        is_cost = self.gate.rule == "max_cost_usd"
        self._total += usage_cost(usage, self._prices).usd if is_cost else token_count(usage)
        if self._total > self.gate.threshold + SLACK:
            self.decision = replace(self.decision, status="failed", text=_CERTAIN)

    def end_round(self, part: ExperimentResult) -> None:
        """Add the usage of all runs again."""
        self._total = 0.0
        for run in part.runs:
            if self.decision.status is None:
                self.add(run)

    def end(self, part: ExperimentResult) -> None:
        """Keep the limit for the whole experiment."""


class WholeOnly:
    """A limit that only the whole experiment decides, because its value depends on more than the runs.

    Args:
        gate: the gate.
    """

    is_needed = True

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.decision = undecided(gate)

    def add(self, run: TaskRun) -> None:
        """Ignore the next run."""

    def end_round(self, part: ExperimentResult) -> None:
        """Ignore the round."""

    def end(self, part: ExperimentResult) -> None:
        """Leave the limit to the whole experiment."""


def _audits(n: int, least: float, risk: float, expected: Expected, *, is_whole: bool) -> tuple[Audit, Audit]:
    """Return the audits that show a mean of at least `least`, and a smaller mean.

    A run that is left out of the mean counts as the limit, which changes neither side. If the totals are whole numbers,
    it counts for neither side.
    """
    total = n * (least - SLACK)
    passes = max(math.ceil(total), 0)
    bounds = (passes - 1.0, float(n - passes)) if is_whole else (total, n - total)
    opposite = Expected(mean=1 - expected.mean, variance=expected.variance)
    return (
        Audit(n, bounds[0], risk=risk, expected=expected, is_bool=is_whole),
        Audit(n, bounds[1], risk=risk, expected=opposite, is_bool=is_whole),
    )


def _has_scores(evaluations: Sequence[Evaluation]) -> bool:
    return any(each.score is not None for each in evaluations)


def _are_shares(evaluations: Sequence[Evaluation]) -> bool:
    """Check whether all scores are between 0 and 1."""
    return all(0 <= each.score <= 1 for each in evaluations if each.score is not None)


def _evaluations(result: ExperimentResult | None, gate: Gate) -> list[Evaluation]:
    runs = result.runs if result is not None and gate.evaluation is not None else ()
    return [each for run in runs for each in run.evaluations if each.name == gate.evaluation and each.failure is None]
