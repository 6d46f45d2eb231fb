"""Secrets do not reach what is shown."""

from __future__ import annotations

import io
import json
from urllib.parse import quote

import pytest

from evalwire.masking import Mask, MaskedStream, secrets_in

SECRET = "sk-abc/123+\"quoted\" 'single' é\\end"


@pytest.mark.parametrize(
    "spell",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        repr,
        lambda text: quote(text, safe=""),
        lambda text: f"https://host/?key={quote(text, safe='')}&x=1",
        lambda text: str({"Authorization": text}),
    ],
)
def test_a_secret_is_masked_in_every_spelling(spell):
    """A secret is replaced as plain text, in JSON, in a repr and in a URL."""
    masked = Mask([SECRET])(f"before {spell(SECRET)} after")
    assert "abc" not in masked
    assert "123" not in masked
    assert "***" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_every_occurrence_is_masked():
    """A secret is replaced wherever it stands, also within words and across lines."""
    assert Mask(["line-one\nline-two"])("xline-one\nline-twoy line-one\nline-two") == "x***y ***"


def test_the_longer_of_two_secrets_wins():
    """Where one secret begins another, no rest of the longer one is left."""
    assert Mask(["abcdefgh", "abcdefgh-tail"])("abcdefgh-tail abcdefgh") == "*** ***"


def test_short_values_do_not_blot_out_words():
    """A value of fewer than eight characters is no secret worth masking text for."""
    assert Mask(["test", "", "1234567"])("test 1234567") == "test 1234567"


def test_without_secrets_text_stays():
    """No secrets, no change."""
    assert Mask()("as it was") == "as it was"


def test_special_characters_are_no_pattern():
    """A secret that looks like a regular expression masks itself only."""
    assert Mask([".*.*.*.*"])("ordinary text and .*.*.*.*") == "ordinary text and ***"


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "GITHUB_TOKEN", "CLIENT_SECRET", "DB_PASSWORD", "phoenix_api_key", "PHOENIX_API_KEY"]
)
def test_variables_with_a_secrets_name_are_secret(name):
    """The values of *_KEY, *_TOKEN, *_SECRET and *_PASSWORD are secrets, in any case."""
    assert secrets_in({name: " long-secret \n"}) == ["long-secret"]


@pytest.mark.parametrize("name", ["PATH", "TOKEN_COUNT", "MONKEY", "KEYBOARD"])
def test_other_variables_are_not(name):
    """A variable whose name only contains such a word is no secret."""
    assert secrets_in({name: "long-value"}) == []


@pytest.mark.parametrize(
    "variable", ["PHOENIX_CLIENT_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
)
@pytest.mark.parametrize(
    "value",
    [
        "authorization=Bearer very-secret-token",
        "Authorization=Bearer%20very-secret-token",
        "x-one=short,api_key=very-secret-token",
        "api_key = very-secret-token , x-two=other",
    ],
)
def test_client_headers_are_secret(variable, value):
    """The values of client headers are secrets, as written and decoded, with and without Bearer."""
    mask = Mask(secrets_in({variable: value}))
    assert "very-secret" not in mask("sent very-secret-token")
    assert "very-secret" not in mask(f"{variable}={value}")


def test_a_masked_stream_masks_what_is_written():
    """What is written or printed to the stream arrives without the secret; the rest is the stream's own."""
    stream = io.StringIO()
    masked = MaskedStream(stream, Mask(["long-secret"]))
    print("the long-secret", file=masked)
    masked.writelines(["a long-secret\n", "b\n"])
    assert stream.getvalue() == "the ***\na ***\nb\n"
    assert masked.write("long-secret") == len("long-secret")
    assert masked.isatty() is False
