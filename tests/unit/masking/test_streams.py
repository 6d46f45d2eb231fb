"""A masked stream is a text stream like any other: wrapped, detached, closed, written to in bytes."""

from __future__ import annotations

import codecs
import io
import logging
import sys

import pytest

from evalwire.masking import CommandFilter, Mask, MaskedStream

SECRET = "sk-0123456789"


def a_stream(**more) -> tuple[MaskedStream, io.BytesIO]:
    raw = io.BytesIO()
    return MaskedStream(io.TextIOWrapper(raw, encoding="utf-8", newline="\n"), Mask([SECRET]), **more), raw


def shown(stream: MaskedStream, raw: io.BytesIO) -> str:
    stream.flush()
    return raw.getvalue().decode()


def test_a_wrapper_around_its_buffer_writes_masked_and_leaves_it_open():
    """The usual line for consoles on Windows; the wrapper that is forgotten closes what it wraps."""
    stream, raw = a_stream()
    for wrap in (
        lambda: io.TextIOWrapper(stream.buffer, encoding="utf-8", line_buffering=True),
        lambda: codecs.getwriter("utf-8")(stream.detach()),
        lambda: io.TextIOWrapper(stream.detach(), encoding="utf-8", write_through=True),
        lambda: io.TextIOWrapper(io.BufferedWriter(stream.buffer.raw), encoding="utf-8"),
        lambda: io.TextIOWrapper(stream.buffer.detach(), errors="replace", encoding="utf-8"),
    ):
        wrapper = wrap()
        print(f"é {SECRET}", file=wrapper, flush=True)
        del wrapper  # which closes it
    stream.write("after\n")
    assert shown(stream, raw) == "é ***\n" * 5 + "after\n"


def test_it_is_an_io_object():
    stream, _ = a_stream()
    assert isinstance(stream, io.TextIOBase)
    assert isinstance(stream.buffer, io.BufferedIOBase)
    for one in (stream, stream.buffer):
        assert (one.writable(), one.readable(), one.seekable(), one.closed, one.isatty()) == (
            True,
            False,
            False,
            False,
            False,
        )
    assert (stream.encoding, stream.errors, stream.newlines) == ("utf-8", "strict", None)
    with pytest.raises(io.UnsupportedOperation):
        stream.read()
    with pytest.raises(io.UnsupportedOperation):
        stream.buffer.read()
    with pytest.raises(TypeError):
        stream.write(b"bytes")
    with pytest.raises(TypeError):
        stream.buffer.write("text")
    stream.reconfigure(line_buffering=True)
    assert stream.line_buffering is True


def test_its_file_is_the_process_s():
    stream = MaskedStream(sys.__stdout__, Mask())
    assert stream.fileno() == stream.buffer.fileno() == sys.__stdout__.fileno()
    assert stream.buffer.mode == "wb"
    assert stream.buffer.name == sys.__stdout__.name


def test_evalwire_writes_on_when_user_code_has_closed_it():
    stream, raw = a_stream()
    stream.write("held")
    stream.close()
    with stream.buffer as buffer:
        buffer.write(b" and bytes")
    stream.write("\nafter\n")
    assert shown(stream, raw) == "held and bytes\nafter\n"


def test_bytes_may_come_in_pieces():
    stream, raw = a_stream()
    for byte in f"é {SECRET} 日本\n".encode():
        stream.buffer.write(bytes([byte]))
    stream.buffer.write(memoryview(b"view "))
    stream.buffer.write(bytearray(b"\xff array\n"))
    assert shown(stream, raw) == "é *** 日本\nview � array\n"


def test_a_handler_of_logging_and_writelines_write_masked():
    stream, raw = a_stream()
    handler = logging.StreamHandler(stream)
    handler.emit(logging.makeLogRecord({"msg": SECRET}))
    stream.writelines([f"{SECRET}\n", "b\n"])
    assert shown(stream, raw) == "***\n***\nb\n"


def test_no_line_is_a_command_but_those_on_purpose():
    """Token by token, by bytes, or on the rest of a line that was flushed."""
    stream, raw = a_stream(filters=[CommandFilter()])
    for token in ("50 %\r", "::error::a", "\n", ":", ":error::b", "\n", "##", "vso[x]c", "\n"):
        print(token, end="", file=stream, flush=True)
    for data in (b":", b":error::d\n", b"  :", b":e", b"\xe2\x80", b"\xa8::f\n", b"rest"):
        stream.buffer.write(data)
        stream.buffer.flush()
    stream.write_command(f"::error::mine {SECRET}\n")
    lines = shown(stream, raw).replace("\r", "\n").split("\n")
    assert [line for line in lines if line.lstrip().startswith("::") or "##vso[" in line] == ["::error::mine ***"]


def test_marks_stand_around_commands_on_purpose():
    stream, raw = a_stream(filters=[CommandFilter()], mark="<mark>")
    stream.write("a")
    stream.write_command("::error::mine\n")
    assert shown(stream, raw) == "a\n<mark>::error::mine\n<mark>"
