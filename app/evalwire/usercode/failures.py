"""Conversion of exceptions to `Failure`s that point to a line of the user's code."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.model import Failure, FailureKind, FailureStage
from evalwire.usercode.chains import cause_of, has_own_attributes, name_of, slot
from evalwire.usercode.hints import hint_for

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE_DIR = str(Path(__file__).parent.parent) + os.sep


def failure_of(
    error: BaseException, *, stage: FailureStage, kind: FailureKind = "user", root: Path | None = None
) -> Failure:
    """Convert an exception to a failure that points to the last line in `root`, the project's directory.

    Without a frame in `root`, the failure points to the last frame outside evalwire. If the exception's attributes
    cannot be read, the failure has only its type, its text and the lines that raised it.
    """
    if has_own_attributes(error):
        return _least_of(error, stage, kind, root)
    try:
        return _failure_of(error, stage, kind, root)
    except BaseException:  # from attributes of the user's classes
        return _least_of(error, stage, kind, root)


def _failure_of(error: BaseException, stage: FailureStage, kind: FailureKind, root: Path | None) -> Failure:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a TaskGroup's wrapper adds no information
    captured = traceback.TracebackException.from_exception(error, capture_locals=False)
    frames = _without_our_frames(captured)
    where = _location(frames, root)
    below = str(root) + os.sep if root else ""
    if isinstance(error, SyntaxError) and error.filename and (not where or _is_users(error.filename, below)):
        where = f"{error.filename}:{error.lineno}"
    return Failure(
        kind=kind,
        stage=stage,
        type=name_of(type(error)),
        message=_with_hint(error),
        cause=_cause_of(error),
        where=where,
        traceback=_format(captured, error),
    )


def _least_of(error: BaseException, stage: FailureStage, kind: FailureKind, root: Path | None) -> Failure:
    """Return a failure from data that a user's class cannot change: the type, and the lines that raised it."""
    frames = [frame for frame in traceback.extract_tb(slot(error, "__traceback__")) if not _is_ours(frame)]
    lines = "".join(traceback.format_list(frames))
    text = f"{name_of(type(error))}: {_text_of(error)}"
    return Failure(
        kind=kind,
        stage=stage,
        type=name_of(type(error)),
        message=_text_of(error),
        where=_location(frames, root),
        traceback=f"{lines}{text}\n",
    )


def _location(frames: Sequence[traceback.FrameSummary], root: Path | None) -> str | None:
    """Return `file:line` of the last frame in `root`, or else of the last frame."""
    below = str(root) + os.sep if root else None
    named = [frame for frame in frames if below and _is_users(frame.filename, below)] or frames
    return f"{named[-1].filename}:{named[-1].lineno}" if named else None


def _without_our_frames(captured: traceback.TracebackException) -> list[traceback.FrameSummary]:
    """Remove evalwire's own frames from a traceback and from its causes; return the remaining frames."""
    left: list[traceback.TracebackException | None] = [captured]
    while left:
        if (link := left.pop()) is not None:
            kept = [frame for frame in link.stack if not _is_ours(frame)]
            link.stack = traceback.StackSummary.from_list(kept)
            left += [link.__cause__, link.__context__, *(link.exceptions or ())]
    return list(captured.stack)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith((_PACKAGE_DIR, "<frozen importlib"))


def _format(captured: traceback.TracebackException, error: BaseException) -> str:
    """Format a traceback, even if an exception's `__str__` raises."""
    try:
        return "".join(captured.format()).removeprefix("Traceback (most recent call last):\n")
    except BaseException:
        return f"{name_of(type(error))}: {_text_of(error)}\n"


def _cause_of(error: BaseException) -> str | None:
    """Return the first cause of an exception or, for a group, its members; None without either."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(f"{name_of(type(member))}: {_text_of(member)}" for member in error.exceptions)
    seen = {id(error)}
    first, cause = error, cause_of(error)
    while cause is not None and id(cause) not in seen:  # an exception may be raised from itself
        seen.add(id(cause))
        first, cause = cause, cause_of(cause)
    return f"{name_of(type(first))}: {_text_of(first)}" if first is not error else None


def _is_users(file: str, directory: str) -> bool:
    """Check whether a file is in `directory`, but not in a virtual environment there."""
    return file.startswith(directory) and not {"site-packages", "dist-packages"}.intersection(Path(file).parts)


def _with_hint(error: BaseException) -> str:
    hint = hint_for(error, slot(error, "__traceback__"))
    return f"{_text_of(error)}; {hint}" if hint else _text_of(error)


def _text_of(error: BaseException) -> str:
    """Return an exception's message, or a placeholder if its `__str__` raises."""
    try:
        return str.__str__(str(error))
    except BaseException as broken:
        return f"<its message cannot be shown: {name_of(type(broken))}>"
