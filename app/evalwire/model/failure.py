"""Why something did not work, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FailureStage = Literal["import", "open", "task", "evaluator", "record", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something of the user's, or of the world around it, did not work; a value, never raised.

    Attributes:
        stage: where in the run it happened.
        type: the exception's class name, such as `KeyError`.
        message: the exception's text.
        cause: the first exception of a chain (`raise ... from ...`), or those in a group; None when it stands alone.
        where: `file:line` of the last frame in the user's code, or None where there is no such frame.
        traceback: the formatted traceback without evalwire's own frames; may be empty.
    """

    stage: FailureStage
    type: str
    message: str
    cause: str | None = None
    where: str | None = None
    traceback: str = ""

    def __str__(self) -> str:
        text = f"{self.type}: {self.message}" if self.message else self.type
        if self.cause:
            text += f" (from {self.cause})"
        return f"{text} ({self.where})" if self.where else text
