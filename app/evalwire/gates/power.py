"""Compute the drop that a gate would find with the current sample, and with larger samples (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model import POWER, minimum_detectable_change, sample_deviation

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

    examples: int = 1
    repetitions: int = 1

    @property
    def runs(self) -> int:
        """The factor of the number of runs."""
        return self.examples * self.repetitions


def detectable_drop(compared: Comparison, gate: Gate, size: SampleSize, *, drop_gates: int) -> float | None:
    """Return the smallest true drop that a drop gate finds in four of five cases; None if it finds none.

    The noise is the difference between two recorded experiments. If nothing changed, all of the noise is within
    examples, and repetitions average it. The drop has to be significant at the level of the gate, divided by the number
    of drop gates of the job. It also has to exceed the tolerance with the same power, by the normal approximation of
    the mean gain.

    Args:
        compared: the comparison of two recorded experiments.
        gate: the gate.
        size: the sample.
        drop_gates: the number of drop gates of the job.
    """
    gains = [compared.gain(pair) / math.sqrt(size.repetitions) for pair in compared.pairs] * size.examples
    # repetitions of bools are means, unless nothing ever changes
    is_bool = compared.test.startswith("McNemar") and (size.repetitions == 1 or not any(gains))
    level = gate.drop_policy.significance / drop_gates
    significant = minimum_detectable_change(gains, is_bool=is_bool, significance=level)
    if significant is None:
        return None
    tolerance = gate.threshold * (abs(compared.before or 0.0) if gate.is_relative else 1.0)
    error = sample_deviation(gains) / math.sqrt(len(gains))
    beyond = tolerance + NormalDist().inv_cdf(POWER) * error
    return beyond if gate.drop_policy.mode == "strict" else max(significant, beyond)
