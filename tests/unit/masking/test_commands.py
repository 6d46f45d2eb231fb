"""No line of what user code prints is a command to a CI system, however it comes."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.masking import CommandFilter, reads_commands, without_commands

PIECES = [":", "::", "::error::x", "##[", "##vso[", "#", "##", "vso[", "[", "vso", "error]", "\n", "\r", "\r\n", " "]
PIECES += ["\t", "\u3000", "\ufeff", "\x0b", "\x1c", "\x85", "\u2028", "a", "###[", ":::", "50 %", "\u200b", "##VSO["]


def commands_in(text: str) -> list[str]:
    """The lines that actions/runner or the agent of Azure Pipelines would carry out: ReadLine, TrimStart, IndexOf."""
    lines = re.split(r"\r\n|\r|\n", text)
    return [
        line
        for line in lines
        if line.lstrip().lstrip("\ufeff").lstrip().startswith("::") or "##[" in line or "##vso[" in line.lower()
    ]


@pytest.mark.parametrize(
    "text",
    [
        "::error::x",
        "  ::set-output name=a::b",
        "a ##[error]x",
        "x ##vso[task.complete]",
        "50 %\r::error::by a carriage return",
        "a\r\n::error::x",
        "\n\n \t::error::x",
        "\u3000::error::x",
        "\ufeff::error::x",
        "\x0b\x0c\x1c::error::x",
        ":::error::x",
        "###[error]x",
        "##[##vso[x]",
        "##VSO[task.complete]",
        "::stop-commands::x\r::error::y",
    ],
)
def test_a_command_is_none_any_more_and_reads_as_before(text):
    assert commands_in(text)
    harmless = without_commands(text)
    assert not commands_in(harmless)
    assert harmless.replace("\u200b", "") == text


def test_other_text_stays():
    for text in ("a::b and #1", "std::vector", "a ::b", "# [x]", "## x", "#[derive]", "http://[::1]", "", "\r\n"):
        assert without_commands(text) == text


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(":#[vso\r\n \ta", max_size=6)), max_size=12))
def test_no_pieces_together_are_a_command(pieces):
    """Token by token, split anywhere; nothing is held back, lost or changed but by spaces without width."""
    filter_ = CommandFilter()
    written = [filter_(piece) for piece in pieces]
    assert not commands_in("".join(written))
    for piece, shown in zip(pieces, written, strict=True):
        assert shown.replace("\u200b", "") == piece.replace("\u200b", "")


@given(st.lists(st.sampled_from([*PIECES, "::error::x\n", "##vso[x]y\n"]), max_size=10), st.data())
def test_no_pieces_of_two_streams_are_a_command_in_one_log_or_in_two(pieces, data):
    own, both = (CommandFilter(), CommandFilter()), CommandFilter()
    logs, log = ["", ""], ""
    for piece in pieces:
        which = data.draw(st.integers(0, 1))
        shown = both(own[which](piece))
        logs[which] += shown
        log += shown
    assert not any(map(commands_in, (*logs, log)))


def test_many_pieces_and_long_lines_take_no_long_time():
    filter_ = CommandFilter()
    assert filter_(" " * 100_000) == " " * 100_000
    assert not commands_in("".join([" ", *(filter_(piece) for piece in ":" * 1000)]))
    assert filter_("\n" * 100_000) == "\n" * 100_000
    assert len(filter_._line) < 10


def test_systems_that_read_commands_are_github_and_azure():
    assert reads_commands({"GITHUB_ACTIONS": "true"})
    assert reads_commands({"TF_BUILD": "True"})
    assert not reads_commands({"GITLAB_CI": "true", "TF_BUILD": ""})


def test_all_white_space_counts_that_is_removed_before_a_command():
    spaces = [chr(number) for number in range(sys.maxunicode) if chr(number).isspace() and chr(number) not in "\r\n"]
    assert not commands_in("\n".join(without_commands(f"{space}::error::x") for space in spaces))
