"""Draw the noise of an evaluation as inline SVG: the drops that its gate finds, and the noisiest examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import POWER, count
from evalwire.reports.html import svg
from evalwire.reports.html.markup import filled
from evalwire.reports.html.plots import TOO_FAR_APART
from evalwire.reports.noise import words

if TYPE_CHECKING:
    from markupsafe import Markup

    from evalwire.model import ExperimentNoise, ScoreNoise

_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, svg.WIDTH - 10.0, 14.0, 140.0
_STEPS = 60  # points of a curve
_MOST_BARS = 50
_LINE = 14.0  # height of a line of text
_POWER_CAPTION = "Cases in which the gate finds a drop"


def noise_figures(experiment: ExperimentNoise, score: ScoreNoise) -> list[Markup]:
    """Return the figures of an evaluation; none without noise."""
    if not score.noise.change:
        return []
    return [_power(experiment, score), _examples(score)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """A sample, with the class of its curve."""

    name: str
    examples: int
    repetitions: int
    note: str = ""

    @property
    def text(self) -> str:
        """The size of the sample."""
        return f"{words.sample_text(self.examples, self.repetitions)}{self.note}"


def _power(experiment: ExperimentNoise, score: ScoreNoise) -> Markup:
    """Draw the power of the gate by the drop: now, with twice the examples, and with three times the runs."""
    examples, runs, test = len(score.noise.examples), experiment.repetitions, score.gate.test
    smallest = test.smallest_drop(examples=examples, repetitions=runs)
    end = max(1.3 * (smallest or 0.0), 2 * score.drops[1])
    ticks = svg.ticks_between(0.0, min(end, 1.0) if score.noise.is_bool else end)
    if not ticks:
        return svg.figure(_POWER_CAPTION, TOO_FAR_APART)
    samples = [
        _Sample(name="now", note=", as now", examples=examples, repetitions=runs),
        _Sample(name="examples", examples=2 * examples, repetitions=runs),
        _Sample(name="repeated", examples=examples, repetitions=3 * runs),
    ]

    def x(drop: float) -> float:
        return _LEFT + drop / ticks[-1] * (_RIGHT - _LEFT)

    def curve(sample: _Sample) -> Markup:
        drops = [ticks[-1] * step / _STEPS for step in range(1, _STEPS + 1)]
        found = [test.power(drop, examples=sample.examples, repetitions=sample.repetitions) for drop in drops]
        places = "L".join(f"{svg.at(x(drop))} {svg.at(_y(share))}" for drop, share in zip(drops, found, strict=True))
        return filled('<path class="curve {}" d="M{}"/>', sample.name, places)

    content = [
        [svg.path("grid", _LEFT, _y(share), f"H{svg.at(_RIGHT)}") for share in (0.0, 0.5, 1.0)],
        svg.path("target", _LEFT, _y(POWER), f"H{svg.at(_RIGHT)}"),
        [curve(sample) for sample in samples],
        [svg.label(_LEFT - 6, _y(share) + 4, f"{share:.0%}", "end") for share in (0.0, 0.5, POWER, 1.0)],
        [svg.label(x(tick), _BOTTOM + 14, _tick(tick, score), "middle") for tick in ticks],
        svg.label((_LEFT + _RIGHT) / 2, _BOTTOM + 2 * _LINE, _axis(score), "middle"),
        [_legend(sample, _BOTTOM + (row + 3.4) * _LINE) for row, sample in enumerate(samples)],
    ]
    description = words.finds(experiment, score)
    return svg.figure(_POWER_CAPTION, svg.drawing(description, content, height=round(_BOTTOM + 6 * _LINE)))


def _legend(sample: _Sample, y: float) -> Markup:
    line = svg.path(f"curve {sample.name}", _LEFT, y - 4, "h24")
    return filled("{}{}", line, svg.label(_LEFT + 32, y, sample.text))


def _y(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)


def _tick(drop: float, score: ScoreNoise) -> str:
    return svg.short(drop * 100 if score.noise.is_bool else drop)


def _axis(score: ScoreNoise) -> str:
    return "true drop, in points" if score.noise.is_bool else "true drop"


def _examples(score: ScoreNoise) -> Markup:
    """Draw the noisiest examples, and which of them make half of the noise."""
    noise = score.noise
    shown = noise.changing[:_MOST_BARS]
    half, highest = len(noise.half), shown[0].change
    step = (_RIGHT - _LEFT) / max(len(shown), 10)

    def y(change: float) -> float:
        return _BOTTOM - change / highest * (_BOTTOM - _TOP)

    bars = [
        filled(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>',
            "bar half" if place < half else "bar",
            svg.at(_LEFT + place * step + 0.5),
            svg.at(y(example.change)),
            svg.at(max(step - 1, 0.8)),
            svg.at(max(_BOTTOM - y(example.change), 1.0)),
            example.example_id,
            words.scores_text(example, noise),
        )
        for place, example in enumerate(shown)
    ]
    rest, stable = len(noise.changing) - len(shown), len(noise.examples) - len(noise.changing)
    below = [
        f"{count(half, 'example')} (colored) {'makes' if half == 1 else 'make'} half of the noise",
        f"{stable} of {count(len(noise.examples), 'example')} never changed{f', {rest} more did' if rest else ''}",
    ]
    content = [
        [svg.path("grid", _LEFT, y(change), f"H{svg.at(_RIGHT)}") for change in (0.0, highest / 2, highest)],
        bars,
        [svg.label(_LEFT - 6, y(share * highest) + 4, _change(share * highest, score), "end") for share in (0, 0.5, 1)],
        [svg.label(_LEFT, _BOTTOM + (row + 1.2) * _LINE, text) for row, text in enumerate(below)],
    ]
    caption = "Noisiest examples: share of flips" if noise.is_bool else "Noisiest examples: squared difference"
    return svg.figure(caption, svg.drawing(words.makers(noise), content, height=round(_BOTTOM + 3 * _LINE)))


def _change(change: float, score: ScoreNoise) -> str:
    return f"{change:.0%}" if score.noise.is_bool else svg.short(change)
