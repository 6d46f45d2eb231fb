"""Remove workflow commands from the output of a process, including output of its children and of native code.

Pipes replace standard output and standard error. The parent process reads the pipes: no output is lost when the
child is killed, and no reader waits for the child's interpreter lock.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import select
import selectors
import threading
from collections.abc import Mapping, Sequence

from evalwire.masking import CommandFilter, reads_commands

_CHUNK = 65_536
_MOST_LEFT = 4 * _CHUNK  # bytes to read after the command ended: a process that it left running may print forever
_MARK_BYTES = 16


class OutputFilter:
    """The filter between a child process and the standard streams of this process.

    Call `open` before the fork, `enter` in the child, `start` in the parent, and `finish` after the child ended.

    Attributes:
        mark: a secret that encloses intended commands; user code and models cannot know it. Empty without filtering.
        problem: the reason why the output could not be written; empty for no problem or a reader that closed the pipe.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.mark = f"\x1e{os.urandom(_MARK_BYTES).hex()}\x1e" if descriptors else ""
        self.problem = ""
        self._channels: list[_Channel] = []
        self._thread: threading.Thread | None = None
        self._wakes: tuple[int, int] = (-1, -1)
        for descriptor in descriptors:
            same = next(
                (other for other in self._channels if os.path.sameopenfile(other.descriptors[0], descriptor)), None
            )
            if same is None:
                self._channels.append(_Channel(descriptor, self.mark))
            else:  # a shared pipe keeps the order of the lines
                same.descriptors.append(descriptor)

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> OutputFilter:
        """Create pipes for standard streams that are not terminals; none if CI reads no commands from the output."""
        is_read = reads_commands(environ)
        return cls([descriptor for descriptor in (1, 2) if is_read and not os.isatty(descriptor)])

    def enter(self) -> str:
        """Replace the streams with the pipes, in the child; return the mark if standard output is replaced."""
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(channel.writes, descriptor)
            os.close(channel.reads)
            os.close(channel.writes)
        return self.mark if any(1 in channel.descriptors for channel in self._channels) else ""

    def start(self) -> None:
        """Start to read on a separate thread, in the parent."""
        if not self._channels:
            return
        self._wakes = os.pipe()
        for channel in self._channels:
            os.close(channel.writes)
            os.set_blocking(channel.reads, False)
        self._thread = threading.Thread(target=self._read, name="evalwire-output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Write the remaining output of the child; processes that it left running can no longer print."""
        if self._thread is not None:
            os.close(self._wakes[1])
            self._thread.join()

    def _read(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._wakes[0], selectors.EVENT_READ, None)
            for channel in self._channels:
                ready.register(channel.reads, selectors.EVENT_READ, channel)
            is_over = False
            while not is_over and len(ready.get_map()) > 1:
                for key, _ in ready.select():
                    if key.data is None:
                        is_over = True
                    elif not self._pass_on(key.data):
                        ready.unregister(key.fd)
                        key.data.close()
        for channel in self._channels:
            left = _MOST_LEFT
            while left > 0 and channel.is_open and (count := self._pass_on(channel)):
                left -= count
            with contextlib.suppress(OSError):
                channel.end()
            channel.close()
        os.close(self._wakes[0])

    def _pass_on(self, channel: _Channel) -> int:
        """Write available output; return the number of bytes, or 0 if there is none or it cannot be written."""
        try:
            data = os.read(channel.reads, _CHUNK)
        except BlockingIOError:
            return 0
        try:
            channel.write(data)
        except OSError as error:  # the closed pipe reports this to the child
            if error.errno != errno.EPIPE:
                self.problem = error.strerror or str(error)
            return 0
        return len(data)


class _Channel:
    """A pipe and the streams that it replaces."""

    def __init__(self, descriptor: int, mark: str) -> None:
        self.descriptors = [descriptor]
        self.reads, self.writes = os.pipe()
        self.is_open = True
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")  # keeps bytes that are not text
        self._filter = CommandFilter()
        self._mark = mark
        self._rest = ""
        self._is_command = False

    def write(self, data: bytes, *, is_end: bool = False) -> None:
        """Write bytes without commands, except between two marks."""
        *pieces, rest = (self._rest + self._decoder.decode(data, is_end)).split(self._mark)
        for piece in pieces:
            self._put(piece)
            self._is_command = not self._is_command
            if self._is_command and self._filter.is_within_line:
                self._put_raw("\n")
        place = rest.rfind("\x1e") if not is_end else -1
        is_part = place >= 0 and self._mark.startswith(rest[place:])  # the rest of the mark may follow
        self._rest = rest[place:] if is_part else ""
        self._put(rest[:place] if is_part else rest)

    def end(self) -> None:
        """Write the rest."""
        self.write(b"", is_end=True)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.reads)

    def _put(self, text: str) -> None:
        if text:
            self._put_raw(text if self._is_command else self._filter(text))

    def _put_raw(self, text: str) -> None:
        if self._is_command:
            self._filter = CommandFilter()
        data = memoryview(text.encode("utf-8", "surrogateescape"))
        while data:
            try:
                data = data[os.write(self.descriptors[0], data) :]
            except BlockingIOError:  # the stream is in non-blocking mode
                select.select([], [self.descriptors[0]], [])
