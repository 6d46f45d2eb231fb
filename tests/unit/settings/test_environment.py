"""What a `.env` file may add to the environment, and the key that a file holds."""

from __future__ import annotations

import pytest

from evalwire.errors import UsageError
from evalwire.phoenix import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLES
from evalwire.settings.environment import api_key_from_file, merge_env_file, phoenix_variables

# --- the environment file ------------------------------------------------------------------------------


def test_the_environment_file_adds_variables(tmp_path):
    """.env in the working directory adds what the process does not have."""
    (tmp_path / ".env").write_text("# a comment\nEVALWIRE_PREFIX=dot\nexport OPENAI_API_KEY='k e y'\nFLAG_ONLY\n")
    added = merge_env_file({}, None, directory=tmp_path)
    assert added == {"EVALWIRE_PREFIX": "dot", "OPENAI_API_KEY": "k e y"}


def test_the_environment_file_never_overrides_the_process(tmp_path):
    """A variable of the process stays, also an empty one."""
    (tmp_path / ".env").write_text("A=dot\nB=dot\nC=dot\n")
    assert merge_env_file({"A": "process", "B": ""}, None, directory=tmp_path) == {"C": "dot"}


@pytest.mark.parametrize("group", [ENDPOINT_VARIABLES, CREDENTIAL_VARIABLES], ids=["endpoint", "credential"])
def test_a_group_that_the_process_sets_is_closed_to_the_file(tmp_path, group):
    """A .env cannot redirect the job, or swap its key, under another name of the same thing."""
    (tmp_path / ".env").write_text("".join(f"{name}=dot\n" for name in group) + "OTHER=dot\n")
    for name in group:
        assert merge_env_file({name: "process"}, None, directory=tmp_path) == {"OTHER": "dot"}


def test_the_groups_do_not_close_each_other(tmp_path):
    """An endpoint from the process and a key from the file go together."""
    (tmp_path / ".env").write_text("PHOENIX_API_KEY=dot\nPHOENIX_BASE_URL=dot\n")
    added = merge_env_file({"PHOENIX_ENDPOINT": "http://x"}, None, directory=tmp_path)
    assert added == {"PHOENIX_API_KEY": "dot"}


def test_without_an_environment_file_nothing_is_added(tmp_path):
    """The default .env may be missing."""
    assert merge_env_file({}, None, directory=tmp_path) == {}


def test_a_named_environment_file_replaces_the_default(tmp_path):
    """The file asked for by name is read instead of .env."""
    (tmp_path / ".env").write_text("A=default\n")
    (tmp_path / "ci.env").write_text("B=named\n")
    assert merge_env_file({}, tmp_path / "ci.env", directory=tmp_path) == {"B": "named"}


def test_a_named_environment_file_that_is_missing_is_an_error(tmp_path):
    """A file asked for by name must exist."""
    with pytest.raises(UsageError, match=r"ci\.env does not exist"):
        merge_env_file({}, tmp_path / "ci.env", directory=tmp_path)


def test_an_environment_file_that_is_not_utf8_is_an_error(tmp_path):
    """A .env in another encoding is wrong use, not a crash."""
    (tmp_path / ".env").write_bytes(b"A=\xe9\xff\n")
    with pytest.raises(UsageError, match="cannot be read"):
        merge_env_file({}, None, directory=tmp_path)


# --- the mounted key -----------------------------------------------------------------------------------


def test_the_key_is_read_from_the_mounted_file(tmp_path):
    """PHOENIX_API_KEY_FILE names a file whose text, without the newline at its end, is the key."""
    (tmp_path / "key").write_text("secret-key\n")
    assert api_key_from_file({"PHOENIX_API_KEY_FILE": str(tmp_path / "key")}) == "secret-key"


@pytest.mark.parametrize("environ", [{}, {"PHOENIX_API_KEY_FILE": ""}, {"PHOENIX_API_KEY": "k"}])
def test_without_the_variable_there_is_no_key_from_a_file(environ):
    """No file named, no key."""
    assert api_key_from_file(environ) is None


def test_a_key_and_a_key_file_are_one_too_many(tmp_path):
    """Two sources of the key are an error rather than a guess."""
    (tmp_path / "key").write_text("k")
    with pytest.raises(UsageError, match="both set"):
        api_key_from_file({"PHOENIX_API_KEY_FILE": str(tmp_path / "key"), "PHOENIX_API_KEY": "k"})


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff\xfe", "cannot be read")]
)
def test_a_key_file_that_gives_no_key_is_an_error(tmp_path, content, says):
    """A key file that is missing, empty or no text is an error that names the file, not a job without a key."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        api_key_from_file({"PHOENIX_API_KEY_FILE": str(path)})
    assert str(path) in str(caught.value)


# --- files as editors write them -----------------------------------------------------------------------


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    """Notepad and PowerShell write one."""
    (tmp_path / ".env").write_bytes(
        b"\xef\xbb\xbfEVALWIRE_GATE=x >= 0.5\r\nB = 'two\r\nlines' # said\r\nexport C=3\r\nD\r\n"
    )
    assert merge_env_file({}, None, directory=tmp_path) == {
        "EVALWIRE_GATE": "x >= 0.5",
        "B": "two\r\nlines",
        "C": "3",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A=1\n\nEVALWIRE_GATE: x >= 0.5\n", "line 3 does not set a variable"),
        ("A=1\nEVALWIRE_GATE x >= 0.5\n", "line 2 does not set a variable"),
        ("set EVALWIRE_GATE=x >= 0.5\n", "line 1 does not set a variable"),
        ("A='hunter2\nEVALWIRE_GATE=x >= 0.5\n", "line 1 does not set a variable, or has an unclosed quote"),
        ('A="hunter2\nEVALWIRE_GATE="x >= 0.5"\n', "does not set a variable, or has an unclosed quote"),
        ("A='it's'\n", "line 1 does not set a variable"),
        ("=x >= 0.5\n", "line 1 does not set a variable"),
        ("# fine\n$env:EVALWIRE_GATE = 'x >= 0.5'\n", "line 2 has an invalid variable name"),
        ("\u200bEVALWIRE_GATE=x >= 0.5\n", "line 1 has an invalid variable name"),
        ("EVALWIRE_GATE\n", "line 1 sets EVALWIRE_GATE without a value"),
        ("A='\0'\n", "line 1 contains a NUL character"),
    ],
)
def test_a_line_that_sets_nothing_is_an_error(tmp_path, text, says):
    """A gate in it would be absent, and the job green. Nothing of the line is shown: it may be a secret."""
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        merge_env_file({}, None, directory=tmp_path)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_file_in_utf_16_is_told_to_be_one(tmp_path, encoding):
    """As `>` of an older PowerShell writes it."""
    (tmp_path / ".env").write_bytes("EVALWIRE_GATE=x >= 0.5\n".encode(encoding))
    with pytest.raises(UsageError, match=r"is in UTF-16. Save it as UTF-8"):
        merge_env_file({}, None, directory=tmp_path)


# --- Phoenix's own file --------------------------------------------------------------------------------


def test_phoenix_s_own_file_adds_what_no_variable_of_the_group_says(tmp_path):
    """The nearest one above; `PHOENIX_DISCOVER_CONFIG` turns it off, and one that cannot be read is passed over."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    text = "PHOENIX_ENDPOINT=http://file\nexport PHOENIX_API_KEY='k'\nOPENAI_API_KEY=o\nPHOENIX_HOST=\n"
    (tmp_path / ".env.phoenix").write_text(text)
    (inner / ".env.phoenix").write_bytes(b"\xff\xfe")
    both = {"PHOENIX_ENDPOINT": "http://file", "PHOENIX_API_KEY": "k"}
    assert phoenix_variables({}, directory=inner) == both
    for name in (*ENDPOINT_VARIABLES, "EVALWIRE_ENDPOINT"):
        assert phoenix_variables({name: "x"}, directory=inner) == {name: "x", "PHOENIX_API_KEY": "k"}
    for name in CREDENTIAL_VARIABLES:
        assert phoenix_variables({name: "x"}, directory=inner) == {name: "x", "PHOENIX_ENDPOINT": "http://file"}
    off = {"PHOENIX_DISCOVER_CONFIG": "False"}
    assert phoenix_variables(off, directory=inner) == off


def test_a_byte_order_mark_before_a_key_in_a_file_is_none_of_it(tmp_path):
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfsecret-key\r\n")
    assert api_key_from_file({"PHOENIX_API_KEY_FILE": str(tmp_path / "key")}) == "secret-key"
    (tmp_path / "key").write_text("secret\nkey")
    with pytest.raises(UsageError, match=r"PHOENIX_API_KEY_FILE: .*key: the key contains U\+000A") as caught:
        api_key_from_file({"PHOENIX_API_KEY_FILE": str(tmp_path / "key")})
    assert "secret" not in str(caught.value)
