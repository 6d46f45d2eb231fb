"""Compute the drop that a gate would find with the current sample, and with larger samples (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire.model import MOST_EXAMPLES, DropTest, change_text, count, sample_deviation

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """A sample, relative to the current sample.

    Attributes:
        examples: the factor of the number of examples.
        repetitions: the factor of the number of runs of each example, in this experiment and in the baseline.
    """

    examples: float = 1
    repetitions: float = 1

    @property
    def runs(self) -> float:
        """The factor of the number of runs."""
        return self.examples * self.repetitions


NOW = SampleSize()


def drop_test(gate: Gate, *, deviation: float, is_bool: bool, before: float, drop_gates: int) -> DropTest:
    """Return the test of a drop gate at its level, divided by the number of drop gates of the job.

    Args:
        gate: the gate.
        deviation: the standard deviation of an example's gain between two runs of the same code.
        is_bool: whether the scores are bools.
        before: the mean of the baseline, for a relative tolerance.
        drop_gates: the number of drop gates of the job.
    """
    return DropTest(
        deviation=deviation,
        is_bool=is_bool,
        significance=gate.drop_policy.significance / max(drop_gates, 1),
        tolerance=gate.threshold * (abs(before) if gate.is_relative else 1.0),
        is_strict=gate.drop_policy.mode == "strict",
    )


def _compared_test(compared: Comparison, gate: Gate, *, drop_gates: int, slope: float) -> DropTest | None:
    """Return the test of a drop gate with the noise between two experiments; None with fewer than two pairs.

    If nothing changed, all of the noise is within examples, and repetitions average it.
    """
    gains = [compared.gain(pair) for pair in compared.pairs]
    if len(gains) < 2:  # noqa: PLR2004 - a deviation needs two values
        return None
    deviation = sample_deviation(gains) * math.sqrt(compared.repetitions)
    before = compared.before or 0.0
    test = drop_test(gate, deviation=deviation, is_bool=compared.is_bool, before=before, drop_gates=drop_gates)
    return replace(test, tolerance=test.tolerance * slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The drops that a gate finds with a sample.

    Attributes:
        gate: the gate.
        test: the test of the gate; None with fewer than two pairs, which show no noise.
        examples: the number of examples.
        repetitions: the number of runs of each example.
        is_rate: whether drops are changes of a pass rate.
        slope: the part of a true drop that the scores show; 1 without a correction for the evaluator's errors.
    """

    gate: Gate
    test: DropTest | None
    examples: int
    repetitions: int
    is_rate: bool
    slope: float = 1.0

    @property
    def smallest(self) -> float | None:
        """The smallest true drop that the gate finds in four of five cases; None if it finds none."""
        if self.test is None:
            return None
        found = self.test.smallest_drop(examples=self.examples, repetitions=self.repetitions)
        return None if found is None else found / self.slope

    @property
    def is_blind(self) -> bool:
        """True if the gate cannot find the drop that its settings require it to find.

        Numbers that did not change at all have no known noise. The gate is then blind only with too few pairs.
        """
        required, smallest = self.gate.drop_policy.max_minimum_detectable, self.smallest
        if required is None:
            return False
        if smallest is not None:
            return smallest > required
        return self.test is None or self.examples < self.test.fewest_examples(self.repetitions)

    @property
    def blind_text(self) -> str:
        """The reason why the gate is blind, and the samples with which it is not."""
        required = self._drop(self.gate.drop_policy.max_minimum_detectable)
        found = f": only of {self._drop(self.smallest)} or more" if self.smallest is not None else " or any other drop"
        return (
            f"the gate on {self.gate.evaluation} cannot find a drop of {required}{found} (max_minimum_detectable). "
            f"{self._mending}"
        )

    @property
    def _mending(self) -> str:
        """An instruction with the samples that find the required drop."""
        required = self.gate.drop_policy.max_minimum_detectable or 0.0
        if self.test is None:
            return "Add examples"
        if self.test.tolerance >= required * self.slope:
            return f"Set max_drop below {self._drop(required)}, because smaller drops are allowed"
        examples = self.test.examples_for(required * self.slope, repetitions=self.repetitions)
        runs = self.test.repetitions_for(required * self.slope, examples=self.examples)
        ways = [f"Use {count(examples, 'example')}"] if examples else []
        ways += [f"set repetitions = {runs} here and in the baseline"] if runs else []
        text = ", or ".join(ways) or f"No sample of up to {MOST_EXAMPLES:,} examples is enough"
        return text[0].upper() + text[1:]

    def _drop(self, drop: float | None) -> str:
        return change_text(drop, is_rate=self.is_rate, is_signed=False).replace(".0 points", " points")


def reach_of(compared: Comparison, gate: Gate, *, drop_gates: int, size: SampleSize = NOW, slope: float = 1.0) -> Reach:
    """Return the drops that a gate finds with a sample, by the noise between two experiments.

    Args:
        compared: the comparison of the experiments.
        gate: the gate.
        drop_gates: the number of drop gates of the job.
        size: the sample.
        slope: the part of a true drop that the scores show.
    """
    return Reach(
        gate=gate,
        test=_compared_test(compared, gate, drop_gates=drop_gates, slope=slope),
        examples=round(len(compared.pairs) * size.examples),
        repetitions=round(compared.repetitions * size.repetitions),
        is_rate=compared.is_bool,
        slope=slope,
    )


def detectable_drop(compared: Comparison, gate: Gate, size: SampleSize, *, drop_gates: int) -> float | None:
    """Return the smallest true drop that a drop gate finds in four of five cases; None if it finds none."""
    return reach_of(compared, gate, drop_gates=drop_gates, size=size).smallest
