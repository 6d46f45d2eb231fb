"""How a Phoenix is reached: address, headers, proxy and certificates, read once from what is given."""

from __future__ import annotations

import os
import ssl
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.errors import UsageError
from evalwire.phoenix.access import PHOENIX_ADDRESSES, Access, check_key, read_access, read_headers
from evalwire.phoenix.connection import connect

# --- the address ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "endpoint", "address"),
    [
        ({}, None, "http://127.0.0.1:6006"),
        ({}, "http://of-the-file", "http://of-the-file"),
        ({"PHOENIX_ENDPOINT": " http://a:1 "}, "http://of-the-file", "http://a:1"),
        ({"PHOENIX_ENDPOINT": "HTTP://A"}, None, "HTTP://A"),
        ({"PHOENIX_ENDPOINT": " ", "PHOENIX_BASE_URL": "http://b"}, None, "http://b"),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://c:6006/v1/traces"}, None, "http://c:6006"),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://o"}, None, "http://c"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://o", "PHOENIX_BASE_URL": "http://b"}, None, "http://o"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://o"}, "http://of-the-file", "http://of-the-file"),
        ({"PHOENIX_HOST": "0.0.0.0", "PHOENIX_PORT": "7"}, None, "http://127.0.0.1:7"),
        ({"PHOENIX_HOST": "phoenix:8"}, None, "http://phoenix:8"),
        ({"PHOENIX_HOST": "https://phoenix"}, None, "https://phoenix"),
        ({"PHOENIX_PORT": "9"}, None, "http://127.0.0.1:9"),
        ({"PHOENIX_PORT": "tcp://10.0.0.1:6006"}, "http://of-the-file", "http://of-the-file"),
        ({"PHOENIX_PORT": "tcp://10.0.0.1:6006", "PHOENIX_ENDPOINT": "http://a"}, None, "http://a"),
        ({"PHOENIX_ENDPOINT": "http://[::1]:6006/phoenix"}, None, "http://[::1]:6006/phoenix"),
        ({"PHOENIX_ENDPOINT": "http://my_phoenix:6006"}, None, "http://my_phoenix:6006"),
        ({"PHOENIX_ENDPOINT": "https://bücher.example"}, None, "https://bücher.example"),
    ],
)
def test_the_first_variable_that_is_set_is_the_address(environ, endpoint, address):
    assert read_access(environ, endpoint=endpoint).address == address


BAD_ADDRESSES = [
    "http://phoenix.prod:${PORT}",
    "http://${HOST}:6006",
    "http://$HOST",
    "http://phoenix:60 06",
    "http://phoenix:66006",
    "http://phoenix:0",
    "http://",
    "http:///v1",
    "http:phoenix",
    "//phoenix",
    "phoenix.example",
    "ftp://phoenix",
    "http://[::1",
    "http://{{ phoenix }}",
    "http://phoenix\n.example",
    "http://<host>:6006",
]


@pytest.mark.parametrize("name", [*PHOENIX_ADDRESSES[:3], "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_an_address_that_is_none_is_wrong_use_and_nothing_is_put_in_its_place(name):
    """Neither a lower variable, nor the file's address, nor localhost."""
    others = {"PHOENIX_BASE_URL": "http://b", "PHOENIX_HOST": "h"}
    for address in BAD_ADDRESSES:
        with pytest.raises(UsageError, match=f"^{name} is not an http:// or https:// address"):
            read_access({**others, name: address})


def test_a_setting_or_a_port_that_is_no_address_is_named():
    with pytest.raises(UsageError, match=r"^`endpoint` under \[phoenix\] \(EVALWIRE_ENDPOINT\) is not an http"):
        read_access({}, endpoint="phoenix:6006")
    with pytest.raises(UsageError, match=r"^PHOENIX_PORT is not a number: tcp://1:2.\nSet PHOENIX_ENDPOINT"):
        read_access({"PHOENIX_PORT": "tcp://1:2"})
    with pytest.raises(UsageError, match=r"^PHOENIX_HOST is not an http"):
        read_access({"PHOENIX_HOST": "a b"})


def test_what_may_be_a_key_or_a_password_is_not_shown():
    """A key may stand in the wrong variable."""
    with pytest.raises(UsageError) as caught:
        read_access({"PHOENIX_ENDPOINT": "px-0123456789"})
    assert "px-" not in str(caught.value)
    with pytest.raises(UsageError) as caught:
        read_access({"PHOENIX_ENDPOINT": "http://user:p@ss@host:${PORT}/x"})
    assert "p@ss" not in str(caught.value)
    assert "http://host:${PORT}/x" in str(caught.value)


# --- headers and the key -------------------------------------------------------------------------------

HEADERS = [
    "Authorization: Bearer sk-verysecret",
    "authorization Bearer sk-verysecret",
    '{"Authorization": "Bearer sk-verysecret"}',
    '{"Authorization": "Basic sk-verysecret="}',
    "Authorization=Basic sk-verysecret==",
    "Authorization=Bearer sk-verysecret",
    "authorization=Bearer%20a,sk-verysecret",
    "x-a=1;x-b=sk-verysecret",
    "'x-a=sk-verysecret'",
    'x-a="sk-verysecret"',
    "x-a=1\nx-b=sk-verysecret",
    "x a=sk-verysecret",
    "=sk-verysecret",
    "sk-verysecret=",
    "sk-verysecret==",
    "x-a=sk-verysecret%0D%0Ax-b: 1",
    "x-a=sk-verysecret%C3%A9",
    "x-a=sk-verysecrété",
    "%0A=sk-verysecret",
    "x-a = sk-verysecret b",
]


@pytest.mark.parametrize("text", HEADERS)
def test_headers_of_another_form_are_wrong_use_and_nothing_of_a_value_is_shown(text):
    with pytest.raises(UsageError) as caught:
        read_access({"PHOENIX_CLIENT_HEADERS": text})
    assert str(caught.value).startswith("PHOENIX_CLIENT_HEADERS: ")
    assert "name=value,name=value" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_headers_are_decoded():
    text = " x-team = search , Authorization=Basic%20dXNlcjpwYXNz==,,x-empty%2Dname=a=b,"
    assert read_headers(text, "H") == {
        "x-team": "search",
        "authorization": "Basic dXNlcjpwYXNz==",
        "x-empty-name": "a=b",
    }
    assert read_headers("", "H") == read_headers(" , ", "H") == {}


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), st.text(' !~"az09=,;%+/', min_size=1)))
)
def test_what_is_encoded_as_the_docs_say_arrives(pairs):
    wanted = {name: value.strip() for name, value in pairs if value.strip().strip("=")}
    text = ",".join(f"{name}={quote(value, safe='')}" for name, value in wanted.items())
    assert read_headers(text, "H") == wanted


@given(st.text(" \t\n:=,;%\"'{}azAZ09-é", max_size=30))
def test_no_text_of_headers_is_dropped_in_silence(text):
    """Each part that is not empty is a header, or the whole is refused; httpx can send what is taken."""
    parts = [part for part in text.split(",") if part.strip()]
    try:
        found = read_headers(text, "H")
    except UsageError:
        return
    names = {part.partition("=")[0].strip().lower() for part in parts}
    assert len(found) == len(names)
    httpx.Request("GET", "http://phoenix", headers=found)


@pytest.mark.parametrize("key", ["\ufeffpx-0123", "px-0123é", "px-01\n23", "px-“0123”", "px\x00-0123", "px-0123\x7f"])
def test_a_key_that_no_header_can_carry_is_wrong_use(key):
    with pytest.raises(
        UsageError, match=r"^PHOENIX_API_KEY: the key contains .*U\+[0-9A-F]{4}.* at character \d"
    ) as caught:
        read_access({"PHOENIX_API_KEY": key})
    assert "0123" not in str(caught.value)
    assert check_key("px-0123", "N") == "px-0123"


def test_a_key_of_a_file_wins_and_headers_win_over_the_variable():
    headers = {"PHOENIX_API_KEY": "a", "PHOENIX_CLIENT_HEADERS": "Authorization=Basic%20x"}
    assert read_access(headers).headers == {"authorization": "Basic x"}
    assert read_access(headers, api_key="f").headers == {"authorization": "Bearer f"}
    assert "Basic" not in repr(read_access(headers)), "no log has it"


# --- the proxy -----------------------------------------------------------------------------------------


def proxy_of(address: str, **network: str) -> str | None:
    return read_access({"PHOENIX_ENDPOINT": address}, network=network).proxy


def test_the_proxy_is_that_of_the_address_s_scheme():
    both = {"HTTP_PROXY": "http://h:1", "HTTPS_PROXY": "https://s:2", "ALL_PROXY": "socks5://a:3"}
    assert proxy_of("http://x", **both) == "http://h:1"
    assert proxy_of("https://x", **both) == "https://s:2"
    assert proxy_of("https://x", ALL_PROXY="socks5h://a:3") == "socks5h://a:3"
    assert proxy_of("http://x", http_proxy="small:1", HTTP_PROXY="http://h:1") == "http://small:1"
    assert proxy_of("http://x", HTTP_PROXY="http://h:1", REQUEST_METHOD="GET") is None
    assert proxy_of("http://x", HTTP_PROXY="", http_proxy=" ") is None
    assert proxy_of("http://x") is None


@pytest.mark.parametrize(
    ("host", "entries"),
    [
        ("phoenix.corp.example", ["*", "corp.example", ".corp.example", "*.corp.example", "PHOENIX.corp.example:6006"]),
        ("localhost", ["localhost", "a,localhost", "a localhost", "http://localhost", "all://localhost"]),
        ("127.0.0.1", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:6006"]),
        ("[::1]", ["::1", "[::1]", "[::1]:6006", "::/0", "localhost,127.0.0.1,::1,fd07:b51a:cc66:f0::/64"]),
        ("[fd07:b51a:cc66:f0::2]", ["fd07:b51a:cc66:f0::/64"]),
    ],
)
def test_no_proxy_has_names_addresses_and_networks(host, entries):
    for entry in entries:
        assert proxy_of(f"http://{host}:6006", HTTP_PROXY="http://p:1", NO_PROXY=entry) is None, entry
        assert proxy_of(f"http://{host}:6006", HTTP_PROXY="http://p:1", no_proxy=entry) is None, entry


@pytest.mark.parametrize(
    "entry", ["", ",", "orp.example", "https://corp.example", "corp.example:80", "[::1", "::1", "1.2.3.4/99", ".", "*."]
)
def test_no_proxy_of_something_else_changes_nothing(entry):
    assert proxy_of("http://corp.example:6006", HTTP_PROXY="http://p:1", NO_PROXY=entry) == "http://p:1"
    assert proxy_of("http://127.0.0.1:6006", HTTP_PROXY="http://p:1", NO_PROXY=entry) == "http://p:1"


@given(st.text(" ,.:/*[]%0129abcf-", max_size=30), st.sampled_from(["localhost", "10.1.2.3", "[fd00::1]"]))
def test_no_text_of_no_proxy_is_an_error(no_proxy, host):
    assert proxy_of(f"http://{host}:6006", HTTP_PROXY="http://p:1", NO_PROXY=no_proxy) in ("http://p:1", None)


@pytest.mark.parametrize(
    "value", ["ftp://x", "http://user:p@ss:proxy:3128", "socks4://x:1", "http://:1", "http://x:${P}"]
)
def test_a_proxy_that_is_none_is_wrong_use_without_its_password(value):
    with pytest.raises(UsageError, match=r"^HTTP_PROXY is not the address of a proxy: ") as caught:
        proxy_of("http://x", HTTP_PROXY=value)
    assert value not in str(caught.value)
    assert proxy_of("http://x", HTTP_PROXY=value, NO_PROXY="x") is None, "it is not used"


# --- what a connection is made of ----------------------------------------------------------------------


def test_a_connection_looks_nothing_up(monkeypatch, tmp_path):
    """User code, and a file, may set any of these before and after the client is made."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("PHOENIX_API_KEY", "of-user-code")
    monkeypatch.setenv("PHOENIX_ENDPOINT", "http://of-user-code")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    access = read_access({"PHOENIX_ENDPOINT": "HTTPS://phoenix", "PHOENIX_API_KEY": "a"}, network={})
    http = connect(access)._client
    assert (str(http.base_url), http.headers["authorization"]) == ("https://phoenix", "Bearer a")
    assert not http._mounts
    assert http.trust_env is False
    tls = http._transport._pool._ssl_context
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.keylog_filename is None
    assert tls.get_ca_certs()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("address", ["http://phoenix", "https://phoenix"])
def test_certificates_that_are_not_there_are_wrong_use(tmp_path, variable, address):
    (tmp_path / "empty.pem").write_text("no certificate")
    for path in (tmp_path / "corp.pem", *([tmp_path / "empty.pem"] if variable.endswith("FILE") else [])):
        access = read_access({"PHOENIX_ENDPOINT": address}, network={variable: str(path)})
        with pytest.raises(UsageError, match=f"^{variable}: cannot read certificates from {path}: "):
            connect(access)


def test_certificates_are_read(tmp_path):
    import certifi

    folders = f"/nowhere{os.pathsep}{tmp_path}"
    for network in ({"SSL_CERT_FILE": certifi.where()}, {"SSL_CERT_DIR": str(tmp_path)}, {"SSL_CERT_DIR": folders}):
        connect(read_access({"PHOENIX_ENDPOINT": "https://phoenix"}, network=network))


def test_socks_is_supported():
    for scheme in ("socks5", "socks5h"):
        connect(Access(address="http://phoenix", proxy=f"{scheme}://127.0.0.1:1080", proxy_variable="ALL_PROXY"))


def test_without_an_access_it_is_the_process_s(monkeypatch):
    monkeypatch.setenv("PHOENIX_ENDPOINT", "http://phoenix:7")
    assert str(connect()._client.base_url) == "http://phoenix:7"
    assert str(connect(base_url="http://other")._client.base_url) == "http://other"
    assert os.environ["PHOENIX_ENDPOINT"] == "http://phoenix:7"
    with pytest.raises(UsageError, match="not an http"):
        connect(base_url="localhost:6006")
