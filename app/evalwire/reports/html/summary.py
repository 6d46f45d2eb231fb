"""The head of the page: the verdict in words, the facts of the job, the gates, and one line for each experiment."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from evalwire.model import token_count, usage_cost_usd
from evalwire.reports.html.markup import DASH, TIMES, Html, anchor, count, duration, html, number, percent, table
from evalwire.reports.html.section import Section, interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Baseline, GateResult, Report

_SHARES = ("min_pass_rate", "max_pass_rate", "max_error_rate")
_WHOLE = ("min_examples", "max_total_tokens")
_GATE_HEADS = ("Result", "Gate", "Value", "Limit", "Interval, two-sided", "p, one-sided, Holm-corrected", "In words")
_SIGNS = {"min": "at least", "max": "at most"}


def word(report: Report) -> str:
    """How the job ended, in one word."""
    return {"passed": "PASSED", "interrupted": "INTERRUPTED"}.get(report.outcome, "FAILED")


def pieces(report: Report, sections: Sequence[Section]) -> Iterator[str]:
    """The head of the page."""
    tone = "good" if report.exit_code == 0 else "poor"
    scope = html(' <span class="also">{}</span>', report.scope) if report.scope else None
    yield html(
        '<header class="verdict {}"><p class="product">evalwire report</p><h1>{}{}{}</h1><p class="lead">{}</p>'
        '<p class="size">{}</p>{}</header>',
        tone,
        word(report),
        html(' <span class="also">{}</span>', tolerated) if (tolerated := _tolerated(report)) else None,
        scope,
        reason(report),
        _size(report),
        _facts(report),
    )
    yield '<main id="content">'
    yield from (html('<p class="note">{}</p>', note) for note in _notes(report))
    if report.gates:
        yield _gates(report, sections)
    if sections:
        yield _experiments(report, sections)


def _tolerated(report: Report) -> str:
    """The failures that a gate of the user's allowed, which belong beside the verdict."""
    held = [gate for gate in report.gates if gate.rule == "max_error_rate" and gate.threshold > 0 and not gate.is_red]
    told = [
        f"{percent(gate.value)} of the runs of {gate.experiment} failed, {percent(gate.threshold)} tolerated"
        for gate in held
        if gate.value
    ]
    return "; ".join(told)


def reason(report: Report) -> str:
    """Why it ended as it did, in a sentence or two."""
    found = ", ".join(_broken(report))
    told = f"{found[:1].upper()}{found[1:]}." if found else ""
    match report.outcome:
        case "passed" if not found:
            gates = "; no gate failed" if report.gates else ""
            return f"Every example ran, and every evaluator scored every output{gates}."
        case "passed":
            return f"All that was asked for held; {found}."
        case "infrastructure":
            return f"Phoenix, or something else around the job, did not work. {told}"
        case "nothing_to_run":
            return f"There was nothing to run. {told}"
        case "interrupted":
            return f"The job was stopped before its end. {told}"
    return told or "An evaluator did not judge every run in the same way."


def _broken(report: Report) -> Iterator[str]:
    """What did not hold, counted."""
    if red := sum(gate.is_red for gate in report.gates):
        yield f"{red} of {count(len(report.gates), 'gate')} failed"
    if broken := sum(bool(result.problems or result.failure) for result in report.results):
        yield f"{count(broken, 'experiment')} could not run to the end"
    if failed := sum(len(result.failed_runs) for result in report.results):
        yield f"{failed:,} of {count(sum(result.expected_runs for result in report.results), 'run')} failed"
    if missing := sum(result.not_run for result in report.results):
        yield f"{count(missing, 'run')} not made"
    if report.undelivered:
        yield f"{count(report.undelivered, 'record')} did not reach Phoenix"


def _size(report: Report) -> str:
    examples = sum(result.example_count for result in report.results)
    runs = sum(len(result.runs) for result in report.results)
    repeated = [count(runs, "run")] if runs != examples else []
    return " · ".join(
        [
            count(len(report.results), "experiment"),
            count(examples, "example"),
            *repeated,
            duration(report.seconds),
        ]
    )


def _facts(report: Report) -> Html:
    ci = report.ci
    facts = [
        ("Began", html("{}", f"{report.started_at:%Y-%m-%d %H:%M:%S} {report.started_at:%Z}")),
        ("Branch", html("<bdi>{}</bdi>", ci["branch"]) if ci.get("branch") else None),
        ("Commit", html("<code>{}</code>", str(ci["commit"])[:12]) if ci.get("commit") else None),
        ("Job", anchor(ci["job_url"], str(ci.get("ci") or "CI")) if ci.get("job_url") else None),
        ("Phoenix", anchor(report.endpoint, report.endpoint) if report.endpoint else None),
        ("evalwire", html("{}", report.evalwire_version) if report.evalwire_version else None),
    ]
    return html(
        '<dl class="job">{}</dl>',
        [html("<div><dt>{}</dt><dd>{}</dd></div>", name, value) for name, value in facts if value],
    )


def _notes(report: Report) -> Iterator[Html]:
    """What else the reader has to know."""
    if report.undelivered and report.journal:
        yield html("Records that did not reach Phoenix are in the journal <code>{}</code>.", report.journal)
    elif report.undelivered:
        yield html("Records did not reach Phoenix, and there is no journal of them.")
    elif report.journal and any(result.not_run for result in report.results if result.opened):
        yield html("To make the runs that were not made: <code>evalwire resume {}</code>", report.journal)
    if report.lost_spans:
        yield html("{} of traces did not reach Phoenix.", count(report.lost_spans, "span"))
    if report.abandoned_threads:
        yield html("{} still ran when the time was up.", count(report.abandoned_threads, "plain function"))


def _gates(report: Report, sections: Sequence[Section]) -> Html:
    numbers = {section.result.name: section.anchor for section in sections}
    rows = [_gate(gate, numbers.get(gate.experiment)) for gate in sorted(report.gates, key=lambda one: not one.is_red)]
    head = html("{}", [html('<th role="columnheader" scope="col">{}</th>', one) for one in _GATE_HEADS])
    return html(
        '<section aria-labelledby="gates"><h2 id="gates">Gates</h2>'
        '<div class="wide" tabindex="0" role="region" aria-labelledby="gates">'
        '<table class="gates" role="table" aria-labelledby="gates">'
        '<thead role="rowgroup"><tr role="row">{}</tr></thead><tbody role="rowgroup">{}</tbody>'
        "</table></div></section>",
        head,
        rows,
    )


def _gate(gate: GateResult, target: str | None) -> Html:
    tone = "failed" if gate.is_red else "passed" if gate.status == "passed" else "unsure"
    drop = gate.rule == "max_drop"
    name = html("<bdi>{}</bdi>", gate.experiment)
    experiment = html('<a href="#{}">{}</a>', target, name) if target else name
    evaluation = html("<bdi>{}</bdi>", gate.evaluation) if gate.evaluation else None
    cells = (
        html('<span class="state {}">{}</span>', tone, gate.status),
        html('<b>{} {}</b><br><span class="quiet">{}</span>', evaluation, gate.rule, experiment),
        html("{}{}", "drop " if drop and gate.value is not None else None, _amount(gate, gate.value)),
        html("{}", f"{_SIGNS[gate.rule[:3]]} {_amount(gate, gate.threshold)}"),
        interval(gate.interval, show=partial(number, signed=drop)),
        html("{}", DASH if gate.p_value is None else f"{gate.p_value:.3g}"),
        html('<bdi>{}</bdi><br><span class="quiet"><bdi>{}</bdi></span>', gate.text, gate.source),
    )
    return html(
        '<tr role="row">{}</tr>',
        [
            html(
                '<td role="cell" data-head="{}"{}>{}</td>',
                head,
                html(' class="words"') if cell is cells[-1] else None,
                html("<div>{}</div>", cell),
            )
            for head, cell in zip(_GATE_HEADS, cells, strict=True)
        ],
    )


def _amount(gate: GateResult, value: float | None) -> str:
    """A gate's value or its limit, in the rule's unit."""
    if value is None:
        return DASH
    if gate.rule in _SHARES:
        return percent(value)
    if gate.rule in _WHOLE:
        return f"{value:,.0f}"
    if gate.rule == "max_p95_seconds":
        return duration(value)
    return f"${value:,.4f}" if gate.rule == "max_cost_usd" else number(value)


def _experiments(report: Report, sections: Sequence[Section]) -> Html:
    has_tokens = any(section.usage and token_count(section.usage) for section in sections)
    heads = ["Experiment", "Result", "Examples", "Failed", "Not run", "Gates", "Baseline", "Time"]
    heads += ["Tokens", "Cost"] if has_tokens else []
    rows = []
    for section in sections:
        result = section.result
        gates = report.gates_of(result.name)
        red = sum(gate.is_red for gate in gates)
        held = f"{red} of {len(gates)} failed" if red else _statuses(gates)
        cells = [
            html('<td><span class="state {0}">{0}</span></td>', section.state),
            _number(f"{result.example_count:,}" + (f" {TIMES} {result.repetitions}" if result.repetitions > 1 else "")),
            _number(f"{len(result.failed_runs):,}", is_bad=bool(result.failed_runs)),
            _number(f"{result.not_run:,}", is_bad=bool(result.not_run)),
            _number(held, is_bad=bool(red)),
            html('<td class="words">{}</td>', _baseline(section.baseline)),
            _number(duration(result.seconds)),
        ]
        if has_tokens:
            usage = section.usage or ()
            cost, unknown = usage_cost_usd(usage, report.prices)
            cells.append(_number(f"{token_count(usage):,}" if section.usage is not None else DASH))
            cells.append(_number(DASH if section.usage is None else f"${cost:,.4f}" + (" +" if unknown else "")))
        rows.append(
            html('<tr><th scope="row"><a href="#{}"><bdi>{}</bdi></a></th>{}</tr>', section.anchor, result.name, cells)
        )
    return html(
        '<section aria-labelledby="experiments"><h2 id="experiments">Experiments</h2>{}</section>',
        table(heads, rows, label=html('aria-labelledby="experiments"')),
    )


def _statuses(gates: Sequence[GateResult]) -> str:
    return ", ".join(f"{size} {status}" for status, size in Counter(gate.status for gate in gates).items()) or DASH


def _number(shown: str, *, is_bad: bool = False) -> Html:
    return html("<td{}>{}</td>", html(' class="bad"') if is_bad else None, shown)


def _baseline(baseline: Baseline | None) -> Html:
    """What an experiment was compared with, or why with nothing."""
    if baseline is None:
        return html('<span class="quiet">not compared</span>')
    if baseline.note:
        return html("{}", baseline.note)
    name = baseline.recorded_name or baseline.experiment_id or baseline.asked
    origin = [part for part in (baseline.branch, (baseline.commit or "")[:12]) if part]
    return html(
        '<bdi>{}</bdi><br><span class="quiet"><bdi>{}</bdi></span>',
        anchor(baseline.url, name),
        ", ".join([*origin, f"{baseline.paired:,} paired", f"chosen by {baseline.asked}"]),
    )
