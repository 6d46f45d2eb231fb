"""The words in which two outputs differ, and the part of a long output that shows them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalwire.reports.word_changes import changed_words, excerpt

TEXTS = st.text(alphabet="ab .\n", max_size=40)


def test_words_that_only_one_side_has_are_marked():
    before, after = changed_words("the old cat sat", "the new cat sat down")
    assert before == [("the ", False), ("old", True), (" cat sat", False)]
    assert after == [("the ", False), ("new", True), (" cat sat", False), (" down", True)]


def test_equal_texts_have_no_marks():
    assert changed_words("same words", "same words") == ([("same words", False)], [("same words", False)])


def test_an_empty_text_is_without_pieces():
    assert changed_words("", "new") == ([], [("new", True)])


@given(TEXTS, TEXTS)
def test_no_character_is_lost_and_unmarked_words_are_on_both_sides(before, after):
    pieces = changed_words(before, after)
    assert tuple("".join(text for text, _ in side) for side in pieces) == (before, after)
    same = ["".join(text for text, is_changed in side if not is_changed) for side in pieces]
    assert same[0] == same[1]


def test_a_difference_behind_many_words_is_found():
    words = "word " * 50_000
    before, after = changed_words(f"{words}old", f"{words}new")
    assert (before[-1], after[-1]) == (("old", True), ("new", True))


def test_texts_that_differ_throughout_are_compared_soon():
    before, _ = changed_words("a " * 50_000, "b " * 50_000)
    assert "".join(text for text, _ in before) == "a " * 50_000


def test_an_excerpt_is_about_the_first_difference():
    before, _ = changed_words("x" * 300 + " old " + "y" * 300, "x" * 300 + " new " + "z" * 300)
    shown = excerpt(before, 100)
    text = "".join(text for text, _ in shown)
    assert " old " in text
    assert len(text) == 102
    assert (text[0], text[-1]) == ("…", "…")
    assert ("old", True) in [(text.strip(), is_changed) for text, is_changed in shown]


@given(TEXTS, TEXTS, st.integers(1, 50))
def test_an_excerpt_is_a_part_of_its_text(before, after, length):
    words, _ = changed_words(before, after)
    shown = "".join(text for text, _ in excerpt(words, length))
    assert shown.removeprefix("…").removesuffix("…") in before
    assert len(shown) <= length + 2
    if len(before) <= length:
        assert shown == before
