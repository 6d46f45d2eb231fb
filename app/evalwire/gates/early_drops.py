"""Decide a drop gate before all pairs are known (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.comparison import Scores, scores_of
from evalwire.gates.drops import FEWEST_PAIRS
from evalwire.gates.early_results import identity_of, undecided
from evalwire.gates.gate_results import SLACK, percent
from evalwire.gates.looks import DropLooks
from evalwire.model import ExperimentResult, difference, mean

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from evalwire.gates.resolve import Gate
    from evalwire.model import Example, StoppingRules, TaskRun


class EarlyDrop:
    """A drop gate that looks at its pairs twenty times, or after each round of repetitions.

    Some gates are left to the whole experiment: without a baseline, with a changed evaluator, in the mode `strict`, or
    with fewer pairs than ten or than `min_paired` requires.

    Args:
        gate: the gate.
        examples: the examples of the run, in their random order.
        repetitions: the number of runs of each example.
        rules: the rules of the job.
        before: the baseline; None without a baseline.
        changed: the evaluators whose recorded scores cannot be compared.
        siblings: the number of drop gates of the experiment.
    """

    is_needed = True

    def __init__(
        self,
        gate: Gate,
        examples: Sequence[Example],
        *,
        repetitions: int,
        rules: StoppingRules,
        before: ExperimentResult | None,
        changed: Collection[str],
        siblings: int,
    ) -> None:
        self.gate = gate
        self._undecided = undecided(gate, baseline=identity_of(before))
        self.decision = self._undecided
        self._repetitions = repetitions
        self._name = gate.evaluation or ""
        self._runs: list[TaskRun] = []
        self._known = 0  # runs of examples that the baseline scored
        self._before = self._scores_before(before, examples, changed)
        self._order = [example.id for example in examples if example.id in self._before.by_example]
        self._looks: DropLooks | None = None
        if len(self._order) < FEWEST_PAIRS or gate.drop_policy.mode == "strict" or before is None:
            return
        if len(_unchanged(before, examples)) < gate.drop_policy.min_paired * len(examples) - SLACK:
            return
        self._rounds = min(repetitions, before.repetitions)
        level = mean([self._before.by_example[example_id] for example_id in self._order])
        self._looks = DropLooks(
            len(self._order),
            significance=gate.drop_policy.significance / max(rules.drops, 1),
            tolerance=gate.threshold * (abs(level) if gate.is_relative else 1.0),
            is_bool=self._before.is_bool and self._before.is_single and repetitions == 1,
            siblings=siblings,
        )

    def _scores_before(
        self, before: ExperimentResult | None, examples: Sequence[Example], changed: Collection[str]
    ) -> Scores:
        """Return the baseline's scores of unchanged examples; none if they cannot be compared."""
        nothing = Scores(by_example={}, is_bool=False, is_single=True)
        if before is None:
            return nothing
        evaluators = {found.evaluator for run in before.runs for found in run.evaluations if found.name == self._name}
        if evaluators & set(changed) or self._name in changed:
            return nothing
        same = _unchanged(before, examples)
        repetitions = min(self._repetitions, before.repetitions)
        runs = tuple(run for run in before.runs if run.example.id in same and run.repetition <= repetitions)
        part = replace(before, runs=runs, repetitions=repetitions)
        return scores_of(part, self._name, missing_passes=self.gate.direction == "minimize")

    def add(self, run: TaskRun) -> None:
        """Look if the next run completes a twentieth of the pairs; the last look is at the whole experiment."""
        if self._looks is None or self._looks.number >= self._looks.count - 1:
            return
        self._runs.append(run)
        self._known += run.example.id in self._before.by_example
        if self._known < self._looks.next_at:
            return
        part = ExperimentResult(name="", dataset_name="", runs=tuple(self._runs))
        self._look(part, share=None)

    def end_round(self, part: ExperimentResult) -> None:
        """Look at the means of the first repetitions."""
        if self._looks is None or part.repetitions >= self._rounds:
            return
        share = 2 * part.repetitions / (part.repetitions + self._rounds)
        self._look(part, share=share)

    def end(self, part: ExperimentResult) -> None:
        """Account for the earlier looks after the whole experiment, in the repetitions that both sides have.

        The whole experiment can still fail a gate that passed early, because a pass changes no boundary.
        """
        if self._looks is None or not self._looks.number or self.decision.status == "failed":
            return
        runs = tuple(run for run in part.runs if run.repetition <= self._rounds)
        if losses := self._losses(replace(part, runs=runs, repetitions=self._rounds)):
            self.decision = replace(self._undecided, p_value=self._looks.final_p_value(losses))

    def _look(self, part: ExperimentResult, *, share: float | None) -> None:
        looks = self._looks
        losses = self._losses(part)
        if looks is None or not losses:
            return
        status = looks.look(losses, share=share)
        where = f"look {looks.number} of {looks.count if share is None else self._rounds}"
        if status == "failed":
            text = f"{where}, p = {looks.p_value:.2g}"
            self.decision = replace(self.decision, status=status, text=text, p_value=looks.p_value)
        elif status == "passed":
            chance = _chance_text(looks.chance or 0.0)
            text = f"{where}: the whole experiment would fail with a probability of {chance}"
            self.decision = replace(self.decision, status=status, text=text, p_value=1.0)

    def _losses(self, part: ExperimentResult) -> list[float]:
        """Return how much each pair got worse, in the random order; empty if looks cannot test the pairs."""
        after = scores_of(part, self._name, missing_passes=self.gate.direction == "minimize")
        has_half = (after.not_applicable & self._before.by_example.keys()) or (
            self._before.not_applicable & after.by_example.keys()
        )
        if (self._before.is_bool and not after.is_bool) or (has_half and self.gate.missing == "fail"):
            self._looks = None  # left to the whole experiment
            return []
        sign = -1 if self.gate.direction == "maximize" else 1
        return [
            sign * difference(after.by_example[example_id], self._before.by_example[example_id])
            for example_id in self._order
            if example_id in after.by_example
        ]


def _chance_text(chance: float) -> str:
    """Return the chance of a failure as a percentage, which is never 0%."""
    rounded = round(chance, 4)
    return percent(rounded) if rounded else "less than 0.01%"


def _unchanged(before: ExperimentResult, examples: Sequence[Example]) -> set[str]:
    """Return the IDs of the examples that the baseline has with the same content."""
    return {example.id for example in examples if before.contents.get(example.id) == example.content_hash}
