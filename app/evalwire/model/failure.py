"""Why something did not work, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal["user", "phoenix", "evalwire"]
FailureStage = Literal["import", "open", "task", "evaluator", "record", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something did not work; a value, never raised.

    Attributes:
        kind: whose failure it is: the user's code or data, Phoenix, or the job itself (`evalwire`), such as an
            interruption. It is set where the failure is made, and decides the outcome of the job.
        stage: where in the run it happened.
        type: the exception's class name, such as `KeyError`.
        message: the exception's text.
        cause: the first exception of a chain (`raise ... from ...`), or those in a group; None when it stands alone.
        where: `file:line` of the last frame in the user's code, or None where there is no such frame.
        traceback: the formatted traceback without evalwire's own frames; may be empty.
    """

    kind: FailureKind
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


# what failures of Phoenix were called in files that have no `kind`
_PHOENIX_TYPES = frozenset({"PhoenixError", "PhoenixRefused", "PhoenixUnreachable", "RecordsMissing", "RunTaken"})


def kind_without_record(stage: str, type_: str) -> FailureKind:
    """Return the kind of a failure from a file that was written before failures had one."""
    if stage in ("open", "record") and type_ in _PHOENIX_TYPES:
        return "phoenix"
    return "evalwire" if stage == "interrupted" or type_ in ("Interrupted", "ShardsMissing") else "user"
