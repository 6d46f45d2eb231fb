"""Render the noise of experiments as Markdown, for a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import count
from evalwire.reports.markdown_text import code, prose
from evalwire.reports.noise import words
from evalwire.reports.trend import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import ExperimentNoise, Noise, ScoreNoise

_MOST_BARS = 40
_HEADS = ("evaluation", "noise between two runs", "finds in 4 of 5 cases", "failed without a change")


def pieces(measured: Sequence[ExperimentNoise], *, width: int | None = None) -> Iterator[str]:
    """Yield the noise as Markdown, a line at a time."""
    del width
    for number, experiment in enumerate(measured):
        if number:
            yield "\n"
        yield from (f"{line}\n" for line in _lines(experiment))


def _lines(experiment: ExperimentNoise) -> Iterator[str]:
    yield f"### Noise of {code(experiment.name)}"
    yield ""
    if experiment.note:
        yield prose(experiment.note)
        return
    yield f"{words.title(experiment, show=lambda text: code(text, 80))}."
    yield ""
    if found := list(words.notes(experiment)):
        yield from (f"- {prose(note)}" for note in found)
        yield ""
    yield f"| {' | '.join(_HEADS)} |"
    yield "|---|---|---|---|"
    yield from (_row(experiment, score) for score in experiment.scores)
    for score in experiment.scores:
        yield ""
        yield from _of_score(experiment, score)


def _row(experiment: ExperimentNoise, score: ScoreNoise) -> str:
    noise, gate = score.noise, score.gate
    found = noise.interval
    change = words.amount(noise, noise.change if noise.is_bool else noise.deviation)
    if found is not None:
        change += f" ({words.amount(noise, found.low)} to {words.amount(noise, found.high)})"
    smallest = gate.test.smallest_drop(examples=len(noise.examples), repetitions=experiment.repetitions)
    drop = f"a drop of {words.drop_text(smallest, score)}" if smallest is not None else "-"
    failed = f"{gate.failed} of {count(gate.pairs, 'pair')}" if gate.pairs else "-"
    return f"| {code(score.name, in_table=True)} | {change} | {drop} | {failed} |"


def _of_score(experiment: ExperimentNoise, score: ScoreNoise) -> Iterator[str]:
    yield f"<details><summary><code>{_plain_name(score.name)}</code>: examples and plan</summary>"
    yield ""
    # the IDs of examples are the only names in the sentences
    yield from (f"- {sentence}" for sentence in (words.flips(score), *words.sentences(experiment, score, show=code)))
    if bars := _bars(score.noise):
        yield f"- {bars} noisiest examples"
    if rows := words.plan(experiment, score):
        yield ""
        yield f"| examples that find a drop of | {' | '.join(words.plan_heads())} |"
        yield "|---|--:|--:|--:|"
        yield from (f"| {row.drop} | {' | '.join(row.cells)} |" for row in rows)
    yield ""
    yield "</details>"


def _bars(noise: Noise) -> str:
    """Return the noise of the noisiest examples as bars from 0; empty without noise."""
    changes = [example.change for example in noise.changing[:_MOST_BARS]]
    return sparkline([*changes, 0.0])[:-1] if changes else ""


def _plain_name(name: str) -> str:
    return code(name).strip("` ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
