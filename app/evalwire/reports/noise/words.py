"""Say in sentences how noisy an evaluation is, and what its gate finds. All formats share these sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import PLANNED_REPETITIONS, POWER, cost_text, count, first_of, percentage, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalwire.model import ExampleNoise, ExperimentNoise, Noise, ScoreNoise

_MOST_NAMED = 3  # examples in a sentence
_SHOWN_DROP = 1  # place of the drop of 5% of the unit in the planned drops


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """The examples that a gate needs to find a drop.

    Attributes:
        drop: the drop as text.
        is_allowed: whether the gate allows the drop, so that no number of examples finds it.
        examples: the number of examples for each number of repetitions; None if no number is enough.
        costs: the cost of an experiment with these examples in USD; None if it is not known.
    """

    drop: str
    is_allowed: bool
    examples: list[int | None]
    costs: list[float | None]

    @property
    def cells(self) -> list[str]:
        """The examples and the costs as text."""
        return [self._cell(examples, usd) for examples, usd in zip(self.examples, self.costs, strict=True)]

    def _cell(self, examples: int | None, usd: float | None) -> str:
        if examples is None:
            return "allowed" if self.is_allowed else "none"
        return f"{examples:,}" + (f" ({cost_text(usd)})" if usd is not None else "")


def title(experiment: ExperimentNoise, *, show: Callable[[str], str] = str) -> str:
    """Return the number of runs of the same code, with their times."""
    runs = f"{count(experiment.runs, 'run')} of the same code"
    if experiment.repetitions > 1:
        runs += f", with {experiment.repetitions} repetitions"
    return f"{runs} ({show(experiment.when)})"


def notes(experiment: ExperimentNoise) -> Iterator[str]:
    """Yield what is special about the runs, and the limits whose result is a matter of chance."""
    if not experiment.is_current:
        yield "the newest run has other code or data. Measure it with `evalwire noise --runs 2`"
    for limit in experiment.limits:
        yield f"the gate {limit.name} failed in {limit.failed} of {count(limit.runs, 'run')} of the same code"


def sentences(experiment: ExperimentNoise, score: ScoreNoise, *, show: Callable[[str], str] = str) -> list[str]:
    """Return what follows from the noise of an evaluation.

    Args:
        experiment: the experiment.
        score: the noise of the evaluation.
        show: returns the name of an example or of the experiment's runs as text of the format.
    """
    found = (
        interval(score.noise),
        makers(score.noise, show=show),
        judge(score),
        gate(score),
        finds(experiment, score),
        mending(experiment, score),
    )
    return [sentence for sentence in found if sentence]


def flips(score: ScoreNoise) -> str:
    """Return how much the scores of an example change between two runs."""
    noise = score.noise
    if noise.is_bool:
        return f"{percentage(noise.change)} of the verdicts flip between two runs of the same code"
    return f"the scores of an example typically differ by {written(noise.deviation)} between two runs of the same code"


def interval(noise: Noise) -> str:
    """Return the interval of the noise, and whether it is rough."""
    found = noise.interval
    size = f"{count(len(noise.examples), 'example')}, {count(noise.pairs, 'pair')} of runs"
    if found is None:
        return size
    low, high = (percentage(end) if noise.is_bool else written(end) for end in (found.low, found.high))
    text = f"{found.confidence:.0%} interval {low} to {high}; {size}"
    return f"{text}. The interval is rough {_why_rough(noise)}" if noise.is_rough else text


def _why_rough(noise: Noise) -> str:
    if not noise.is_bool:
        return "below 100 examples"
    return "below 5% of flips or 100 examples"


def makers(noise: Noise, *, show: Callable[[str], str] = str) -> str:
    """Return the examples that make half of the noise.

    Args:
        noise: the noise.
        show: returns the ID of an example as text of the format.
    """
    half = noise.half
    if not half:
        return "no example changed"
    named = first_of([f"{show(example.example_id)} ({scores_text(example, noise)})" for example in half], _MOST_NAMED)
    verb = "makes" if len(half) == 1 else "make"
    return f"{len(half)} of {count(len(noise.examples), 'example')} {verb} half of the noise: {named}"


def scores_text(example: ExampleNoise, noise: Noise) -> str:
    """Return the scores of an example in words: the passes of bools, and the range of numbers."""
    if noise.is_bool:
        return f"{round(sum(example.scores))} of {len(example.scores)} passed"
    return f"{written(min(example.scores))} to {written(max(example.scores))}"


def judge(score: ScoreNoise) -> str:
    """Return the part of the noise that is the judge's; empty if no output was scored twice."""
    noise = score.judge
    if noise is None:
        return ""
    outputs = f"on the same output ({count(len(noise.examples), 'example')} scored {noise.runs} times)"
    if noise.is_bool:
        changes = f"{percentage(noise.change)} of the verdicts flip {outputs}"
    else:
        changes = f"the scores differ by {written(noise.deviation)} {outputs}"
    share = score.judges_share
    return f"{share:.0%} of the noise is the judge's: {changes}" if share is not None else f"judge: {changes}"


def gate(score: ScoreNoise) -> str:
    """Return how often the gate would have failed between runs of the same code."""
    found = score.gate
    if not found.limit:
        return "no gate limits a drop. The figures assume max_drop = 0"
    limit = f"the gate max_drop ({found.limit})"
    if not found.pairs:
        return f"{limit} was not applied between repetitions"
    return f"{limit} would have failed in {found.failed} of {count(found.pairs, 'pair')} of these runs"


def finds(experiment: ExperimentNoise, score: ScoreNoise) -> str:
    """Return the smallest drop that the gate finds now, and its power for a drop of 5%."""
    examples, runs = len(score.noise.examples), experiment.repetitions
    size = sample_text(examples, runs)
    test, shown = score.gate.test, score.gate.required or score.drops[_SHOWN_DROP]
    smallest = test.smallest_drop(examples=examples, repetitions=runs)
    if smallest is None:
        return f"with {size}, the gate finds no drop" if score.noise.change else "without noise, nothing is predicted"
    found = f"with {size}, the gate finds a drop of {drop_text(smallest, score)} in 4 of 5 cases"
    power = test.power(shown, examples=examples, repetitions=runs)
    return f"{found}, and a drop of {drop_text(shown, score)} in {power * 100:.0f} of 100"


def sample_text(examples: int, runs: int) -> str:
    """Return the size of a sample, such as `200 examples x 3`."""
    return count(examples, "example") + (f" x {runs}" if runs > 1 else "")


def mending(experiment: ExperimentNoise, score: ScoreNoise) -> str:
    """Return the samples that find a drop of 5%; empty if the gate finds it, or no sample does."""
    test, shown = score.gate.test, score.gate.required or score.drops[_SHOWN_DROP]
    examples, runs = len(score.noise.examples), experiment.repetitions
    if not score.noise.change or test.power(shown, examples=examples, repetitions=runs) >= POWER:
        return ""
    drop = drop_text(shown, score)
    if test.tolerance >= shown:
        return f"no sample finds a drop of {drop}, because max_drop allows it"
    more = test.examples_for(shown, repetitions=runs)
    repeated = test.repetitions_for(shown, examples=examples)
    ways = [f"{count(more, 'example')}"] if more else []
    ways += [f"{repeated} runs of each example, here and in the baseline"] if repeated else []
    return f"to find a drop of {drop} in 4 of 5 cases: {', or '.join(ways)}" if ways else ""


def plan(experiment: ExperimentNoise, score: ScoreNoise) -> list[PlanRow]:
    """Return the examples that the gate needs, by drop and repetitions; empty for numbers that never change."""
    if not score.noise.is_bool and not score.noise.change:
        return []
    rows = []
    for drop in score.drops:
        examples = [score.gate.test.examples_for(drop, repetitions=runs) for runs in PLANNED_REPETITIONS]
        costs = [
            None if experiment.usd is None or number is None else experiment.usd * number * runs
            for number, runs in zip(examples, PLANNED_REPETITIONS, strict=True)
        ]
        rows.append(
            PlanRow(
                drop=drop_text(drop, score),
                is_allowed=drop <= score.gate.test.tolerance,
                examples=examples,
                costs=costs,
            )
        )
    return rows


def plan_heads() -> list[str]:
    """Return the heads of the columns of a plan."""
    return [f"{count(runs, 'run')} each" for runs in PLANNED_REPETITIONS]


def amount(noise: Noise, value: float) -> str:
    """Return a share of flips as a percentage, and the deviation of numbers as a number."""
    return percentage(value) if noise.is_bool else written(value)


def drop_text(drop: float, score: ScoreNoise) -> str:
    """Return a drop as text: points of a pass rate, else a number."""
    return f"{drop * 100:.1f}".removesuffix(".0") + " points" if score.noise.is_bool else f"{drop:.3g}"
