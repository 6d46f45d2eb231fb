"""What the kill, resume, restart and soak tests counted; printed at the end of the suite and quoted in the documents."""

from __future__ import annotations

COUNTS: dict[str, int] = {}  # summed over the suite: kills, calls not made again, losses, ...
FIGURES: dict[str, str] = {}  # measured once: memory and time of the soak, ...


def tally(**counts: int) -> None:
    """Add to the counts: `tally(kills=1, resumes=1)`."""
    for name, number in counts.items():
        COUNTS[name] = COUNTS.get(name, 0) + number


def measured(**figures: str) -> None:
    """Note a figure: `measured(soak_memory="...")`."""
    FIGURES.update(figures)
