"""Masked standard streams, for the output of evalwire and of user code."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from evalwire.masking.commands import CommandFilter

_LONGEST_PENDING = 65_536  # characters of an incomplete line that are buffered


class MaskedStream(io.TextIOBase):
    """A text stream that masks written text and otherwise behaves like the wrapped stream.

    Lines are buffered until they are complete or flushed, so secrets that are written in pieces are masked, too.
    Characters that the stream's encoding cannot represent are escaped. evalwire can still write after user code has
    closed or detached the stream.

    Args:
        stream: the stream to write to.
        mask: a function that replaces secrets.
        filters: the filters that make lines harmless to a CI system. Several filters are needed if streams share a log.
            None are needed if the CI system does not read commands.
        mark: the delimiter around the lines of `write_command`, if a parent process filters the output.
    """

    def __init__(
        self,
        stream: TextIO,
        mask: Callable[[str], str],
        *,
        filters: Iterable[CommandFilter] = (),
        mark: str = "",
    ) -> None:
        self._stream = stream
        self._mask = mask
        self._filters = tuple(filters)
        self._mark = mark
        self._pending = ""
        self._buffer = _MaskedBuffer(self)

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The stream for bytes, which are masked in the same way as text."""
        return self._buffer

    def write(self, text: str) -> int:
        """Write complete lines, masked; buffer the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        complete, newline, rest = (self._pending + text).rpartition("\n")
        self._pending = rest
        if newline:
            self._put(complete + newline)
        if len(rest) > _LONGEST_PENDING:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Write the buffered text, masked."""
        pending, self._pending = self._pending, ""
        if pending:
            self._put(pending)
        self._stream.flush()

    def write_command(self, text: str) -> None:
        """Write commands for the CI system."""
        self.flush()
        if any(command_filter.is_within_line for command_filter in self._filters):
            self._put("\n")
        self._stream.write(f"{self._mark}{self._encodable(self._mask(text))}{self._mark}")
        self._stream.flush()

    def close(self) -> None:
        """Write the buffered text; the process's stream stays open for evalwire's report."""
        with contextlib.suppress(ValueError, OSError):  # the end of the command flushes again and reports errors
            self.flush()

    def detach(self) -> io.BufferedIOBase:  # type: ignore[override]  # declared as BinaryIO there
        """Return the stream for bytes; the text stream remains usable."""
        self.flush()
        return self._buffer

    def _put(self, text: str) -> None:
        shown = self._mask(text)
        for command_filter in self._filters:
            shown = command_filter(shown)
        self._stream.write(self._encodable(shown))

    def _encodable(self, text: str) -> str:
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    # --- overrides of `io.TextIOBase` that delegate to the stream ---

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # a plain attribute there
        """The stream's error handler."""
        return getattr(self._stream, "errors", None)

    @property
    def newlines(self) -> Any:  # type: ignore[override]  # a plain attribute there
        """The stream's newlines."""
        return getattr(self._stream, "newlines", None)

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Check whether the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _MaskedBuffer(io.BufferedIOBase):
    """The stream for bytes behind a masked stream, for code that writes to `sys.stdout.buffer` or wraps it."""

    def __init__(self, stream: MaskedStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, data: Any) -> int:
        """Write bytes; a character may be split between calls."""
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        raw = bytes(data)
        self._stream.write(self._decoder.decode(raw))
        return len(raw)

    def flush(self) -> None:
        """Write the buffered text, masked."""
        with contextlib.suppress(ValueError):
            self._stream.flush()

    def close(self) -> None:
        """Write the buffered text; the stream stays usable, because wrappers of it close it, too."""
        self.flush()

    def detach(self) -> Any:
        """Return this stream, because a raw stream would not be masked."""
        return self

    @property
    def raw(self) -> Any:
        """A new raw stream that masks, too, because a buffer around it closes it."""
        return _MaskedRaw(self)

    @property
    def name(self) -> Any:
        """The stream's name or number."""
        return getattr(self._stream, "name", None)

    @property
    def mode(self) -> str:
        """The mode of a writable binary file."""
        return "wb"

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Check whether the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True


class _MaskedRaw(io.RawIOBase):
    """The stream for bytes as a raw stream. A buffer around it closes this object, and fails if it stays open."""

    def __init__(self, buffer: _MaskedBuffer) -> None:
        self._buffer = buffer

    def write(self, data: Any) -> int:
        """Write bytes."""
        return self._buffer.write(data)

    def flush(self) -> None:
        """Write the buffered text, masked."""
        super().flush()
        self._buffer.flush()

    @property
    def name(self) -> Any:
        """The stream's name or number."""
        return self._buffer.name

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._buffer.fileno()

    def isatty(self) -> bool:
        """Check whether the stream is a terminal."""
        return self._buffer.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True
