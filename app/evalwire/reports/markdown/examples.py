"""The examples that became worse, with both outputs, and the lowest scores of failed gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import count, written
from evalwire.reports.baseline_text import rescored_line
from evalwire.reports.highlights import comparison_link, link, lowest
from evalwire.reports.markdown.parts import ELSEWHERE, LONGEST_NAME, folded, listed, omitted
from evalwire.reports.markdown_text import code, link_to, prose
from evalwire.reports.text import single_line
from evalwire.reports.word_changes import changed_words, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalwire.model import Baseline, BaselineRun, Direction, ExperimentResult, GateResult, Report, TaskRun
    from evalwire.reports.highlights import ChangedExample, ScoreChange
    from evalwire.reports.markdown.parts import Part, Room

_LONGEST_REASON = 200  # files that changed


def baselines(parts: Sequence[Part], room: Room) -> Iterator[str]:
    """Yield the baseline of each experiment, with the examples that became worse."""
    known = [(part, part.baseline) for part in parts if part.baseline]
    if known:
        yield "### Comparison with the baseline"
        yield ""
    for part, baseline in known[: room.rows]:
        again = (f"{rescored_line(rescored, part.result, name=_name)}." for rescored in baseline.rescored)
        yield " ".join([_baseline(part, baseline), *again])
        yield ""
        number = len(part.worse)
        if number and not room.items:
            yield f"{count(number, 'example')} became worse; {ELSEWHERE}."
            yield ""
        elif number:
            shown = (changed_example(part.result, example, room) for example in part.worse)
            yield from folded(f"{count(number, 'example')} became worse", listed(shown, room.items, number, "examples"))
    yield from omitted(len(known) - room.rows, len(known), "baselines")


def _name(text: str) -> str:
    return code(text, _LONGEST_REASON)


def lowest_scores(report: Report, parts: Sequence[Part], room: Room) -> Iterator[str]:
    """Yield the worst examples of failed gates, unless a comparison with the baseline shows them."""
    for part in parts if room.items else ():
        shown = {score.evaluation for example in part.worse for score in example.scores if score.gain < 0}
        gates = [gate for gate in report.gates_of(part.result.name) if gate.label is None]  # labels have no order
        for name in sorted({gate.evaluation for gate in gates if gate.is_red and gate.evaluation} - shown):
            direction = _direction(part, name, [gate for gate in gates if gate.evaluation == name])
            found = lowest(part.result, name, direction=direction, most=room.items)
            if not found:
                continue
            items = (
                "\n".join(
                    [
                        *_head(
                            part.result, highlight.run, f"{code(name, LONGEST_NAME)} {written(highlight.after)}", room
                        ),
                        *_texts(highlight.run, None, room),
                        *_explanations(highlight.run, None, [name], room),
                    ]
                )
                for highlight in found
            )
            yield f"{code(part.result.name, LONGEST_NAME)}, {code(name, LONGEST_NAME)}:"
            yield ""
            title = f"{'Highest' if direction == 'minimize' else 'Lowest'} scores"
            yield from folded(title, listed(items, len(found), len(found), "examples"))


def _direction(part: Part, name: str, gates: Sequence[GateResult]) -> Direction:
    found = part.baseline.comparison(name) if part.baseline else None
    if found is not None:
        return found.direction
    return "minimize" if any(gate.is_red and gate.rule.startswith("max") for gate in gates) else "maximize"


def changed_example(result: ExperimentResult, example: ChangedExample, room: Room) -> str:
    """Return an example with all its scores and both outputs, as the text of a list item with an inner list."""
    names = [score.evaluation for score in example.scores if score.gain]
    return "\n".join(
        [
            *_head(result, example.run, ", ".join(map(_score, example.scores)), room),
            *_texts(example.run, example.baseline_run, room),
            *_explanations(example.run, example.baseline_run, names, room),
        ]
    )


def _score(score: ScoreChange) -> str:
    before, after = (
        str(value == 1) if score.is_bool else written(value, digits=2) for value in (score.before, score.after)
    )
    return f"{code(score.evaluation, LONGEST_NAME)} {before}" + (f" → {after}" if before != after else "")


def _head(result: ExperimentResult, run: TaskRun, scores: str, room: Room) -> Iterator[str]:
    page = link_to("trace", link(result, run))
    yield f"{code(single_line(dict(run.example.input)), room.length)}"
    yield f"  - {code(run.example.id, LONGEST_NAME)}: {scores}{f', {page}' if page else ''}"


def _texts(run: TaskRun, before: BaselineRun | None, room: Room) -> Iterator[str]:
    length = room.length
    if run.example.output:
        yield f"  - expected {code(single_line(dict(run.example.output)), length)}"
    now = f"{run.failure.type}: {run.failure.message}" if run.failure else single_line(run.output)
    then = "" if before is None else before.error or single_line(before.output)
    if before is None or then == now:
        yield f"  - {'same output' if before else 'output'} {code(now, length)}"
        return
    for name, words in zip(("before", "now"), changed_words(then, now), strict=True):
        text = "".join(text for text, _ in excerpt(words, length - 2))  # with two ellipses
        yield f"  - {name} {code(text, length)}"


def _explanations(run: TaskRun, before: BaselineRun | None, names: Iterable[str], room: Room) -> Iterator[str]:
    """Yield the explanations of evaluations, before and now if they differ."""
    now = {found.name: found.explanation for found in run.evaluations if found.explanation}
    for name in names:
        then = before.explanations.get(name) if before else None
        if then and then != now.get(name):
            yield f"  - {code(name, LONGEST_NAME)} before: {code(then, room.length)}"
        if explanation := now.get(name):
            yield f"  - {code(name, LONGEST_NAME)}: {code(explanation, room.length)}"


def _baseline(part: Part, baseline: Baseline) -> str:
    name = code(baseline.experiment, LONGEST_NAME)
    if baseline.note:
        return f"{name} has no baseline: {prose(baseline.note)}"
    recorded = code(baseline.recorded_name or baseline.experiment_id or baseline.asked, LONGEST_NAME)
    page = comparison_link(baseline, part.result) or baseline.url
    text = f"{name} compared with {link_to(recorded, page) or recorded}"
    if baseline.branch:
        text += f" on {code(baseline.branch, LONGEST_NAME)}"
    if baseline.commit:
        text += f" at {code(baseline.commit[:10])}"
    lists = (("added", baseline.added), ("removed", baseline.removed), ("changed", baseline.changed))
    changes = [f"{len(ids)} {word}" for word, ids in lists if ids]
    text += f": {count(baseline.paired, 'unchanged example')}"
    return f"{text}, {', '.join(changes)}." if changes else f"{text}."
