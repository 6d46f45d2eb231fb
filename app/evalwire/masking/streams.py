"""Put a mask before a standard stream, for evalwire's own text and for what user code prints."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from evalwire.masking.commands import CommandFilter

_LONGEST_HELD = 65_536  # characters of a line that may wait for its end


class MaskedStream(io.TextIOBase):
    """A text stream that masks what is written to it; everything else is the stream's own.

    A line is held until it is complete or flushed, so that a secret written in pieces is masked too. What the
    stream's encoding cannot write is escaped. User code may close or detach it as it likes: evalwire goes on to write.

    Args:
        stream: to write to.
        mask: replaces secrets.
        filters: make lines harmless to a CI system; several where streams may end in one log. None where nobody reads
            commands.
        mark: what the lines of `write_command` stand between, where a parent process filters the output.
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
        self._held = ""
        self._buffer = _MaskedBuffer(self)

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The stream for bytes; they are masked as text is."""
        return self._buffer

    def write(self, text: str) -> int:
        """Write what ends a line, masked; hold the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        whole, newline, rest = (self._held + text).rpartition("\n")
        self._held = rest
        if newline:
            self._put(whole + newline)
        if len(rest) > _LONGEST_HELD:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what is held, masked."""
        held, self._held = self._held, ""
        if held:
            self._put(held)
        self._stream.flush()

    def write_command(self, text: str) -> None:
        """Write lines that a CI system is to take for commands."""
        self.flush()
        if any(one.is_within_line for one in self._filters):
            self._put("\n")
        self._stream.write(f"{self._mark}{self._encodable(self._mask(text))}{self._mark}")
        self._stream.flush()

    def close(self) -> None:
        """Write what is held; the process's stream stays open, since evalwire's report is still to come."""
        with contextlib.suppress(ValueError, OSError):  # the command's end flushes it again, and tells
            self.flush()

    def detach(self) -> io.BufferedIOBase:  # type: ignore[override]  # it says BinaryIO, which no class of io is
        """Return the stream for bytes; this one can be written to all the same."""
        self.flush()
        return self._buffer

    def _put(self, text: str) -> None:
        shown = self._mask(text)
        for harmless in self._filters:
            shown = harmless(shown)
        self._stream.write(self._encodable(shown))

    def _encodable(self, text: str) -> str:
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    # --- what `io.TextIOBase` has, and the stream's own is better ---

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        """The stream's."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # likewise
        """The stream's."""
        return getattr(self._stream, "errors", None)

    @property
    def newlines(self) -> Any:  # type: ignore[override]  # likewise
        """The stream's."""
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
    """The bytes side of a masked stream, for those who write to `sys.stdout.buffer`, or wrap it again."""

    def __init__(self, stream: MaskedStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, data: Any) -> int:
        """Write bytes; a letter may come in pieces."""
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        raw = bytes(data)
        self._stream.write(self._decoder.decode(raw))
        return len(raw)

    def flush(self) -> None:
        """Write what is held, masked."""
        with contextlib.suppress(ValueError):
            self._stream.flush()

    def close(self) -> None:
        """Write what is held; whoever wraps this in a stream of its own closes it with that."""
        self.flush()

    def detach(self) -> Any:
        """Return this: there is no raw stream that would be masked, too."""
        return self

    @property
    def raw(self) -> Any:
        """This: there is no raw stream that would be masked, too."""
        return self

    @property
    def name(self) -> Any:
        """The stream's name or number."""
        return getattr(self._stream, "name", None)

    @property
    def mode(self) -> str:
        """As of a file that is written."""
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
