"""Secrets do not reach what is shown."""

from __future__ import annotations

import io
import json
from urllib.parse import quote

import pytest
from reporting import red_report

from evalwire.masking import Mask, MaskedStream, masked, secrets_in
from evalwire.reports import results_json

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


def test_a_secret_of_several_lines_is_masked_line_by_line_and_on_one():
    """A private key is masked however its lines are put together."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n"
    mask = Mask([key])
    assert "MIIEvQIBADANBg" not in mask(" ".join(key.split())) + mask(key) + mask("line MIIEvQIBADANBg alone")


def test_the_password_of_a_url_is_a_secret():
    """A database's or a proxy's password in a URL is masked, whatever the variable's name."""
    assert secrets_in({"DATABASE_URL": "postgres://me:pass-0123456@host/db"}) == ["pass-0123456"]
    several = "--extra-index-url https://u:password-one@a/x https://u:password-two@b/x"
    assert secrets_in({"PIP_OPTIONS": several}) == ["password-one", "password-two"]
    assert secrets_in({"PGPASSWORD": "of-the-database"}) == ["of-the-database"]


def test_a_secret_in_pieces_is_masked():
    """What is written piece by piece is masked when the line ends, or is flushed."""
    out = io.StringIO()
    stream = MaskedStream(out, Mask(["sk-0123456789"]))
    stream.write("key sk-0123")
    stream.write("456789\nand sk-01")
    stream.buffer.write(b"23456789")
    stream.flush()
    assert out.getvalue() == "key ***\nand ***"


def test_what_the_encoding_cannot_write_is_escaped():
    """A terminal of another encoding gets all of the text."""
    raw = io.BytesIO()
    stream = MaskedStream(io.TextIOWrapper(raw, encoding="ascii"), Mask())
    stream.write("caf\u00e9 \u2026\n")
    stream.flush()
    assert raw.getvalue() == b"caf\\xe9 \\u2026\n"


def test_a_secret_that_is_learnt_later_is_masked():
    """A `.env` that user code loads counts from then on."""
    mask = Mask()
    mask.add(["sk-0123456789"])
    assert mask("sk-0123456789") == "***"


def test_a_report_is_masked_whole_and_its_examples_stay_the_same():
    """No text of it has the secret; an example that had keeps its content's hash, what had none is the same object."""
    report = red_report()
    found = masked(report, Mask(["refund number 3"]))
    assert "refund number 3" not in "".join(results_json.pieces(found))
    assert "refund number 3" in "".join(results_json.pieces(report))
    examples = [
        (old.example, new.example) for old, new in zip(report.results[0].runs, found.results[0].runs, strict=True)
    ]
    assert [old.content_hash for old, _ in examples] == [new.content_hash for _, new in examples]
    assert [old is new for old, new in examples].count(False) == 1
    assert masked(report, Mask(["no such secret"])) is report
