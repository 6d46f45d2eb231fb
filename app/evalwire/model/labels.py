"""Labels: what people say about the outputs of runs."""

from __future__ import annotations

from dataclasses import dataclass

PASSED, FAILED = "pass", "fail"
"""The labels that evalwire writes; `label_value` also reads other words."""

_VALUES = {
    **dict.fromkeys((PASSED, "passed", "true", "yes", "correct", "good", "1"), 1.0),
    **dict.fromkeys((FAILED, "failed", "false", "no", "incorrect", "bad", "0"), 0.0),
}

LABEL_WORDS = tuple(word for word in _VALUES if not word.isdigit())


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A person's verdict on an output.

    Attributes:
        value: 1 for a pass and 0 for a failure, or a score.
        example_id: the ID of the example; empty if the run has an ID.
        repetition: the number of the run among the example's runs, from 1; None if it is not given.
        experiment_id: Phoenix's ID of the experiment; empty if it is not given.
        run_id: Phoenix's ID of the run; empty if it is not given.
        annotator: the name of the person; empty if it is not given.
        is_score: whether the person gave a score instead of a label.
        note: the reason that the person gave; empty without a reason.
        place: the row of the file, for messages; empty for an annotation in Phoenix.
    """

    value: float
    example_id: str = ""
    repetition: int | None = None
    experiment_id: str = ""
    run_id: str = ""
    annotator: str = ""
    is_score: bool = False
    note: str = ""
    place: str = ""

    @property
    def word(self) -> str:
        """The label as evalwire writes it; empty for a score."""
        return "" if self.is_score else PASSED if self.value else FAILED


def label_value(word: str) -> float | None:
    """Return 1 for a word that means a pass, 0 for a word that means a failure, and None for any other text."""
    return _VALUES.get(word.strip().casefold())
