"""The address, headers, proxy and certificates of a Phoenix server, read from environment variables."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from evalwire.errors import PhoenixMisconfigured

# Variables with an address of Phoenix, and variables from which the address can be inferred, in the client's order.
PHOENIX_ADDRESSES = ("PHOENIX_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT", "PHOENIX_BASE_URL", "PHOENIX_HOST")
ENDPOINT_VARIABLES = (*PHOENIX_ADDRESSES, "OTEL_EXPORTER_OTLP_ENDPOINT", "PHOENIX_PORT")
CREDENTIAL_VARIABLES = ("PHOENIX_API_KEY", "PHOENIX_API_KEY_FILE", "PHOENIX_CLIENT_HEADERS")

_IN_ORDER = ("PHOENIX_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "PHOENIX_BASE_URL")
_OF_COLLECTORS = ("PHOENIX_COLLECTOR_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TRACES_PATH = re.compile(r"/+v1/traces/?(?=$|[?#])")
_USUAL_PORT = "6006"

_HOST = re.compile(r"[^\s!\"#$%&'()*+,/:;<=>?@\[\\\]^`{|}]+")
_USER = re.compile(r"://[^/]*@")
_BROKEN = re.compile(r"[\x00-\x20\x7f]")
_MOST_PORTS = 65535

_HEADER_NAME = re.compile(r"[!#$%&*+.^_`|~0-9A-Za-z-]+")  # no apostrophe: it would be a leftover of shell quoting
_HEADER_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # the unencoded characters of W3C Baggage
_SENDABLE = re.compile(r"[\x20-\x7e\t]*")

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access to a Phoenix server, read from the environment once so that user code cannot change it.

    Attributes:
        address: the server's address.
        headers: the headers of each request, credentials included.
        proxy: the address of the proxy; None to connect directly.
        proxy_variable: the variable with the proxy's address; empty without a proxy.
        certificates: a file or a directory with trusted authorities; None for Mozilla's authorities.
        certificates_variable: the variable with `certificates`; empty if not set.
        key_log: a file to which TLS writes keys; None without logging.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    proxy_variable: str = ""
    certificates: str | None = None
    certificates_variable: str = ""
    key_log: str | None = None


def read_access(
    environ: Mapping[str, str],
    *,
    network: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    api_key: str | None = None,
) -> Access:
    """Return the access to the Phoenix server of an environment.

    Args:
        environ: the environment with Phoenix's variables.
        network: the environment with the variables for the proxy and TLS; `environ` by default.
        endpoint: the address to use if none of `PHOENIX_ADDRESSES` is set.
        api_key: the key from a key file, if a file is configured.

    Raises:
        PhoenixMisconfigured: the value of a variable is invalid.
    """
    network = environ if network is None else network
    address = _address(environ, endpoint)
    proxy, proxy_variable = _proxy(network, urlsplit(address))
    certificates = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if network.get(name)), "")
    return Access(
        address=address,
        headers=_headers(environ, api_key),
        proxy=proxy,
        proxy_variable=proxy_variable,
        certificates=network[certificates] if certificates else None,
        certificates_variable=certificates,
        key_log=network.get("SSLKEYLOGFILE") or None,
    )


def check_address(address: str, name: str) -> str:
    """Return a valid address unchanged.

    Args:
        address: the address of a Phoenix server.
        name: the name of the variable or setting with the address, for the error.

    Raises:
        PhoenixMisconfigured: the address is not a valid http or https address.
    """
    problem = _problem_of(address, ("http", "https"))
    if problem:
        # a value without a scheme may be a key in the wrong variable; the part before the host may be a password
        shown = f": {_USER.sub('://', address)}" if "://" in address else ""
        raise PhoenixMisconfigured(
            f"{name} is not an http:// or https:// address{shown} ({problem}).\n"
            "Set it to the address of Phoenix, such as http://phoenix:6006."
        )
    return address


def _address(environ: Mapping[str, str], endpoint: str | None) -> str:
    given = {name: value for name in ENDPOINT_VARIABLES if (value := environ.get(name, "").strip())}
    if endpoint is not None and not any(name in given for name in PHOENIX_ADDRESSES):
        return check_address(endpoint.strip(), "`endpoint` under [phoenix] (EVALWIRE_ENDPOINT)")
    for name in _IN_ORDER:
        if name in given:
            value = given[name]
            return check_address((_TRACES_PATH.sub("", value) or value) if name in _OF_COLLECTORS else value, name)
    host = given.get("PHOENIX_HOST", "127.0.0.1")
    if re.match(r"https?://", host, re.IGNORECASE):
        return check_address(host, "PHOENIX_HOST")
    host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - clients cannot connect to a server's bind address
    if ":" in host:
        return check_address(f"http://{host}", "PHOENIX_HOST")
    port = given.get("PHOENIX_PORT", _USUAL_PORT)
    if not (port.isascii() and port.isdigit()):  # such as tcp://..., set by Kubernetes for a service named phoenix
        raise PhoenixMisconfigured(
            f"PHOENIX_PORT is not a number: {port}.\n"
            "Set PHOENIX_ENDPOINT to the address of Phoenix; it takes precedence over PHOENIX_PORT."
        )
    return check_address(f"http://{host}:{port}", "PHOENIX_HOST" if "PHOENIX_HOST" in given else "PHOENIX_PORT")


def _problem_of(address: str, schemes: tuple[str, ...]) -> str:
    """Return the reason why an address is invalid, without quoting the address; empty if it is valid."""
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        return "its port is not a number" if "ort" in str(error) else "its host is invalid"
    if _BROKEN.search(address):
        return "it contains a space or a line break"
    if url.scheme not in schemes or "://" not in address:
        return f"it does not start with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if not host:
        return "it has no host"
    if not _is_ip(host) and not _HOST.fullmatch(host):
        return "its host contains an invalid character"
    if port is not None and not 0 < port <= _MOST_PORTS:
        return f"its port is not between 1 and {_MOST_PORTS}"
    return ""


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


# --- headers ---


def _headers(environ: Mapping[str, str], api_key: str | None) -> dict[str, str]:
    """Return the client headers, with the key as a header; a key from a file takes precedence."""
    headers = read_headers(environ.get("PHOENIX_CLIENT_HEADERS", ""), "PHOENIX_CLIENT_HEADERS")
    key = environ.get("PHOENIX_API_KEY", "").strip()
    if api_key is not None:
        headers["authorization"] = f"Bearer {check_key(api_key, 'PHOENIX_API_KEY_FILE')}"
    elif key:
        headers.setdefault("authorization", f"Bearer {check_key(key, 'PHOENIX_API_KEY')}")
    return headers


def check_key(key: str, name: str) -> str:
    """Return a valid key unchanged.

    Args:
        key: an API key.
        name: the name of the variable with the key, for the error.

    Raises:
        PhoenixMisconfigured: the key is invalid in an HTTP header; the message does not show the key.
    """
    if _SENDABLE.fullmatch(key):
        return key
    place = next(place for place, character in enumerate(key, 1) if not _SENDABLE.fullmatch(character))
    found = f"U+{ord(key[place - 1]):04X}"
    what = f"a byte order mark ({found})" if key[place - 1] == "\ufeff" else f"{found}, which is invalid in a header,"
    raise PhoenixMisconfigured(
        f"{name}: the key contains {what} at character {place}.\nCopy the key again, as plain ASCII text."
    )


def read_headers(text: str, name: str) -> dict[str, str]:
    """Return the headers in `name=value,name=value`, with decoded values and lower-case names.

    Args:
        text: headers in the form of `PHOENIX_CLIENT_HEADERS`.
        name: the name of the variable, for the error.

    Raises:
        PhoenixMisconfigured: a part does not have this form; the message does not show values.
    """
    entries = [entry.strip(" \t\r\n") for entry in text.split(",")]
    if not any(entries):
        return {}
    headers = {}
    for number, entry in enumerate(entries, 1):
        if not entry:
            continue
        key, equals, value = (part.strip(" \t") for part in entry.partition("="))
        decoded = unquote(value).strip()
        problem = _problem_of_header(key, equals, value, decoded)
        if problem:
            # a secret that ends in "=" looks like a header name
            is_shown = value.strip("=") and _HEADER_NAME.fullmatch(key) and len(key) <= len("x-forwarded-authorization")
            which = repr(key) if is_shown else f"part {number} of {len(entries)}"
            raise PhoenixMisconfigured(
                f"{name}: {which} {problem}.\n"
                "Write name=value,name=value, each value URL-encoded: a space as %20, a comma as %2C."
            )
        headers[unquote(key).strip().lower()] = decoded
    return headers


def _problem_of_header(key: str, equals: str, value: str, decoded: str) -> str:
    if not equals:
        return "has no `=`"
    if not _HEADER_NAME.fullmatch(key) or not _HEADER_NAME.fullmatch(unquote(key).strip()):
        return "has no header name before its `=`"
    if not value.strip("="):
        return "has no value"
    if not _HEADER_VALUE.fullmatch(value):
        return "has a value that is not URL-encoded"
    if not _SENDABLE.fullmatch(decoded):
        return "has a value with a character that is invalid in a header"
    return ""


# --- the proxy ---


def _proxy(network: Mapping[str, str], address: SplitResult) -> tuple[str | None, str]:
    """Return the proxy for an address, and the name of the variable with the proxy."""
    if _is_direct(network.get("no_proxy") or network.get("NO_PROXY") or "", address):
        return None, ""
    for name in _proxy_variables(network, address.scheme):
        value = network.get(name, "").strip()
        if not value:
            continue
        proxy = value if "://" in value else f"http://{value}"
        problem = _problem_of(proxy, _PROXY_SCHEMES)
        if problem:  # the value may contain a password
            raise PhoenixMisconfigured(
                f"{name} is not the address of a proxy: {problem}.\n"
                "Write http://HOST:PORT or socks5://HOST:PORT, with a password as USER:PASSWORD@HOST and its @ as %40."
            )
        return proxy, name
    return None, ""


def _proxy_variables(network: Mapping[str, str], scheme: str) -> Iterator[str]:
    for name in (f"{scheme}_proxy", "all_proxy"):
        yield name
        if (
            name != "http_proxy" or "REQUEST_METHOD" not in network
        ):  # in a CGI script, HTTP_PROXY may be a request header
            yield name.upper()


def _is_direct(no_proxy: str, address: SplitResult) -> bool:
    """Check whether `NO_PROXY` matches an address, by name, domain, IP address, network or `*`."""
    host = (address.hostname or "").rstrip(".")
    port = address.port or (443 if address.scheme == "https" else 80)
    return any(_matches(entry, address.scheme, host, port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _matches(entry: str, scheme: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "://" in entry:
        wanted, _, entry = entry.partition("://")
        if wanted not in (scheme, "all"):
            return False
    name, number = entry, ""
    if bracketed := re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", entry):  # an IPv6 address as in a URL
        name, number = bracketed[1], bracketed[2] or ""
    elif entry.count(":") == 1:
        name, _, number = entry.partition(":")
    if number not in ("", str(port)):
        return False
    if _is_ip(host):
        return _is_in(host, name)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_in(host: str, entry: str) -> bool:
    """Check whether an IP address matches an entry; False if the entry is not an IP address or network."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
