"""Hints for errors of user code whose messages do not suggest a fix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from evalwire.model import Example
from evalwire.usercode.chains import name_of

if TYPE_CHECKING:
    import types

_OTHER_LOOP: Final = (
    "the object belongs to an event loop from import time: create it in the function, at the first call"
)

_BY_MESSAGE: Final = (
    (
        r"asyncio\.run\(\) cannot be called from a running event loop|This event loop is already running",
        "await the coroutine, or make the function a plain `def`, which runs on a thread",
    ),
    (r"attached to a different loop|is bound to a different event loop", _OTHER_LOOP),
    (r"Event loop is closed", f"{_OTHER_LOOP}, or do not close its loop"),
    (
        r"no running event loop|There is no current event loop",
        "create the object in an `async def`; no event loop runs at import time or in a plain `def`",
    ),
)

_SAME_THREAD: Final = "SQLite objects created in a thread can only be used in that same thread"


def hint_for(error: BaseException, raised_at: types.TracebackType | None) -> str | None:
    """Return a hint on how to fix an error, or None if its message suffices.

    Args:
        error: the raised exception.
        raised_at: the traceback.
    """
    kind = type(error)
    if issubclass(kind, RuntimeError):
        text = _text(error)
        return next((hint for pattern, hint in _BY_MESSAGE if re.search(pattern, text)), None)
    if name_of(kind) == "ProgrammingError" and _SAME_THREAD in _text(error):
        return "calls and imports run on different threads: connect with `check_same_thread=False`, or in the function"
    if issubclass(kind, KeyError) and _is_of_example(raised_at):
        return "this is the whole example; the input is `example.input`"
    if issubclass(kind, AttributeError) and type(getattr(error, "obj", None)) is Example:
        return "this is the whole example; the input is `example.input`"
    return None


def _text(error: BaseException) -> str:
    return " ".join(part for part in error.args if isinstance(part, str))


def _is_of_example(raised_at: types.TracebackType | None) -> bool:
    """Check whether the error was raised by item access on an example."""
    while raised_at is not None and raised_at.tb_next is not None:
        raised_at = raised_at.tb_next
    return raised_at is not None and raised_at.tb_frame.f_code is Example.__getitem__.__code__
