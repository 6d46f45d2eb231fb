"""Render the agreement of an evaluator with people as text and as Markdown."""

from __future__ import annotations

import itertools
import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalwire.model import count, first_of, wilson_interval
from evalwire.reports.markdown_text import prose
from evalwire.reports.text import cut, plain, single_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Calibration, CorrectedRate, Interval

Form = Literal["text", "markdown"]

_MOST_SHOWN = 10  # differences in the text
_MOST_NAMED = 5  # examples in a sentence
_LONGEST_OUTPUT, _LONGEST_REASON = 160, 400  # characters
_SHOWN_DROP = 0.10  # of the true pass rate, as an example


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An output on which the evaluator differs from people.

    Attributes:
        name: the example, with the repetition if there are several.
        output: the output on a single line.
        people: the label of people.
        note: the reasons that people gave.
        evaluator: the score of the evaluator.
        explanation: the reason that the evaluator gave.
    """

    name: str
    output: object
    people: str
    note: str
    evaluator: str
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAgreement:
    """The values of a rendered agreement.

    Attributes:
        calibration: the recorded agreement.
        differences: the outputs on which the evaluator differs from people, largest difference first.
        notes: sentences on labels that do not count, and on people who differ.
        own_rate: the evaluator's pass rate over all outputs; None for scores.
        rate: the corrected pass rate; None without one.
        no_rate: the reason for a missing rate; empty if the rate is known.
        correlation: Spearman's rank correlation of scores; None for passes and failures.
        max_drops: the allowed drops of the pass rate of the project's gates, as shares.
        unlabeled: the number of outputs with a score and without a label.
        is_rough: whether there are too few labels for the interval of kappa.
    """

    calibration: Calibration
    differences: Sequence[Difference]
    notes: Sequence[str] = ()
    own_rate: float | None = None
    rate: CorrectedRate | None = None
    no_rate: str = ""
    correlation: float | None = None
    max_drops: Sequence[float] = ()
    unlabeled: int = 0
    is_rough: bool = False


def render(shown: ShownAgreement, form: Form, *, width: int = 80) -> str:
    """Return the agreement as text or as Markdown.

    Args:
        shown: the values.
        form: text or Markdown.
        width: the columns of the terminal.
    """
    lines = _markdown(shown) if form == "markdown" else _text(shown, width)
    return "".join(f"{line}\n" for line in lines)


def _text(shown: ShownAgreement, width: int) -> Iterator[str]:
    yield from textwrap.wrap(_heading(shown), width)
    yield ""
    for sentence in (*_measures(shown), *shown.notes):
        yield from textwrap.wrap(sentence, width, initial_indent="  ", subsequent_indent="    ")
    if not shown.differences:
        return
    yield ""
    yield from textwrap.wrap(_differs(shown), width, initial_indent="  ")
    for difference in shown.differences[:_MOST_SHOWN]:
        yield ""
        yield from textwrap.wrap(
            f"{difference.name}: {cut(plain(single_line(difference.output)), _LONGEST_OUTPUT)}",
            width,
            initial_indent="  ",
            subsequent_indent="    ",
        )
        yield from _side_by_side(difference, width - 4)
    if (more := len(shown.differences) - _MOST_SHOWN) > 0:
        yield ""
        yield from textwrap.wrap(f"and {more} more: show all with --markdown", width, initial_indent="  ")


def _side_by_side(difference: Difference, width: int) -> Iterator[str]:
    """Yield what people and the evaluator say, in two columns."""
    half = (width - 3) // 2
    sides = [
        [head, *textwrap.wrap(cut(plain(reason), _LONGEST_REASON), half)]
        for head, reason in (
            (f"people: {difference.people}", difference.note),
            (f"evaluator: {difference.evaluator}", difference.explanation),
        )
    ]
    for left, right in itertools.zip_longest(*sides, fillvalue=""):
        yield f"    {left.ljust(half)} | {right}".rstrip()


def _markdown(shown: ShownAgreement) -> Iterator[str]:
    yield f"### {prose(_heading(shown))}"
    yield ""
    for sentence in (*_measures(shown), *shown.notes):
        yield f"- {prose(sentence)}"
    if not shown.differences:
        return
    yield ""
    yield _differs(shown)
    yield ""
    yield "| Example | Output | People | Evaluator |"
    yield "|---|---|---|---|"
    for each in shown.differences:
        people = ": ".join(filter(None, (each.people, plain(each.note))))
        evaluator = ": ".join(filter(None, (each.evaluator, plain(each.explanation))))
        parts = (each.name, cut(plain(single_line(each.output)), _LONGEST_OUTPUT), people, evaluator)
        yield f"| {' | '.join(prose(cut(part, _LONGEST_REASON), in_table=True) for part in parts)} |"


def _heading(shown: ShownAgreement) -> str:
    found = shown.calibration
    people = "1 person" if found.annotators == 1 else f"{found.annotators} people"
    name = plain(f"{found.experiment}.{found.evaluation}")
    return f"{name}: {count(found.labels, 'label')} by {people} on outputs of {found.experiment_id}"


def _differs(shown: ShownAgreement) -> str:
    return f"differs from people on {len(shown.differences)} of {count(shown.calibration.labels, 'output')}:"


def _measures(shown: ShownAgreement) -> Iterator[str]:
    found = shown.calibration
    yield _kappa(shown)
    if shown.correlation is not None:
        yield f"Spearman's rank correlation is {shown.correlation:.2f}"
    table = found.table
    if table is None:
        return
    yield (
        f"finds {_rate(table.true_passes, table.passes, 'of the outputs that people pass')}, and "
        f"{_rate(table.true_failures, table.failures, 'of the outputs that they fail')}"
    )
    slope = table.discrimination
    if slope is None:
        kind = "failed" if not table.failures else "passed"
        yield f"people {kind} none of these outputs, so it is unknown how many the evaluator would find. Label more"
    else:
        shows = f"shows as about {slope * _SHOWN_DROP * 100:.1f} (J = {slope:.2f})"
        yield f"a drop of {_SHOWN_DROP * 100:.0f} points {shows}"
        for allowed in shown.max_drops if slope > 0 else ():
            yield f"your max_drop of {allowed * 100:g} points allows a true drop of {allowed / slope * 100:.1f} points"
    yield f"people pass {table.passes / table.size:.1%} of these outputs"
    if shown.rate is not None:
        yield rate_text(shown.rate, own=shown.own_rate or 0.0)
    else:
        yield f"no corrected pass rate: {shown.no_rate}; the evaluator's own is {shown.own_rate or 0.0:.1%}"
    yield from _more_labels(shown)


def rate_text(rate: CorrectedRate, *, own: float, of: str = "") -> str:
    """Return a clause on a corrected pass rate.

    Args:
        rate: the corrected rate.
        own: the evaluator's own rate.
        of: the ID of the experiment; empty for the labeled experiment.
    """
    name = f"the corrected pass rate of {of}" if of else "the corrected pass rate"
    return f"{name} is {rate.value:.1%} {_within(rate.interval, percent=True)}; the evaluator's own is {own:.1%}"


def _kappa(shown: ShownAgreement) -> str:
    found = shown.calibration
    if found.kappa is None or found.interval is None:
        return "kappa is unknown, because all labels and all scores are equal"
    rough = ", rough with so few labels" if shown.is_rough else ""
    name = "kappa" if found.table is not None else "weighted kappa"
    return f"{name} is {found.kappa:.2f} {_within(found.interval, rough)}"


def _within(interval: Interval, rough: str = "", *, percent: bool = False) -> str:
    form = ".1%" if percent else ".2f"
    method = "" if interval.method == "bootstrap" else f", {interval.method}"
    return f"({interval.confidence:.0%} interval {interval.low:{form}} to {interval.high:{form}}{method}{rough})"


def _rate(found: int, of: int, what: str) -> str:
    if not of:
        return f"0 of 0 {what}"
    low, high = wilson_interval(found, of)
    return f"{found / of:.0%} ({low:.0%} to {high:.0%}) {what}"


def _more_labels(shown: ShownAgreement) -> Iterator[str]:
    """Yield how much more labels narrow the intervals, whose widths shrink with the root of the number of labels."""
    found = shown.calibration
    more = min(shown.unlabeled, max(found.labels, 100))
    if more < found.labels // 4 or found.interval is None:
        return
    factor = math.sqrt(found.labels / (found.labels + more))
    now = (found.interval.high - found.interval.low) / 2
    parts = [f"kappa to about ±{now * factor:.2f} (now ±{now:.2f})"]
    if shown.rate is not None:
        half = (shown.rate.interval.high - shown.rate.interval.low) * 50
        parts.append(f"the pass rate to ±{half * factor:.1f} points (now ±{half:.1f})")
    yield f"{count(more, 'more label')} would narrow {' and '.join(parts)}"


def names_text(names: Sequence[str]) -> str:
    """Return the first names on a single line, and the number of the others."""
    return first_of(list(map(plain, names)), _MOST_NAMED)
