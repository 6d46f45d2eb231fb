"""Show the gates: failed gates in columns and sentences, and the number of passed gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from evalwire.model import count, score_text
from evalwire.reports.amounts import change_interval, limit_text, prices_date, value_text
from evalwire.reports.console.wrapping import Line
from evalwire.reports.text import gate_sentence, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import GateResult, Report

_HEADS = ("failed gates", "before", "now", "limit")


def gate_lines(report: Report, *, verbose: bool, color: bool) -> Iterator[Line]:
    """Yield the failed gates, then gates that could not be decided, then the passed gates; or why none was applied.

    Args:
        report: report to show.
        verbose: whether to list passed gates, not only their number.
        color: whether the terminal has colors; without them, brackets mark the value that failed.
    """
    if report.gates_note:
        yield Line(report.gates_note)
    failed = [gate for gate in report.gates if gate.is_red]
    undecided = [gate for gate in report.gates if not gate.is_red and gate.status != "passed"]
    passed = [gate for gate in report.gates if not gate.is_red and gate.status == "passed"]
    if failed:
        yield from _failed(report, failed, color=color)
    for gate in undecided:
        yield _sentence(gate, gate_sentence(gate))
    if verbose:
        for gate in passed:
            yield _sentence(gate, f"passed: {gate.text}{_statistics(gate)}")
    elif passed:
        yield Line(f"{count(len(passed), 'gate')} passed (-v lists passed gates)")
    shown = report.gates if verbose else [*failed, *undecided]
    if any(gate.rule == "max_cost_usd" for gate in shown) and (date := prices_date(report)):
        yield Line(f"prices of {date}")


def _failed(report: Report, gates: Sequence[GateResult], *, color: bool) -> Iterator[Line]:
    rows = [(_name(gate), *_values(report, gate, color=color)) for gate in gates]
    widths = [max(map(cell_len, column)) for column in zip(*rows, _HEADS, strict=True)]
    yield Line(_in_columns(_HEADS, widths), style="dim")
    for gate, row in zip(gates, rows, strict=True):
        yield Line(_in_columns(row, widths, style="bold red"))
        yield Line(
            plain(f"{gate.status}: {gate.text}" if gate.status != "failed" else gate.text) + _statistics(gate), 4
        )


def _in_columns(cells: Sequence[str], widths: Sequence[int], *, style: str = "") -> Text:
    name, before, now, limit = cells
    text = Text(set_cell_size(name, widths[0]), style=style and "red").append(f"  {before:>{widths[1]}}  ")
    return text.append(f"{now:>{widths[2]}}", style=style).append(f"  {limit}")


def _name(gate: GateResult) -> str:
    return f"{plain(gate.experiment)}  {plain(gate.evaluation or gate.rule)}"


def _values(report: Report, gate: GateResult, *, color: bool) -> tuple[str, str, str]:
    """Return the value of the baseline, the value of this run, and the limit."""
    before, now = "", value_text(gate)
    baseline = report.baseline_of(gate.experiment)
    compared = baseline.comparison(gate.evaluation or "") if baseline else None
    if gate.rule == "max_drop":
        before = score_text(compared.before, is_rate=gate.is_rate) if compared and gate.value is not None else "-"
        now = score_text(compared.after, is_rate=gate.is_rate) if compared and gate.value is not None else "-"
    return before, now if color else f"[{now}]", limit_text(gate)


def _sentence(gate: GateResult, sentence: str) -> Line:
    return Line(plain(sentence), indent=2, label=Text(f"{plain(gate.experiment)}  "))


def _statistics(gate: GateResult) -> str:
    """Return the interval of a change and the p-value, as a clause; empty without them."""
    parts = []
    if gate.rule == "max_drop" and gate.interval is not None:
        change = change_interval(gate.interval, is_rate=gate.is_rate)
        parts.append(f"change {change} (two-sided {gate.interval.confidence:.0%} interval)")
    if gate.p_value is not None:
        parts.append(f"one-sided p = {gate.p_value:.3g}")
    return "".join(f"; {part}" for part in parts)
