"""The head of the page: the verdict in words, the facts of the job, the gates, and one line for each experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evalwire.reports.html.markup import Html, anchor, count, duration, html, number, percent
from evalwire.reports.html.section import Section, interval
from evalwire.usage import cost_usd, tokens

if TYPE_CHECKING:
    from evalwire.model import Report
    from evalwire.verdicts import Baseline, Verdict

_SHARES = ("min_pass_rate", "max_pass_rate", "max_error_rate")
_WHOLE = ("min_examples", "max_total_tokens")
_SIGNS = {"min": "at least", "max": "at most"}


def word(report: Report) -> str:
    """How the job ended, in one word."""
    return {"passed": "PASSED", "interrupted": "INTERRUPTED"}.get(report.outcome, "FAILED")


def pieces(report: Report, sections: Sequence[Section]) -> Iterator[str]:
    """The head of the page."""
    tone = "good" if report.exit_code == 0 else "poor"
    dry = html(' <span class="also">dry run, nothing recorded</span>') if report.dry_run else None
    yield html(
        '<header class="verdict {}"><p class="product">evalwire report</p><h1>{}{}{}</h1><p class="lead">{}</p>'
        '<p class="size">{}</p>{}</header>',
        tone,
        word(report),
        html(' <span class="also">{}</span>', tolerated) if (tolerated := _tolerated(report)) else None,
        dry,
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
    """Why it ended as it did, in one sentence."""
    parts = []
    if red := sum(gate.is_red for gate in report.gates):
        parts.append(f"{red} of {count(len(report.gates), 'gate')} failed")
    if broken := sum(bool(result.problems or result.failure) for result in report.results):
        parts.append(f"{count(broken, 'experiment')} could not run or was stopped")
    expected = sum(result.expected_runs for result in report.results)
    if failed := sum(len(result.failed_runs) for result in report.results):
        parts.append(f"{failed:,} of {count(expected, 'run')} failed")
    if missing := sum(result.not_run for result in report.results):
        parts.append(f"{count(missing, 'run')} {'was' if missing == 1 else 'were'} not made")
    if report.undelivered:
        parts.append(f"{count(report.undelivered, 'record')} did not reach Phoenix")
    told = f"{', '.join(parts)}." if parts else ""
    match report.outcome:
        case "passed" if not parts:
            gates = "; every gate held" if report.gates else ""
            return f"Every example ran, and every evaluator scored every output{gates}."
        case "passed":
            return f"All that was asked for held; {told}"
        case "infrastructure":
            return f"Phoenix, or something else around the job, did not work. {_capital(told)}"
        case "nothing_to_run":
            return f"There was nothing to run. {_capital(told)}"
        case "interrupted":
            return f"The job was stopped before its end. {_capital(told)}"
    return _capital(told) or "An evaluator did not judge every run in the same way."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    heads = ("Result", "Gate", "Value", "Limit", "Interval, two-sided", "p, one-sided, Holm-corrected", "In words")
    return html(
        '<section aria-labelledby="gates"><h2 id="gates">Gates</h2>'
        '<div class="wide" tabindex="0" role="region" aria-labelledby="gates"><table class="gates">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></section>",
        [html('<th scope="col">{}</th>', head) for head in heads],
        rows,
    )


def _gate(gate: Verdict, target: str | None) -> Html:
    tone = "failed" if gate.is_red else "passed" if gate.status == "passed" else "unsure"
    experiment = html('<a href="#{}"><bdi>{}</bdi></a>', target, gate.experiment) if target else html("{}", gate.experiment)
    drop = gate.rule == "max_drop"
    return html(
        '<tr><td><span class="state {}">{}</span></td><th scope="row"><bdi>{}</bdi><br><span class="quiet">{}</span></th>'
        '<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class="words">{}<br><span class="quiet">{}</span></td></tr>',
        tone,
        gate.status,
        gate.name,
        experiment,
        html("{}{}", "drop " if drop and gate.value is not None else "", _amount(gate, gate.value)),
        f"{_SIGNS[gate.rule[:3]]} {_amount(gate, gate.threshold)}",
        interval(gate.interval, signed=drop),
        "–" if gate.p_value is None else f"{gate.p_value:.3g}",
        gate.text,
        gate.source,
    )


def _amount(gate: Verdict, value: float | None) -> str:
    """A gate's value or its limit, in the rule's unit."""
    if value is None:
        return "–"
    if gate.rule in _SHARES:
        return percent(value)
    if gate.rule in _WHOLE:
        return f"{value:,.0f}"
    if gate.rule == "max_p95_seconds":
        return duration(value)
    return f"${value:,.4f}" if gate.rule == "max_cost_usd" else number(value)


def _experiments(report: Report, sections: Sequence[Section]) -> Html:
    has_tokens = any(section.result.usage and tokens(section.result.usage) for section in sections)
    heads = ["Experiment", "Result", "Examples", "Failed", "Not run", "Gates", "Baseline", "Time"]
    heads += ["Tokens", "Cost"] if has_tokens else []
    rows = []
    for section in sections:
        result = section.result
        gates = report.gates_of(result.name)
        red = sum(gate.is_red for gate in gates)
        cells = [
            html('<td><span class="state {0}">{0}</span></td>', section.state),
            _number(f"{result.example_count:,}" + (f" × {result.repetitions}" if result.repetitions > 1 else "")),
            _number(f"{len(result.failed_runs):,}", is_bad=bool(result.failed_runs)),
            _number(f"{result.not_run:,}", is_bad=bool(result.not_run)),
            _number(f"{red} of {len(gates)} failed" if red else f"{len(gates)} held" if gates else "–", is_bad=bool(red)),
            html('<td class="words">{}</td>', _baseline(section.baseline)),
            _number(duration(result.seconds)),
        ]
        if has_tokens:
            usage = result.usage or ()
            cost, unknown = cost_usd(usage, report.prices)
            cells.append(_number(f"{tokens(usage):,}" if result.usage is not None else "–"))
            cells.append(_number("–" if result.usage is None else f"${cost:,.4f}" + (" +" if unknown else "")))
        rows.append(
            html('<tr><th scope="row"><a href="#{}"><bdi>{}</bdi></a></th>{}</tr>', section.anchor, result.name, cells)
        )
    return html(
        '<section aria-labelledby="experiments"><h2 id="experiments">Experiments</h2>'
        '<div class="wide" tabindex="0" role="region" aria-labelledby="experiments"><table>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></section>",
        [html('<th scope="col">{}</th>', head) for head in heads],
        rows,
    )


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
