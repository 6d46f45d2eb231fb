"""One experiment of the page: what got worse, what failed, its scores, and pictures of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model import percentile, usage_cost_usd
from evalwire.model import token_count as total_tokens
from evalwire.reports.highlights import Highlight, cut, improvements, in_one_line, link, lowest, regressions
from evalwire.reports.html import plots
from evalwire.reports.html.markup import (
    DASH,
    TIMES,
    Html,
    anchor,
    count,
    duration,
    html,
    number,
    percent,
    points,
    relative,
    table,
)

if TYPE_CHECKING:
    from evalwire.model import (
        Baseline,
        Comparison,
        ExperimentResult,
        Failure,
        Interval,
        Pair,
        Report,
        ScoreSummary,
        TaskRun,
        Usage,
    )

_MOST_SHOWN = 5  # of the examples that changed under one evaluation; the next ones open on demand
_MOST_LISTED = 100
_MOST_CAUSES = 20
_MOST_NAMED = 12  # runs of one cause
_MOST_IDS = 1_000
_LONGEST_LINE = 200
_COMPARED_HEADS = ["Baseline", "Change", "Interval of the change, two-sided", "p, one-sided", "Worse", "Better"]

Change = Literal["worse", "better", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One experiment, with what several parts of the page need of it.

    Attributes:
        number: of the experiment, from 0.
        scores: its summaries.
        baseline: what it was compared with.
        pairs: evaluation -> example id -> its score before and now.
        worse: the ids of the examples that fell under some evaluation.
        better: of those that rose.
        added: of those that the baseline does not have.
        changed: of those that it has with another content.
        places: of the runs, by the example's node id and the repetition.
        usage: of language models, by the whole; `tokens`: of each run. None where that is not known.
    """

    report: Report
    result: ExperimentResult
    number: int
    scores: tuple[ScoreSummary, ...]
    baseline: Baseline | None
    pairs: Mapping[str, Mapping[str, Pair]]
    worse: frozenset[str]
    better: frozenset[str]
    added: frozenset[str]
    changed: frozenset[str]
    places: Mapping[tuple[str, int], int]
    usage: Usage | None
    tokens: tuple[int | None, ...]

    @classmethod
    def of(cls, report: Report, number: int) -> Section:
        """The experiment of this number."""
        result = report.results[number]
        baseline = report.baseline_of(result.name)
        comparisons = baseline.comparisons if baseline else ()
        return cls(
            report=report,
            result=result,
            number=number,
            scores=tuple(result.scores),
            baseline=baseline,
            pairs={one.name: {pair.example_id: pair for pair in one.pairs} for one in comparisons},
            worse=frozenset(pair.example_id for one in comparisons for pair in one.worse),
            better=frozenset(pair.example_id for one in comparisons for pair in one.better),
            added=frozenset(baseline.added if baseline else ()),
            changed=frozenset(baseline.changed if baseline else ()),
            places={(run.example.node_id, run.repetition): place for place, run in enumerate(result.runs)},
            usage=result.usage,
            tokens=tuple(None if (used := run.total_usage) is None else total_tokens(used) for run in result.runs),
        )

    @property
    def anchor(self) -> str:
        """The id of its part of the page."""
        return f"x{self.number}"

    def run_anchor(self, run: TaskRun) -> str:
        """The id of a run's row; made of numbers, since what users write may be no id."""
        return f"r{self.number}-{self.places[run.example.node_id, run.repetition]}"

    @property
    def has_tokens(self) -> bool:
        """Whether any run is known to have used some."""
        return any(self.tokens)

    def comparison(self, name: str) -> Comparison | None:
        """How one evaluation compares with the baseline."""
        return self.baseline.comparison(name) if self.baseline else None

    @property
    def noun(self) -> str:
        """What is counted: examples, or, where an example runs several times, runs."""
        return "run" if self.result.repetitions > 1 else "example"

    @property
    def state(self) -> str:
        """Whether it passed, in one word."""
        return "passed" if self.report.passed(self.result) else "failed"


def pieces(section: Section) -> Iterator[str]:
    """The part of the page about one experiment."""
    result = section.result
    yield html(
        '<section aria-labelledby="{id}"><h2 id="{id}">{} <span class="state {state}">{state}</span></h2>{}',
        result.name,
        _facts(section),
        id=section.anchor,
        state=section.state,
    )
    yield from (failure_block(section.report, "It cannot run", problem) for problem in result.problems)
    if result.failure:
        yield failure_block(section.report, "It was stopped", result.failure)
    yield _changes(section, "worse", regressions(section.report, result))
    yield _failed_runs(section)
    yield _scores(section)
    yield _pictures(section)
    yield _changes(section, "better", improvements(section.report, result))
    yield _lowest(section)
    yield _other_examples(section)
    yield "</section>"


def failure_block(report: Report, heading: str, failure: Failure) -> Html:
    """A failure in full."""
    cause = f" (from {failure.cause})" if failure.cause else ""
    return html(
        '<div class="failure"><p><b>{}</b> <code>{}</code>{}</p>{}</div>',
        heading,
        f"{failure.type}: {failure.message}{cause}" if failure.message else f"{failure.type}{cause}",
        html(' <span class="quiet">{}</span>', relative(failure.where, report.directory)) if failure.where else None,
        html("<details><summary>Traceback</summary><pre>{}</pre></details>", failure.traceback)
        if failure.traceback
        else None,
    )


def _facts(section: Section) -> Html:
    result = section.result
    times = f" {TIMES} {result.repetitions} repetitions" if result.repetitions > 1 else ""
    parts = [
        html("{}{}", count(result.example_count, "example"), times),
        html("dataset <bdi>{}</bdi>", result.dataset_name),
        html("{}", duration(result.seconds)),
    ]
    if result.failed_runs:
        parts.append(html("{} failed", count(len(result.failed_runs), "run")))
    if result.not_run:
        parts.append(html("{} not made", count(result.not_run, "run")))
    if (usage := section.usage) and total_tokens(usage):
        cost, unknown = usage_cost_usd(usage, section.report.prices)
        models = ", ".join(one.model or "a model without a name" for one in usage)
        parts.append(html("{} tokens of <bdi>{}</bdi>", f"{total_tokens(usage):,}", models))
        if unknown:
            parts.append(html("${} and the unknown cost of <bdi>{}</bdi>", f"{cost:,.4f}", ", ".join(unknown)))
        else:
            parts.append(html("${}", f"{cost:,.4f}"))
    if result.opened and result.opened.id:
        parts.append(html("{}", anchor(result.url, result.opened.recorded_name)))
    return html('<ul class="facts">{}</ul>', [html("<li>{}</li>", part) for part in parts])


def _changes(section: Section, change: Change, found: Sequence[Highlight]) -> Html:
    """The examples that changed for the worse or the better, by evaluation."""
    lists = []
    for name, group in groupby(found, key=lambda one: one.evaluation):
        its = list(group)
        shown = [_changed(section, change, one) for one in its[:_MOST_SHOWN]]
        more = [_changed(section, change, one) for one in its[_MOST_SHOWN:_MOST_LISTED]]
        pairs = len(section.pairs.get(name, ()))
        lists.append(
            html(
                '<h4><bdi>{}</bdi> <span class="quiet">{}</span></h4><ol class="changes">{}</ol>{}{}',
                name,
                f"{change} in {len(its):,} of {count(pairs, 'paired example')}" if pairs else "",
                shown,
                html(
                    '<details><summary>{}</summary><ol class="changes">{}</ol></details>',
                    f"{len(more)} more",
                    more,
                )
                if more
                else None,
                html('<p class="quiet">The others are in the table of all runs.</p>')
                if len(its) > _MOST_LISTED
                else None,
            )
        )
    match change if lists else None:
        case "worse":
            return html("<h3>Worse than the baseline</h3>{}", lists)
        case "better":
            return html(
                '<details class="block"><summary><h3>Better than the baseline</h3></summary>{}</details>', lists
            )
        case "low":
            return html('<details class="block"><summary><h3>Lowest scores</h3></summary>{}</details>', lists)
    return Html()


def _changed(section: Section, change: Change, one: Highlight) -> Html:
    run = one.run
    numbers = number(one.after) if one.before is None else f"{number(one.before)} → {number(one.after)}"
    trace = link(section.result, run)
    return html(
        '<li class="{}"><span class="numbers">{}</span><span class="which"><a href="#{}"><bdi>{}</bdi></a>{}</span>'
        '<div><p class="asked">{}</p><p class="said">{}</p></div></li>',
        change,
        numbers,
        section.run_anchor(run),
        run.example.id,
        html(' <span class="quiet">{}</span>', anchor(trace, "trace")) if trace else None,
        cut(preview(run.example.input), _LONGEST_LINE),
        cut(answer(run), _LONGEST_LINE),
    )


def preview(value: Any) -> str:
    """A value on one line, an object by what is in it."""
    return " · ".join(map(in_one_line, value.values())) if isinstance(value, Mapping) else in_one_line(value)


def answer(run: TaskRun) -> str:
    """What the task returned on one line, or why it did not."""
    return f"{run.failure.type}: {run.failure.message}" if run.failure else preview(run.output)


def _lowest(section: Section) -> Html:
    """The lowest scores, where no baseline says which examples are worth a look."""
    found = [
        one
        for score in section.scores
        if score.name not in section.pairs and score.mean is not None
        for one in lowest(section.result, score.name)
    ]
    return _changes(section, "low", found)


def _failed_runs(section: Section) -> Html:
    """What runs failed of, the commonest first, each said once."""
    causes: dict[tuple[str, str, str], tuple[Failure, list[TaskRun]]] = {}
    for run in section.result.failed_runs:
        found = [("Task", run.failure), ("Not recorded", run.record_failure)]
        found += [(f"Evaluator {said.name}", said.failure) for said in run.evaluations]
        for heading, failure in found:
            if failure:
                key = (heading, failure.type, failure.message)
                causes.setdefault(key, (failure, []))[1].append(run)
    if not causes:
        return Html()
    ordered = sorted(causes.items(), key=lambda item: -len(item[1][1]))
    blocks = [
        html(
            '{}<p class="runs-of">{}: {}</p>',
            failure_block(section.report, heading, failure),
            count(len(runs), "run"),
            _run_links(section, runs),
        )
        for (heading, _, _), (failure, runs) in ordered[:_MOST_CAUSES]
    ]
    rest = len(ordered) - _MOST_CAUSES
    more = html('<p class="quiet">{} of failure; filter the table of all runs.</p>', count(rest, "more kind"))
    return html("<h3>Failed runs</h3>{}{}", blocks, more if rest > 0 else None)


def _run_links(section: Section, runs: Sequence[TaskRun]) -> Html:
    links = [
        html(
            '{}<a href="#{}"><bdi>{}</bdi>{}</a>',
            ", " if place else "",
            section.run_anchor(run),
            run.example.id,
            f" ({run.repetition})" if section.result.repetitions > 1 else "",
        )
        for place, run in enumerate(runs[:_MOST_NAMED])
    ]
    rest = f" and {len(runs) - _MOST_NAMED:,} more" if len(runs) > _MOST_NAMED else ""
    return html("{}{}", links, rest)


def _scores(section: Section) -> Html:
    if not section.scores:
        return Html()
    is_repeated = section.result.repetitions > 1
    is_compared = bool(section.pairs)
    k = max((max(score.pass_at) for score in section.scores if score.pass_at), default=0)
    heads = ["Evaluator", "Mean or pass rate", "Scored", "Missing"]
    heads += ["Spread", f"pass@{k} / pass^{k}" if k else "pass@k / pass^k"] if is_repeated else []
    heads += _COMPARED_HEADS if is_compared else []
    rows = []
    for score in section.scores:
        cells = [
            html("<td>{}</td>", _mean(score)),
            html("<td>{}</td>", f"{score.count:,}"),
            html("<td{}>{}</td>", html(' class="bad"') if score.missing else None, f"{score.missing:,}"),
        ]
        if is_repeated:
            passes = f"{number(score.pass_at[k])} / {number(score.pass_hat[k])}" if k in score.pass_at else DASH
            cells += [html("<td>{}</td>", number(score.spread)), html("<td>{}</td>", passes)]
        if is_compared:
            cells.append(_compared(section.comparison(score.name)))
        rows.append(html('<tr><th scope="row"><bdi>{}</bdi></th>{}</tr>', score.name, cells))
    return html("<h3>Scores</h3>{}", table(heads, rows, label=html('aria-label="Scores"')))


def _mean(score: ScoreSummary) -> Html:
    if score.pass_rate is not None:
        return html('{} <span class="quiet">pass</span>', percent(score.pass_rate))
    if score.mean is None and score.labels:
        ordered = sorted(score.labels.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{label} {size:,}" for label, size in ordered[:5])
        return html("<bdi>{}</bdi>{}", cut(shown, 80), f" and {len(ordered) - 5} others" if len(ordered) > 5 else None)  # noqa: PLR2004
    return html("{}", number(score.mean))


def _compared(comparison: Comparison | None) -> Html:
    if comparison is None or not comparison.pairs:
        return html('<td colspan="6" class="quiet">not in the baseline</td>')
    change = comparison.change or 0.0
    gain = -change if comparison.direction == "minimize" else change
    kind = "worse" if gain < 0 else "better" if gain > 0 else "same"
    lower = html('<br><span class="quiet">lower is better</span>') if comparison.direction == "minimize" else None
    p_value = DASH if comparison.p_value is None else f"{comparison.p_value:.3g}"
    return html(
        '<td>{}<br><span class="quiet">{}</span></td><td class="{}">{}{}</td><td>{}</td>'
        '<td>{}<br><span class="quiet">{}</span></td><td>{}</td><td>{}</td>',
        percent(comparison.before) if comparison.is_bool else number(comparison.before),
        count(len(comparison.pairs), "pair"),
        kind,
        points(comparison.change) if comparison.is_bool else number(comparison.change, signed=True),
        lower,
        interval(comparison.interval, show=points if comparison.is_bool else partial(number, signed=True)),
        p_value,
        comparison.test,
        f"{len(comparison.worse):,}",
        f"{len(comparison.better):,}",
    )


def interval(found: Interval | None, *, show: Callable[[float], str] = number) -> Html:
    """An interval with its confidence and its method."""
    if found is None:
        return html(DASH)
    return html(
        '{} to {}<br><span class="quiet">{}\u202f%, {}</span>',
        show(found.low),
        show(found.high),
        f"{found.confidence * 100:g}",
        found.method,
    )


def _pictures(section: Section) -> Html:
    """How each score is spread, how it stands beside the baseline's, and what time and tokens the runs took."""
    figures = [*_pictures_of_scores(section), *_pictures_of_amounts(section)]
    return html('<h3>Pictures</h3><div class="figures">{}</div>', figures) if figures else Html()


def _pictures_of_scores(section: Section) -> Iterator[Html]:
    said: dict[str, list[float]] = {}
    for run in section.result.runs:
        for one in run.evaluations:
            if one.score is not None:
                said.setdefault(one.name, []).append(one.score)
    for score in section.scores:
        values = said.get(score.name, [])
        if score.labels and (score.pass_rate is not None or not values):
            yield plots.frequencies(score.labels, caption=score.name)
        elif values:
            yield plots.histogram(values, caption=score.name, marks={"mean": score.mean or 0.0})
        comparison = section.comparison(score.name)
        if comparison and comparison.pairs:
            yield plots.versus(comparison)


def _pictures_of_amounts(section: Section) -> Iterator[Html]:
    seconds = [max(0.0, run.seconds) for run in section.result.runs]
    if any(seconds):
        marks = {"p50": percentile(seconds, 0.5), "p95": percentile(seconds, 0.95)}
        caption = "Seconds of the task"
        yield plots.histogram(seconds, caption=caption, show=duration, unit=" s", is_amount=True, marks=marks)
    used = [float(one) for one in section.tokens if one is not None]
    if any(used):
        marks = {"mean": math.fsum(used) / len(used), "p95": percentile(used, 0.95)}
        yield plots.histogram(used, caption="Tokens of a run", show="{:,.0f}".format, is_amount=True, marks=marks)


def _other_examples(section: Section) -> Html:
    """The examples that could not be held against the baseline."""
    baseline = section.baseline
    if not baseline or baseline.note:
        return Html()
    groups = (
        ("added", "not in the baseline", baseline.added),
        ("removed", "in the baseline alone", baseline.removed),
        ("changed", "in both with another content", baseline.changed),
    )
    lists = [
        html(
            '<details class="block"><summary>{} {} <span class="quiet">{}</span></summary>'
            '<p class="ids">{}{}</p></details>',
            count(len(ids), "example"),
            name,
            meaning,
            [html("<code>{}</code> ", one) for one in ids[:_MOST_IDS]],
            f"and {len(ids) - _MOST_IDS:,} more" if len(ids) > _MOST_IDS else None,
        )
        for name, meaning, ids in groups
        if ids
    ]
    return html("<h3>Not compared</h3>{}", lists) if lists else Html()
