"""Build gate results and the sentence parts that all gates share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import GateResult, score_text

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import ExperimentResult, Interval, Status

SLACK = 1e-9  # a rounding error does not fail a gate


def passed_or_failed(
    gate: Gate,
    value: float | None,
    text: str,
    *,
    failed: bool,
    interval: Interval | None = None,
    is_rate: bool = False,
) -> GateResult:
    """Return the result of a gate that either passed or failed."""
    status: Status = "failed" if failed else "passed"
    return gate_result(gate, status, is_red=failed, text=text, value=value, interval=interval, is_rate=is_rate)


def gate_result(
    gate: Gate,
    status: Status,
    *,
    is_red: bool,
    text: str,
    value: float | None = None,
    interval: Interval | None = None,
    p_value: float | None = None,
    is_rate: bool = False,
    minimum_detectable: float | None = None,
) -> GateResult:
    """Return the result of a gate, with the fields of the gate filled in."""
    return GateResult(
        experiment=gate.experiment,
        evaluation=gate.evaluation,
        rule=gate.rule,
        label=gate.label,
        threshold=gate.threshold,
        status=status,
        is_red=is_red,
        value=value,
        interval=interval,
        p_value=p_value,
        text=text,
        source=gate.source,
        is_rate=is_rate,
        is_relative=gate.is_relative and gate.rule == "max_drop",
        minimum_detectable=minimum_detectable,
        is_corrected=gate.is_corrected,
    )


def hint(result: ExperimentResult) -> str:
    """List the available scores, for a gate on a missing score."""
    names = ", ".join(score.name for score in result.scores if score.mean is not None)
    return f"; available scores: {names}" if names else ""


def apart(value: float, limit: float, *, is_rate: bool) -> str:
    """Return a value as text, with enough decimals to differ from a limit that it does not equal."""
    text = score_text(value, is_rate=is_rate)
    unit, size = (100, "%") if is_rate else (1, "")
    for digits in range(2, 9) if abs(value - limit) > SLACK else ():
        if float(text.removesuffix("%")) != float(f"{limit * unit:.10g}"):
            break
        text = f"{value * unit:.{digits}f}{size}"
    return text


def percent(share: float) -> str:
    """Return a share as a percentage, such as `5%`."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"
