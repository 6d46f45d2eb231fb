"""A person's labeling of outputs: the answers so far, each saved before the next."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from evalwire.model import FAILED, PASSED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.labeling.outputs import Answer, Field, Output

LONGEST_NOTE = 4_000
"""The maximum number of characters of a note."""


class Labeling:
    """A person's labeling of outputs in a fixed order; safe for threads.

    Args:
        title: the texts of the page's head, by name.
        outputs: the outputs in the order of labeling.
        answers: the answers of earlier sessions, by the ID of the run.
        save: saves an answer permanently; raises an exception otherwise.
        pending: returns the number of labels that Phoenix does not have.
    """

    def __init__(
        self,
        title: Mapping[str, str],
        outputs: Sequence[Output],
        answers: Mapping[str, Answer],
        *,
        save: Callable[[Output, Answer], object],
        pending: Callable[[], int] = lambda: 0,
    ) -> None:
        self._title = dict(title)
        self._outputs = outputs
        self._answers = {output.run_id: answers[output.run_id] for output in outputs if output.run_id in answers}
        self._save = save
        self._pending = pending
        self._lock = threading.Lock()
        self.is_done = threading.Event()

    def answer(self, place: int, answer: Answer) -> None:
        """Save an answer.

        Args:
            place: the place of the output in the order, from 0.
            answer: `pass`, `fail`, or empty to skip the output or take the label back.

        Raises:
            ValueError: the output does not exist, or the answer is invalid.
            Exception: the answer was not saved.
        """
        if not 0 <= place < len(self._outputs):
            raise ValueError(f"output {place} does not exist")
        if answer.word not in (PASSED, FAILED, ""):
            raise ValueError("the label is not pass, fail or empty")
        if len(answer.note) > LONGEST_NOTE:
            raise ValueError(f"the note has more than {LONGEST_NOTE:,} characters")
        output = self._outputs[place]
        with self._lock:
            self._save(output, answer)
            self._answers[output.run_id] = answer

    def state(self) -> dict[str, Any]:
        """Return the title and the answers in the order of labeling; None for an output that was not shown."""
        with self._lock:
            found = [self._answers.get(output.run_id) for output in self._outputs]
        answers = [None if answer is None else {"word": answer.word, "note": answer.note} for answer in found]
        return {"title": self._title, "answers": answers, "pending": self._pending()}

    def output(self, place: int) -> dict[str, Any]:
        """Return the texts of an output.

        Raises:
            ValueError: the output does not exist.
        """
        if not 0 <= place < len(self._outputs):
            raise ValueError(f"output {place} does not exist")
        output = self._outputs[place]
        return {
            "input": _named(output.input),
            "expected": _named(output.expected),
            "output": _named(output.output),
        }

    @property
    def labeled(self) -> int:
        """The number of outputs with a label."""
        with self._lock:
            return sum(bool(answer.word) for answer in self._answers.values())


def _named(fields: Sequence[Field]) -> list[dict[str, str]]:
    return [{"name": name, "text": text} for name, text in fields]
