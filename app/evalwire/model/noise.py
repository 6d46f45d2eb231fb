"""The noise of an experiment: how its scores change between runs of the same code (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from evalwire.model.baseline import Interval
from evalwire.model.numbers import mean
from evalwire.model.remembering import Remembers, remembered
from evalwire.model.stats import mean_interval, sample_deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model.power import DropTest

ROUGH_SHARE = 0.05
"""The share of flips below which the interval of the share is rough."""

ROUGH_EXAMPLES = 100
"""The number of examples below which an interval of noise is rough."""

PLANNED_REPETITIONS = (1, 3, 5)
"""The numbers of runs of each example that a plan has."""

_PLANNED_DROPS = (0.02, 0.05, 0.10)


def flip_share(passes: int, runs: int) -> float:
    """Estimate the probability that two runs of an example differ, from its passes: 2 c (R - c) / (R (R - 1)).

    This is the share of the pairs of runs that differ, so it has no bias. It is also twice the sample variance of the
    passes and failures.

    Source: Hoeffding 1948, "A Class of Statistics with Asymptotically Normal Distribution", Annals of Mathematical
    Statistics 19: a U-statistic of degree 2.

    Raises:
        ValueError: not 0 <= passes <= runs, or fewer than two runs.
    """
    if not 0 <= passes <= runs or runs < 2:  # noqa: PLR2004 - two runs make a pair
        raise ValueError(f"{passes} of {runs} runs do not show whether two runs differ")
    return 2 * passes * (runs - passes) / (runs * (runs - 1))


def squared_change(scores: Sequence[float]) -> float:
    """Estimate the mean squared difference of two runs of an example: twice the sample variance of its scores.

    For bools, this is `flip_share`.

    Raises:
        ValueError: there are fewer than two scores.
    """
    return 2 * sample_deviation(scores) ** 2


def share_interval(values: Sequence[float], *, most: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean of values between 0 and 1, by Wilson's formula with an effective sample size.

    The effective size is the number of independent passes and failures with the same variance of the mean. With two
    runs of an example, the values are 0 or 1, and it is nearly the number of values. Student's t interval of these
    values is too narrow: at 5% of flips and 100 examples, it covers in 88 to 90%.

    Source: Wilson 1927, as in `wilson_interval`; for the effective size Korn, Graubard 1998, "Confidence Intervals for
    Proportions with Small Expected Number of Positive Counts Estimated from Survey Data", Survey Methodology 24.

    Args:
        values: a value for each example, which examples have independently.
        most: the largest effective size, in values.
        confidence: the confidence level.

    Raises:
        ValueError: there are fewer than two values.
    """
    share, n = mean(values), len(values)
    variance = sample_deviation(values) ** 2
    size = n * most
    if variance > 0:
        size = min(size, n * share * (1 - share) / variance)
    elif share in (0.0, 1.0):
        size = n
    square = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = math.sqrt(square * (share * (1 - share) / size + square / (4 * size**2))) / (1 + square / size)
    return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleNoise:
    """The scores of an example in runs of the same code.

    Attributes:
        example_id: the ID of the example.
        scores: its scores, in the order of the runs.
        change: the estimated mean squared difference of two runs; for bools, the probability that they differ.
    """

    example_id: str
    scores: tuple[float, ...]
    change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Remembers):
    """The changes of an evaluation between runs of the same code.

    Attributes:
        is_bool: whether the scores are bools.
        examples: the examples with two or more scores.
        runs: the largest number of scores of an example, or of an output.
    """

    is_bool: bool
    examples: tuple[ExampleNoise, ...]
    runs: int

    @property
    def change(self) -> float:
        """The mean squared difference of two runs of an example; for bools, the share of flips."""
        return remembered(self, "change", lambda: mean([example.change for example in self.examples]))

    @property
    def deviation(self) -> float:
        """The root mean squared difference of two runs: the standard deviation of a gain if nothing changed."""
        return math.sqrt(self.change)

    @property
    def interval(self) -> Interval | None:
        """The interval of the share of flips; for numbers, of the deviation; None with fewer than two examples."""
        changes = [example.change for example in self.examples]
        if len(changes) < 2:  # noqa: PLR2004 - a deviation needs two values
            return None
        if self.is_bool:
            low, high = share_interval(changes, most=self.runs * (self.runs - 1) / 2)
            return Interval(low=low, high=high, method="Wilson")
        low, high = mean_interval(changes)
        return Interval(low=math.sqrt(max(low, 0.0)), high=math.sqrt(high), method="Student's t")

    @property
    def is_rough(self) -> bool:
        """True if the interval may cover less often than its confidence."""
        return len(self.examples) < ROUGH_EXAMPLES or (self.is_bool and self.change < ROUGH_SHARE)

    @property
    def pairs(self) -> int:
        """The number of compared pairs of scores."""
        return sum(len(example.scores) * (len(example.scores) - 1) // 2 for example in self.examples)

    @property
    def changing(self) -> list[ExampleNoise]:
        """The examples with noise, noisiest first."""
        return sorted((each for each in self.examples if each.change > 0), key=lambda each: -each.change)

    @property
    def half(self) -> list[ExampleNoise]:
        """The fewest examples that make half of the noise, noisiest first."""
        wanted = math.fsum(example.change for example in self.examples) / 2
        found: list[ExampleNoise] = []
        for example in self.changing:
            if wanted <= 0:
                break
            found.append(example)
            wanted -= example.change
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNoise:
    """A drop gate, on experiments of the same code.

    Attributes:
        limit: the limit as text, such as `2 points`; empty if the evaluation has no drop gate.
        test: the test of the gate, with the measured noise.
        failed: the number of pairs of experiments between which the gate would have failed.
        pairs: the number of pairs of experiments.
        required: the drop that the gate must find, by `max_minimum_detectable`; None for no requirement.
    """

    limit: str
    test: DropTest
    failed: int = 0
    pairs: int = 0
    required: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreNoise:
    """The noise of an evaluation.

    Attributes:
        name: the name of the evaluation.
        noise: the changes between runs.
        gate: the drop gate of the evaluation.
        judge: the changes between two scores of the same output; None if no output was scored twice.
        unit: the size of the scores: 1 for scores between 0 and 1.
    """

    name: str
    noise: Noise
    gate: GateNoise
    judge: Noise | None = None
    unit: float = 1.0

    @property
    def drops(self) -> list[float]:
        """The drops of a plan: 2, 5 and 10% of the unit, and the drop that the gate must find."""
        own = {share * self.unit for share in _PLANNED_DROPS}
        return sorted(own | ({self.gate.required} if self.gate.required else set()))

    @property
    def judges_share(self) -> float | None:
        """The share of the noise that is the judge's, from 0 to 1; None if it is not known."""
        if self.judge is None or not self.noise.change:
            return None
        return min(self.judge.change / self.noise.change, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNoise:
    """A limit on scores or calls that passed in some and failed in other experiments of the same code."""

    name: str
    failed: int
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentNoise:
    """The noise of an experiment.

    Attributes:
        name: the name of the experiment.
        note: the reason why the noise is not known, with an instruction; empty if it is known.
        runs: the number of experiments of the same code.
        repetitions: the number of runs of each example in an experiment.
        examples: the number of examples.
        when: the times and commits of the experiments, as text.
        is_current: whether the newest experiment has the same code.
        usd: the cost of a run of an example in USD; None if it is not known.
        scores: the noise of each evaluation.
        limits: the limits whose result differs between the experiments.
    """

    name: str
    note: str = ""
    runs: int = 0
    repetitions: int = 1
    examples: int = 0
    when: str = ""
    is_current: bool = True
    usd: float | None = None
    scores: tuple[ScoreNoise, ...] = ()
    limits: tuple[LimitNoise, ...] = ()
