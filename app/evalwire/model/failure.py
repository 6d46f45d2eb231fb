"""Failures as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal["user", "phoenix", "evalwire", "budget"]
FailureStage = Literal["import", "open", "task", "evaluator", "record", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A description of an error; a value that is never raised.

    Attributes:
        kind: the source of the failure: the user's code or data (`user`), Phoenix, the job itself (`evalwire`), for
            example an interruption, or its `budget`. The code that creates the failure sets it. It decides the outcome
            of the job.
        stage: the stage of the run in which the failure occurred.
        type: the exception's class name, for example `KeyError`.
        message: the exception's text.
        cause: the first exception of a chain (`raise ... from ...`), or the exceptions of a group; None without either.
        where: `file:line` of the last frame in the user's code; None without a frame there.
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


# types of Phoenix failures in files from before `kind` existed
_PHOENIX_TYPES = frozenset({"PhoenixError", "PhoenixRefused", "PhoenixUnreachable", "RecordsMissing", "RunTaken"})


def kind_without_record(stage: str, type_: str) -> FailureKind:
    """Return the kind of a failure from a file that was written before `kind` existed."""
    if stage in ("open", "record") and type_ in _PHOENIX_TYPES:
        return "phoenix"
    return "evalwire" if stage == "interrupted" or type_ in ("Interrupted", "ShardsMissing") else "user"
