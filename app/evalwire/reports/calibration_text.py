"""Say of each evaluation by a language model whether people calibrated it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.text import plain

if TYPE_CHECKING:
    from evalwire.model import Report


def calibration_sentences(report: Report) -> list[str]:
    """Return a sentence for each calibrated evaluation, and a single sentence for all others."""
    several = len(report.results) > 1

    def name(experiment: str, evaluation: str) -> str:
        return plain(f"{experiment}.{evaluation}" if several else evaluation)

    known = [state for state in report.calibrations if state.date]
    unknown = [state for state in report.calibrations if not state.date]
    found = [f"{name(state.experiment, state.evaluation)} {plain(state.text)}" for state in known]
    if unknown:
        names = ", ".join(name(state.experiment, state.evaluation) for state in unknown)
        found.append(
            f"{names} not calibrated: to compare with people, use `evalwire label {plain(unknown[0].evaluation)}`"
        )
    return found
