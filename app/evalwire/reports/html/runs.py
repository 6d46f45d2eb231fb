"""All runs of the page: a table for each experiment, a row for each run, the run in full below its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.highlights import cut, link
from evalwire.reports.html.markup import DASH, MINUS, Html, Values, anchor, count, duration, html, isolated, number
from evalwire.reports.html.section import Section, answer, failure_block, preview

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Evaluation, TaskRun

_LONGEST_PREVIEW = 160
_LONGEST_CELL = 40
_NARROW, _NUMBER, _STATUS, _SCORE, _NAME = 4, 6, 7, 9, 10  # widths of columns, in rem


def style(sections: Sequence[Section]) -> str:
    """The widths of each table's columns: rows are laid out one by one, so that those out of sight cost nothing."""
    rules = []
    for section in sections:
        widths = [_NARROW] * (section.result.repetitions > 1) + [_STATUS] + [_SCORE] * len(section.scores)
        widths += [_NUMBER] * (1 + section.has_tokens)
        columns = " ".join(f"{width}rem" for width in widths)
        rules.append(
            f".t{section.number}{{min-width:{_NAME + sum(widths)}rem}}"
            f".t{section.number} tr{{grid-template-columns:minmax({_NAME}rem,1fr) {columns}}}\n"
        )
    return "".join(rules)


def pieces(sections: Sequence[Section]) -> Iterator[str]:
    """The part of the page with all runs."""
    shown = [section for section in sections if section.result.runs]
    if not shown:
        return
    yield '<section aria-labelledby="runs"><h2 id="runs" tabindex="-1">All runs</h2>'
    yield _controls(shown)
    values = Values()
    for section in shown:
        yield from _table(section, values)
    yield "</section>"


def _controls(sections: Sequence[Section]) -> Html:
    """What filters the tables; the script shows it, since without the script it would do nothing."""
    names = sorted({score.name for section in sections for score in section.scores})
    compared = any(section.pairs for section in sections)
    kinds = [("", "all runs"), ("failed", "failed")]
    kinds += [("worse", "worse than the baseline"), ("better", "better than the baseline")] if compared else []
    experiments = [html('<option value="{}">{}</option>', f"t{one.number}", one.result.name) for one in sections]
    return html(
        '<div id="controls" role="search" aria-label="Filter the runs" hidden>'
        '<label>Text <input type="search" id="f-text" autocomplete="off" spellcheck="false"></label>'
        '<label>Show <select id="f-kind">{}</select></label>'
        '{}<fieldset><legend>Score</legend><select id="f-name" aria-label="Evaluator"><option value="">any evaluator'
        '</option>{}</select><select id="f-side" aria-label="Side of the limit"><option>below</option><option>above'
        '</option></select><input type="number" id="f-limit" aria-label="Limit" step="any"></fieldset>'
        '<button type="button" id="f-reset">Reset</button><p id="f-status" role="status"></p></div>',
        [html('<option value="{}">{}</option>', value, name) for value, name in kinds],
        html('<label>Experiment <select id="f-table"><option value="">all</option>{}</select></label>', experiments)
        if len(experiments) > 1
        else None,
        [html("<option>{}</option>", name) for name in names],
    )


def _table(section: Section, values: Values) -> Iterator[str]:
    is_repeated, has_tokens = section.result.repetitions > 1, section.has_tokens
    heads: list[tuple[str, Html | None]] = [("Example", None), *[("No.", None)] * is_repeated, ("Status", None)]
    heads += [(score.name, html(' data-name="{}"', score.name)) for score in section.scores]
    heads += [("Seconds", None), *[("Tokens", None)] * has_tokens]
    yield html(
        '<h3 id="h{n}"><bdi>{}</bdi></h3><div class="wide" tabindex="0" role="region" aria-labelledby="h{n}">'
        '<table class="runs t{n}" id="t{n}" role="table" aria-labelledby="h{n}">'
        '<thead role="rowgroup"><tr role="row">{}</tr></thead><tbody role="rowgroup">\n',
        section.result.name,
        [html('<th role="columnheader" scope="col"{}>{}</th>', name, head) for head, name in heads],
        n=section.number,
    )
    for place in range(len(section.result.runs)):
        yield _row(section, place, values, is_repeated=is_repeated, has_tokens=has_tokens)
        yield "\n"
    yield "</tbody></table></div>"


def _row(section: Section, place: int, values: Values, *, is_repeated: bool, has_tokens: bool) -> Html:
    run = section.result.runs[place]
    said = {one.name: one for one in run.evaluations}
    kinds, status = _status(section, run)
    cells = [html('<td role="cell">{}</td>', run.example.id)]
    if is_repeated:
        cells.append(_number(str(run.repetition)))
    cells.append(html('<td role="cell" class="is {}">{}</td>', kinds, status))
    cells += [_score(section, run, score.name, said.get(score.name)) for score in section.scores]
    cells.append(_number(f"{run.seconds:.2f}"))
    if has_tokens:
        used = section.tokens[place]
        cells.append(_number("" if used is None else str(used)))
    return html(
        '<tr role="row" id="{}" data-is="{}">{}<td role="cell" class="full" colspan="{}"><details><summary>'
        '<span class="asked">{}</span><span class="said">{}</span></summary>{}</details></td></tr>',
        section.run_anchor(run),
        kinds,
        cells,
        len(cells),
        cut(preview(run.example.input), _LONGEST_PREVIEW),
        cut(answer(run), _LONGEST_PREVIEW),
        _full(section, place, values),
    )


def _status(section: Section, run: TaskRun) -> tuple[str, str]:
    """What a run is, for the filter and for the reader."""
    one = run.example.id
    kinds = ["failed"] * bool(run.failures) + ["worse"] * (one in section.worse) + ["better"] * (one in section.better)
    if run.failure:
        shown = "failed"
    elif run.failures:
        shown = "not judged" if any(said.failure for said in run.evaluations) else "not recorded"
    elif len(kinds) > 1:
        shown = "mixed"
    elif kinds:
        shown = kinds[0]
    elif one in section.added:
        shown = "new"
    elif one in section.changed:
        shown = "changed"
    else:
        shown = "same" if any(one in pairs for pairs in section.pairs.values()) else "ran"
    return " ".join(kinds), shown


def _number(shown: str) -> Html:
    return html('<td role="cell">{}</td>', shown)


def _score(section: Section, run: TaskRun, name: str, said: Evaluation | None) -> Html:
    """One score in its row, with the example's change; `data-v` is what is sorted by where the text is not."""
    if said is None or said.failure:
        return html('<td role="cell" class="bad" data-v="">{}</td>', "failed" if said else DASH)
    label = cut(said.label, _LONGEST_CELL) if said.label is not None else None
    if said.score is None:
        return html('<td role="cell">{}</td>', label)
    is_bool = _is_bool(said)
    shown = label if is_bool else number(said.score)
    kind, change = _change(section, run, name)
    return html(
        '<td role="cell"{}{}>{}{}{}</td>',
        html(' class="{}"', kind) if kind else None,
        html(' data-v="{}"', f"{said.score:.12g}") if shown != f"{said.score:.12g}" else None,
        shown,
        html(" <small>{}</small>", isolated(label)) if label is not None and not is_bool else None,
        html(" <small>{}</small>", change) if change else None,
    )


def _is_bool(said: Evaluation) -> bool:
    return (said.score, said.label) in {(0.0, "False"), (1.0, "True")}


def _change(section: Section, run: TaskRun, name: str) -> tuple[str, str]:
    """Whether the example became better or worse under one evaluation, over its repetitions, and by how much."""
    pair, comparison = section.pairs.get(name, {}).get(run.example.id), section.comparison(name)
    if pair is None or comparison is None or not (gain := comparison.gain(pair)):
        return "", ""
    kind = "better" if gain > 0 else "worse"
    change = f"{abs(pair.after - pair.before):.3f}"
    change = f"{'+' if pair.after > pair.before else MINUS}{change if float(change) else '0.0…'}"
    if section.result.repetitions > 1:
        return kind, f"mean {change}"
    if comparison.is_bool and pair.before in {0.0, 1.0}:
        return kind, f"was {bool(pair.before)}"
    return kind, change


def _full(section: Section, place: int, values: Values) -> Html:
    run = section.result.runs[place]
    example = run.example
    texts = [("Input", example.input), ("Expected", example.output), ("Output", run.output)]
    if run.failure:
        texts.pop()
    blocks = [html("<div><h4>{}</h4>{}</div>", name, values.show(value)) for name, value in texts]
    failures = [("Task", run.failure), ("Not recorded", run.record_failure)]
    return html(
        '<div class="run">{}{}<div class="texts">{}</div>{}{}</div>',
        _facts(section, place),
        [failure_block(section.report, heading, failure) for heading, failure in failures if failure],
        blocks,
        html('<div class="evaluations">{}</div>', [_evaluation(section, one, values) for one in run.evaluations])
        if run.evaluations
        else None,
        html("<h4>Example metadata</h4>{}", values.show(example.metadata)) if example.metadata else None,
    )


def _facts(section: Section, place: int) -> Html:
    run, used = section.result.runs[place], section.tokens[place]
    facts = [
        duration(run.seconds),
        f"{run.attempts} attempts" if run.attempts > 1 else None,
        count(used, "token") if used else None,
        html("run {}", isolated(run.id)) if run.id else None,
        anchor(url, "trace in Phoenix") if (url := link(section.result, run)) else None,
    ]
    told = [html(" \u00b7 {}", fact) for fact in facts if fact]
    return html('<p class="quiet">{}{}</p>', f"began {run.start_time:%Y-%m-%d %H:%M:%S}", told)


def _evaluation(section: Section, one: Evaluation, values: Values) -> Html:
    said = [html(" {}", number(one.score))] if one.score is not None and not _is_bool(one) else []
    said += [html(" {}", isolated(one.label))] if one.label is not None else []
    return html(
        '<div class="evaluation"><h4><b>{}</b>{}</h4>{}{}{}{}</div>',
        isolated(one.name),
        said,
        html('<p class="quiet">after {} attempts</p>', one.attempts) if one.attempts > 1 else None,
        values.show(one.explanation) if one.explanation else None,
        values.show(one.metadata) if one.metadata else None,
        failure_block(section.report, "Evaluator", one.failure) if one.failure else None,
    )
