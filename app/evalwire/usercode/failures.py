"""What became of an exception: a `Failure` that points at the user's own line."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from evalwire.model import Failure, FailureKind, FailureStage

_PACKAGE_DIR = str(Path(__file__).parent.parent) + os.sep


def failure_of(
    error: BaseException, *, stage: FailureStage, kind: FailureKind = "user", root: Path | None = None
) -> Failure:
    """Turn an exception of the user's code into a value, pointing at the last line below `root` (the project's folder).

    Without a frame below `root`, the last frame outside evalwire is named instead.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a TaskGroup's wrapping says nothing
    told = traceback.TracebackException.from_exception(error, capture_locals=False)
    frames = _without_our_frames(told)
    below = str(root) + os.sep if root else None
    named = [frame for frame in frames if below and _is_users(frame.filename, below)] or frames
    where = f"{named[-1].filename}:{named[-1].lineno}" if named else None
    if isinstance(error, SyntaxError) and error.filename and (not named or _is_users(error.filename, below or "")):
        where = f"{error.filename}:{error.lineno}"
    return Failure(
        kind=kind,
        stage=stage,
        type=type(error).__name__,
        message=_text_of(error),
        cause=_cause_of(error),
        where=where,
        traceback=_format(told, error),
    )


def _without_our_frames(told: traceback.TracebackException) -> list[traceback.FrameSummary]:
    """Take evalwire's own frames out of a traceback, and of those of its causes; the frames that are left."""
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _without_our_frames(other)
    kept = [frame for frame in told.stack if not frame.filename.startswith((_PACKAGE_DIR, "<frozen importlib"))]
    told.stack = traceback.StackSummary.from_list(kept)
    return kept


def _format(told: traceback.TracebackException, error: BaseException) -> str:
    """A traceback as text, also when an exception's `__str__` is broken."""
    try:
        return "".join(told.format()).removeprefix("Traceback (most recent call last):\n")
    except Exception:
        return f"{type(error).__name__}: {_text_of(error)}\n"


def _cause_of(error: BaseException) -> str | None:
    """Return what an exception was raised from or, for a group, what is in it; None when it stands alone."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(f"{type(one).__name__}: {_text_of(one)}" for one in error.exceptions)
    cause = error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: {_text_of(cause)}" if cause is not None else None


def _is_users(file: str, folder: str) -> bool:
    """Check whether a file lies below `folder` and is not part of a virtual environment there."""
    return file.startswith(folder) and not {"site-packages", "dist-packages"}.intersection(Path(file).parts)


def _text_of(error: BaseException) -> str:
    """An exception's message, also when its `__str__` is broken."""
    try:
        return str(error)
    except BaseException as broken:
        return f"<its message cannot be shown: {type(broken).__name__}>"
